"""`qalita-ingest run -- dbt ...` with dbt itself, on the example. Needs dbt: `make real-dbt` brings it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DBT = ROOT / ".demo" / "venv" / "bin" / "dbt"
WORDS = {"pass": "passed", "warn": "warned", "fail": "failed", "error": "errored", "skipped": "skipped"}


@pytest.fixture
def project(tmp_path) -> Path:
    folder = tmp_path / "airquality"
    leave = shutil.ignore_patterns("target", "logs", "*.duckdb", "sample-target", ".venv")
    shutil.copytree(ROOT / "examples" / "airquality", folder, ignore=leave)
    return folder


def environment(project: Path) -> dict[str, str]:
    return {"PATH": f"{DBT.parent}:{os.environ['PATH']}", "HOME": str(project), "LC_ALL": "C.UTF-8"}


def command(*dbt: str) -> list[str]:
    return [sys.executable, "-m", "qalita_action", "run", "--publish", "never", "--", "dbt", "--quiet", *dbt]


def wrapped(project: Path, *dbt: str):
    return subprocess.run(
        command(*dbt), cwd=project, env=environment(project), capture_output=True, text=True, check=False
    )


def document(project: Path) -> dict:
    return json.loads((project / "qalita-report" / "ingest.json").read_text())


def test_a_build_is_told_as_dbt_wrote_it(project):
    process = wrapped(project, "build")
    assert process.returncode == 1, process.stdout + process.stderr
    rows = json.loads((project / "target" / "run_results.json").read_text())["results"]
    written = Counter(WORDS[r["status"]] for r in rows if r["unique_id"].startswith(("test.", "unit_test.")))
    told = Counter(r["status"] for r in document(project)["results"])
    del told["not_run"]  # freshness, which dbt build does not run
    assert told == written
    assert document(project)["run"]["dbt_exit_code"] == 1


def test_a_parse_error_after_a_good_build_publishes_nothing(project):
    assert wrapped(project, "build").returncode == 1
    shutil.rmtree(project / "qalita-report")
    (project / "models" / "broken.yml").write_text("version: 2\nmodels: [{{\n")
    process = wrapped(project, "build")
    assert process.returncode == 2, process.stdout + process.stderr
    assert "[artifacts-stale]" in process.stderr
    assert not (project / "qalita-report").exists()


def test_compile_and_empty_are_no_evidence(project):
    assert wrapped(project, "build").returncode == 1
    for dbt in (("compile",), ("build", "--empty"), ("docs", "generate")):
        process = wrapped(project, *dbt)
        assert process.returncode == 3, (dbt, process.stdout, process.stderr)
        assert "[nothing-executed]" in process.stderr


def test_an_interrupted_build_is_recorded_as_one(project):
    """One slow model, so that the signal finds dbt at work."""
    slow = "select count(*) as n from range(400000) a, range(400000) b where (a.range * b.range) % 7 = 3"
    (project / "models" / "staging" / "slow.sql").write_text(
        f"{{{{ config(materialized='table') }}}}\n{slow}\n"
    )
    child = subprocess.Popen(
        command("build", "--threads", "1"),
        cwd=project,
        env=environment(project),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    manifest = project / "target" / "manifest.json"
    deadline = time.monotonic() + 60
    while not manifest.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(8)
    child.send_signal(signal.SIGTERM)
    out, err = child.communicate(timeout=120)
    assert child.returncode >= 2, out + err
    told = document(project)["run"]
    assert told["extent"] == "partial"
    assert told["dbt_exit_code"] == child.returncode
