"""The template and the component as pipelines use them, read and run by gitlab-ci-local on this machine, against a
sandbox on loopback. `make localci` brings it.
"""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
import yaml
from gitlab_pipeline import ROOT, TEMPLATE, account, by_component, by_template, project, recorded, started

from qalita_action import sandbox

WAYS = pytest.mark.parametrize("way", [by_template, by_component], ids=["template", "component"])
JOB = "qalita-ingest"


def run(folder, pipeline, **variables):
    return started(project(folder, pipeline, variables), "--force-shell-executor", env={})


@pytest.fixture
def platform(tmp_path):
    with sandbox.running(tmp_path / "platform.db") as served:
        yield served


@WAYS
def test_the_run_of_a_red_dbt_job_is_recorded_and_its_reports_are_kept(way, platform, tmp_path):
    pipeline = run(tmp_path / "p", way({"fail-on": "never"}), **account(platform))
    assert pipeline.states == {"dbt-build": "FAIL", JOB: "PASS"}, pipeline.text
    assert recorded(platform) == ["complete"]
    assert pipeline.kept(JOB, "qalita-report/report.html").stat().st_size > 1000
    document = json.loads(pipeline.kept(JOB, "qalita-report/ingest.json").read_text("utf-8"))
    assert document["run"]["ci"]["provider"] == "gitlab"
    assert platform.token not in pipeline.text


@WAYS
def test_the_reports_are_where_gitlab_is_told_to_read_them(way, tmp_path):
    """gitlab-ci-local carries the variables to a later job, as GitLab does; the other reports it only keeps."""
    script = ['echo "told <$QALITA_RESULT_FAILED> <$QALITA_RESULT_VERDICT>"']
    later = {"stage": ".post", "needs": [JOB], "rules": [{"when": "always"}], "script": script}
    pipeline = run(tmp_path / "p", way({"publish": "never", "fail-on": "never"}) | {"later": later})
    assert pipeline.states[JOB] == pipeline.states["later"] == "PASS", pipeline.text
    assert "told <4> <failed>" in pipeline.text
    reports = yaml.safe_load((ROOT / TEMPLATE).read_text("utf-8"))[JOB]["artifacts"]["reports"]
    junit = ET.parse(pipeline.kept(JOB, reports["junit"])).getroot()
    assert len(list(junit.iter("failure"))) == 4
    quality = json.loads(pipeline.kept(JOB, reports["codequality"]).read_text("utf-8"))
    assert {issue["location"]["path"] for issue in quality} >= {"models/schema.yml"}
    assert json.loads(pipeline.kept(JOB, reports["annotations"]).read_text("utf-8"))


@WAYS
def test_the_gate_says_no_and_the_run_is_recorded(way, platform, tmp_path):
    pipeline = run(tmp_path / "p", way({}), **account(platform))
    assert (pipeline.states[JOB], pipeline.codes[JOB]) == ("FAIL", 1), pipeline.text
    assert recorded(platform) == ["complete"]


@WAYS
def test_an_outage_passes_with_a_warning_and_leaves_the_run(way, platform, tmp_path):
    down = account(platform) | {"QALITA_WORKER_ENDPOINT": "http://127.0.0.1:9", "QALITA_PUBLISH_TIMEOUT": "1"}
    pipeline = run(tmp_path / "p", way({"fail-on": "never", "on-publish-failure": "fail"}), **down)
    assert (pipeline.states[JOB], pipeline.codes[JOB]) == ("WARN", 4), pipeline.text
    assert list(pipeline.kept(JOB, "qalita-spool").iterdir())


@pytest.mark.parametrize(
    ("way", "given", "variables", "code"),
    [
        (by_template, {"publish": "always"}, {}, 2),  # no token
        (by_component, {"publish": "never"}, {"NOTHING": "yes"}, 3),
        (by_template, {"publish": "never"}, {"STALE": "yes"}, 3),
    ],
    ids=["settings", "nothing", "stale"],
)
def test_what_shows_nothing_is_red(way, given, variables, code, tmp_path):
    pipeline = run(tmp_path / "p", way(given), **variables)
    assert (pipeline.states[JOB], pipeline.codes[JOB]) == ("FAIL", code), pipeline.text


def test_an_input_is_handed_over_and_never_run(tmp_path):
    mark = tmp_path / "ran"
    typed = f"a $(touch {mark}) `touch {mark}` \"; touch {mark}; ' b"
    given = {
        "project": typed,
        "job-name": "quality",
        "publish": "never",
        "fail-on": "never",
        "tags": ["docker"],
    }
    pipeline = run(tmp_path / "p", by_component(given))
    assert pipeline.states["quality"] == "PASS", pipeline.text
    document = json.loads(pipeline.kept("quality", "qalita-report/ingest.json").read_text("utf-8"))
    assert document["source"]["project"] == typed
    assert not mark.exists()


def test_an_empty_input_leaves_the_variable_its_say(tmp_path):
    pipeline = run(tmp_path / "p", by_component({}), QALITA_PUBLISH="never", QALITA_FAIL_ON="never")
    assert pipeline.states[JOB] == "PASS", pipeline.text
