"""`qalita-ingest run -- dbt ...`: dbt as a child, for real processes and real signals.

The child here is a small program that behaves as dbt does at its end: it writes artifacts of real dbt, dated
now, and exits, waits, or dies. The same with dbt itself: tests/real_dbt.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.artifact_sets import BASE
from tests.command import run

DBT = """
import json, os, signal, sys, time
from datetime import datetime, timezone
from pathlib import Path

source, mode = Path(sys.argv[1]), sys.argv[2]
target = Path("target"); target.mkdir(exist_ok=True)
now = lambda: datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")

def write(name, keep=None):
    content = json.loads((source / f"{name}.json").read_text())
    content["metadata"]["generated_at"] = now()
    if keep is not None:
        content["results"] = content["results"][:keep]
    (target / f"{name}.json").write_text(json.dumps(content))

print("env:", sorted(k for k in os.environ if k.startswith(("QALITA", "INPUT", "DBT_"))), flush=True)
if mode == "parse-error":
    sys.exit(2)
write("manifest")
if mode == "crash":
    os.kill(os.getpid(), signal.SIGKILL)
if mode == "wait":
    def interrupted(*_):
        print("interrupted once", flush=True)
        write("run_results", keep=20)
        sys.exit(2)
    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, interrupted)
    print("waiting", flush=True)
    time.sleep(60)
write("run_results")
sys.exit(int(mode))
"""


@pytest.fixture
def project(tmp_path) -> Path:
    folder = tmp_path / "project"
    (folder / "source").mkdir(parents=True)
    for name in ("manifest", "run_results"):
        data = gzip.decompress((BASE / "1.10" / "build" / f"{name}.json.gz").read_bytes())
        (folder / "source" / f"{name}.json").write_bytes(data)
    (folder / "dbt_project.yml").write_text("name: qalita_demo\n")
    (folder / "dbt.py").write_text(DBT)
    return folder


def wrapped(project: Path, mode: str, *flags: str, env=None):
    command = ("--", sys.executable, "dbt.py", "source", mode)
    return run("run", "--publish", "never", *flags, *command, cwd=project, env=env)


def document(project: Path) -> dict:
    return json.loads((project / "qalita-report" / "ingest.json").read_text())


def test_the_gate_speaks_after_dbts_0_and_1(project):
    process = wrapped(project, "1")
    assert process.returncode == 1
    assert "not_null_stg_air_quality_country" in process.stdout
    assert document(project)["run"]["dbt_exit_code"] == 1
    assert wrapped(project, "1", "--fail-on", "never").returncode == 0


def test_dbt_gets_none_of_our_secrets(project):
    env = {"QALITA_WORKER_TOKEN": "very-secret", "INPUT_TOKEN": "very-secret", "DBT_THREADS": "4"}
    process = wrapped(project, "1", env=env)
    assert "env: ['DBT_THREADS']" in process.stdout
    assert "very-secret" not in process.stdout + process.stderr


def test_nothing_stale_slips_in(project):
    """A parse error: dbt writes nothing, and yesterday's results are still there."""
    target = project / "target"
    target.mkdir()
    for name in ("manifest", "run_results"):
        (target / f"{name}.json").write_bytes((project / "source" / f"{name}.json").read_bytes())
    process = wrapped(project, "parse-error")
    assert process.returncode == 2, "dbt's own"
    assert "[artifacts-stale]" in process.stderr
    assert not (project / "qalita-report").exists()


def test_a_crash_is_recorded_as_one(project):
    process = wrapped(project, "crash")
    assert process.returncode == 128 + signal.SIGKILL
    told = document(project)
    assert told["run"]["extent"] == "partial"
    assert "before it wrote any results" in told["run"]["extent_reason"]
    assert told["run"]["dbt_exit_code"] == 137
    assert {r["status"] for r in told["results"]} == {"not_run"}
    assert "no row of its results says why" in process.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_dbt_once_and_what_it_did_is_published(project, number):
    child = subprocess.Popen(
        [sys.executable, "-m", "qalita_action", "run", "--publish", "never", "--", sys.executable, "dbt.py",
         "source", "wait"],
        cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(project)}, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not (project / "target" / "manifest.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 2, err
    assert out.count("interrupted once") == 1
    told = document(project)
    assert (told["run"]["extent"], told["run"]["dbt_exit_code"]) == ("partial", 2)
    assert "interrupted" in told["run"]["extent_reason"]


def test_a_failure_that_no_row_explains_is_a_reason_of_its_own(project):
    path = project / "source" / "run_results.json"
    results = json.loads(path.read_text())
    results["results"] = [r for r in results["results"] if r["status"] in ("pass", "success")]
    path.write_text(json.dumps(results))
    process = wrapped(project, "1")
    assert process.returncode == 1
    assert "dbt exited with 1, and no row of its results says why" in process.stdout


def test_the_target_path_of_dbts_own_command_line_is_followed(project):
    script = (project / "dbt.py").read_text().replace('Path("target")', 'Path("elsewhere")')
    (project / "dbt.py").write_text(script)
    command = ("--", sys.executable, "dbt.py", "source", "1", "--target-path=elsewhere")
    process = run("run", "--publish", "never", *command, cwd=project)
    assert process.returncode == 1, process.stderr
    assert document(project)["ledger"]["data_test"]["failed"] == 5


def test_a_command_that_is_not_there(project):
    process = run("run", "--publish", "never", "--", "no-such-dbt", "build", cwd=project)
    assert process.returncode == 2
    assert "[command-missing]" in process.stderr
