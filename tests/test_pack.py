"""The pack does on a worker what CI does: run.sh for real, on the example's artifacts, and the files that a worker
would upload are those that CI would have sent."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from command import run

ROOT = Path(__file__).resolve().parent.parent
PACK = ROOT / "packs" / "dbt_ingest_pack"
SAMPLE = ROOT / "examples" / "airquality" / "sample-target"
UPLOADED = ("metrics.json", "recommendations.json", "schemas.json", "figures.json")


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(SAMPLE, folder / "target")
    (folder / "dbt_project.yml").write_text("name: opendata_dbt\n")
    return folder


@pytest.fixture
def worker(tmp_path):
    """The pack's folder as a worker unpacks it; on(job) runs it with that configuration."""
    folder = tmp_path / "job"
    shutil.copytree(PACK, folder)

    def on(job: dict, source: dict | None = None):
        conf = json.loads((PACK / "pack_conf.json").read_text())
        (folder / "pack_conf.json").write_text(json.dumps({**conf, "job": {**conf["job"], **job}}))
        (folder / "source_conf.json").write_text(json.dumps(source or {"name": "any", "type": "dbt"}))
        return subprocess.run(
            ["./run.sh"],
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "PYTHON": sys.executable,
                "LC_ALL": "C.UTF-8",
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    on.folder = folder
    return on


def uploaded(folder: Path) -> dict:
    return {name: json.loads((folder / name).read_text("utf-8")) for name in UPLOADED}


def value(metrics: list, key: str, perimeter: str = "dataset"):
    (found,) = [m["value"] for m in metrics if m["key"] == key and m["scope"]["perimeter"] == perimeter]
    return found


def test_a_worker_uploads_what_ci_would_have_sent(worker, project, tmp_path):
    done = worker({"project_dir": str(project), "env": "prod"})
    assert done.returncode == 0, done.stdout + done.stderr
    sent = uploaded(worker.folder)
    rows = json.loads((SAMPLE / "run_results.json").read_text())["results"]
    tests = [r for r in rows if r["unique_id"].startswith(("test.", "unit_test."))]
    assert value(sent["metrics.json"], "tests_total") == len(tests) + 1  # and one source's freshness
    assert value(sent["metrics.json"], "tests_failed") == sum(r["status"] == "fail" for r in tests) > 0
    assert {m["scope"]["value"] for m in sent["metrics.json"] if m["scope"]["perimeter"] == "dataset"} == {
        "opendata_dbt-prod"
    }
    ci = tmp_path / "ci"
    ci.mkdir()
    done = run("dbt", str(project), "--env", "prod", "--api", "folder", "--fail-on", "never", cwd=ci)
    assert done.returncode == 0, done.stderr
    assert sent == uploaded(ci / "qalita-report")


def test_a_source_of_the_type_folder_names_the_project(worker, project):
    done = worker({}, {"name": "air", "type": "folder", "config": {"path": str(project)}})
    assert done.returncode == 0, done.stderr
    assert uploaded(worker.folder)["metrics.json"]


def test_a_worker_may_run_dbt_first(worker, project, tmp_path):
    """What dbt's run really wrote counts, and nothing that lay there before."""
    program = tmp_path / "dbt"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/said\nexit 2\n')
    program.chmod(0o755)
    done = worker({"project_dir": str(project), "command": f"{program} build", "target_path": "target"})
    assert done.returncode == 2, (
        done.stdout + done.stderr
    )  # dbt could not run: its old artifacts are no answer
    assert (tmp_path / "said").read_text().split() == [
        "build", "--project-dir", str(project), "--target-path", "target",
    ]  # fmt: skip
    assert not any((worker.folder / name).exists() for name in UPLOADED)


def test_artifacts_that_are_no_evidence_fail_the_job_and_leave_no_file_of_another_run(worker, project):
    assert worker({"project_dir": str(project)}).returncode == 0
    for name in ("run_results.json", "sources.json"):
        (project / "target" / name).unlink()
    done = worker({"project_dir": str(project)})
    assert done.returncode == 3
    assert not any((worker.folder / name).exists() for name in UPLOADED)


def test_artifacts_that_are_too_old_fail_the_job(worker, project):
    assert worker({"project_dir": str(project), "max_age": "1h"}).returncode == 3


def test_two_projects_are_two_sources_and_a_job_has_one(worker, project, tmp_path):
    other = tmp_path / "both" / "other"
    shutil.copytree(project, other)
    shutil.move(project, tmp_path / "both" / "first")
    (other / "dbt_project.yml").write_text("name: other\n")
    manifest = json.loads((other / "target" / "manifest.json").read_text())
    manifest["metadata"]["project_name"] = "other"
    (other / "target" / "manifest.json").write_text(json.dumps(manifest))
    done = worker({"project_dir": str(tmp_path / "both")})
    assert (done.returncode, "Several documents" in done.stderr) == (2, True), done.stdout + done.stderr
    assert not any((worker.folder / name).exists() for name in UPLOADED)


def test_a_pack_of_one_dimension_uploads_its_score_alone(worker, project):
    everything = worker({"project_dir": str(project)})
    assert everything.returncode == 0
    score = value(uploaded(worker.folder)["metrics.json"], "score_uniqueness")
    assert worker({"project_dir": str(project), "dimension": "uniqueness"}).returncode == 0
    sent = uploaded(worker.folder)
    scope = {"perimeter": "dataset", "value": "opendata_dbt-default"}
    assert sent["metrics.json"] == [{"key": "score", "value": score, "scope": scope}]
    assert sent["schemas.json"] == [{"key": "dataset", "value": scope["value"], "scope": scope}]
    assert sent["recommendations.json"] == sent["figures.json"]["figures"] == []


# ---------------------------------------------------------------- what a platform wants of a pack


def test_the_pack_has_what_packs_have():
    assert {
        "run.sh",
        "properties.yaml",
        "README.md",
        "pack_conf.json",
        "icon.png",
        "pyproject.toml",
        "main.py",
    } <= {p.name for p in PACK.iterdir()}
    properties = yaml.safe_load((PACK / "properties.yaml").read_text())
    # `-` in a name would never be found again: the platform shows blanks for it, and only blanks become `_`.
    assert properties["name"] + "_pack" == PACK.name and "-" not in properties["name"]
    assert properties["type"] == "validity"
    assert re.fullmatch(r"\d+\.\d+\.\d+", properties["version"])
    assert (PACK / properties["icon"]).read_bytes()[:24] == b"\x89PNG\r\n\x1a\n" + struct.pack(
        ">I4sII", 13, b"IHDR", 128, 128
    )
    assert os.access(PACK / "run.sh", os.X_OK)


def test_every_chart_shows_a_metric_that_is_sent(worker, project):
    """What a chart names and nobody sends is an empty box on the platform."""
    assert worker({"project_dir": str(project)}).returncode == 0
    sent: dict[str, set] = {}
    for metric in uploaded(worker.folder)["metrics.json"]:
        sent.setdefault(metric["key"], set()).add(metric["scope"]["perimeter"])
    charts = json.loads((PACK / "pack_conf.json").read_text())["charts"]
    for place, allowed in (("overview", {"dataset"}), ("scoped", {"table", "column"})):
        for chart in charts[place]:
            assert chart.keys() == {"metric_key", "chart_type", "display_title", "justify"}
            key = chart["metric_key"]
            # No project tests each dimension.
            assert key.startswith("score_") or sent.get(key, set()) & allowed, (place, key)
