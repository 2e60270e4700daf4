"""The template and the component in containers, as a runner with the Docker executor starts them: the script in the
image, artifacts from one job's container to the next one's.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest

from qalita_action import sandbox
from tests.gitlab_pipeline import account, by_component, by_template, project, recorded, started
from tests.image.engine import BASE, ENGINE, docker

WAYS = pytest.mark.parametrize("way", [by_template, by_component], ids=["template", "component"])
JOB = "qalita-ingest"


@pytest.fixture(scope="session")
def words(tmp_path_factory) -> tuple[str, ...]:
    """gitlab-ci-local copies files by a helper image with rsync; where no registry brings its own, the base and this
    machine's rsync are one."""
    given = ("--pull-policy", "if-not-present", "--network", "host")
    if not BASE:
        return given
    folder = tmp_path_factory.mktemp("helper")
    program = shutil.which("rsync")
    libraries = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout.split()
    for path in (program, *(w for w in libraries if w.startswith("/"))):
        shutil.copy(path, folder)
    (folder / "Dockerfile").write_text(
        f"FROM {BASE}\nCOPY * /opt/rsync/\n"
        "RUN printf '#!/bin/sh\\nLD_LIBRARY_PATH=/opt/rsync exec /opt/rsync/rsync \"$@\"\\n' > /usr/bin/rsync"
        " && chmod 755 /usr/bin/rsync\n",
        "utf-8",
    )
    done = docker("build", "--quiet", "--tag", "helper:test", str(folder))
    assert done.returncode == 0, done.stderr
    return (*given, "--helper-image", "helper:test")


def run(folder, pipeline, image, words, **variables):
    images = {"DBT_IMAGE": BASE or "python:3.12-slim", "QALITA_IMAGE": image}
    return started(project(folder, pipeline, images | variables), *words, env=ENGINE)


@WAYS
def test_the_image_publishes_what_a_red_dbt_job_left(way, image, words, tmp_path):
    given = {"fail-on": "never"} | ({"image": image} if way is by_component else {})
    with sandbox.running(tmp_path / "platform.db") as platform:
        pipeline = run(tmp_path / "p", way(given), image, words, **account(platform))
    assert pipeline.states == {"dbt-build": "FAIL", JOB: "PASS"}, pipeline.text
    assert recorded(platform) == ["complete"]
    for name in ("report.html", "junit.xml", "codequality.json", "annotations.json", "qalita.env"):
        assert pipeline.kept(JOB, f"qalita-report/{name}").stat().st_size > 2
    assert platform.token not in pipeline.text


@WAYS
def test_the_image_says_no(way, image, words, tmp_path):
    given = {"publish": "never"} | ({"image": image} if way is by_component else {})
    pipeline = run(tmp_path / "p", way(given), image, words)
    assert (pipeline.states[JOB], pipeline.codes[JOB]) == ("FAIL", 1), pipeline.text


def test_an_outage_is_allowed(image, words, tmp_path):
    down = {
        "QALITA_WORKER_ENDPOINT": "http://127.0.0.1:9",
        "QALITA_WORKER_TOKEN": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "QALITA_PUBLISH_TIMEOUT": "1",
    }
    given = {"fail-on": "never", "on-publish-failure": "fail"}
    pipeline = run(tmp_path / "p", by_template(given), image, words, **down)
    assert (pipeline.states[JOB], pipeline.codes[JOB]) == ("WARN", 4), pipeline.text
    assert list(pipeline.kept(JOB, "qalita-spool").iterdir())
