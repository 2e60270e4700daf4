"""A job that is cancelled in the middle of publishing: nothing is left running on the platform, and the run is in a
file. The command in a process of its own, real signals at chosen calls, a platform over sockets."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from qalita_action import sandbox
from qalita_action.publish import spool
from tests.artifact_sets import BASE
from tests.command import run
from tests.loopback import before, serving

BUILD = BASE / "1.10" / "build"


@pytest.fixture
def platform(tmp_path):
    with sandbox.running(tmp_path / "platform.db") as running:
        yield running


def cancelled(platform, folder: Path, api: str, call: str, *, when: str, signals=(signal.SIGTERM,)):
    """Exit code and words of `dbt`, to which signals are sent while the platform has that call, before or after it
    did its work."""
    children: list[subprocess.Popen] = []

    def hit(seen, n):
        if n == 1 and re.fullmatch(call, f"{seen.method} {seen.path.partition('?')[0]}"):
            for number in signals:
                children[0].send_signal(number)
                time.sleep(0.3)

    account = {"QALITA_WORKER_TOKEN": platform.token, "PATH": os.environ["PATH"], "HOME": str(folder)}
    with serving(before(platform.url, **{when: hit})) as server:
        command = [
            sys.executable,
            "-m",
            "qalita_action",
            "dbt",
            str(BUILD),
            "--fail-on",
            "never",
            "--api",
            api,
        ]
        child = subprocess.Popen(
            command, cwd=folder, env={**account, "QALITA_WORKER_ENDPOINT": server.url, "LC_ALL": "C.UTF-8"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        children.append(child)
        told, _ = child.communicate(timeout=60)
    return child.returncode, told


def rows(platform, query: str) -> list[tuple]:
    with closing(sqlite3.connect(platform.database)) as db, db:
        found = db.execute(query).fetchall()
    db.close()
    return found


JOBS = "select status from jobs where kind = 'pack' order by id"
EVERYWHERE = [
    ("GET /api/v2/packs", "after"),
    ("POST /api/v1/sources/publish", "after"),
    ("POST /api/v2/jobs/create", "instead"),
    ("POST /api/v2/jobs/create", "after"),
    ("POST /api/v1/metrics/upload", "instead"),
    ("POST /api/v1/figures/upload", "after"),
    ("POST /api/v1/jobs/1/outputs", "after"),
    ("PUT /api/v2/jobs/1", "instead"),
    ("PUT /api/v2/jobs/1", "after"),
]


@pytest.mark.parametrize(("call", "when"), EVERYWHERE)
def test_no_job_is_left_running_and_the_run_is_kept(platform, tmp_path, call, when):
    code, told = cancelled(platform, tmp_path, "results", call, when=when)
    assert code == 143, told
    assert "terminated" in told
    assert not {"running", "pending"} & {status for (status,) in rows(platform, JOBS)}
    (path,) = (tmp_path / "qalita-spool").glob("*.json.gz")
    waiting = spool.read(path)
    account = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
    later = run("replay", "qalita-spool", "--api", "results", cwd=tmp_path, env=account)
    assert later.returncode == 0, later.stdout + later.stderr
    states = [status for (status,) in rows(platform, JOBS)]
    assert states.count("succeeded") == 1 and set(states) <= {"succeeded", "failed"}
    identities = rows(
        platform, "select key, scope, count(*) from metrics group by key, scope having count(*) > 1"
    )
    assert identities == [], "no number stands twice"
    assert rows(platform, "select count(*) from recommendations") == [(len(waiting.causes),)]


def test_a_runner_asks_twice_and_the_job_is_closed_all_the_same(platform, tmp_path):
    """GitHub sends SIGINT and, seconds later, SIGTERM."""
    signals = (signal.SIGINT, signal.SIGTERM)
    code, told = cancelled(
        platform, tmp_path, "results", "POST /api/v1/metrics/upload", when="instead", signals=signals
    )
    assert code == 130, told
    assert rows(platform, JOBS) == [("failed",)]
    assert list((tmp_path / "qalita-spool").glob("*.json.gz"))


@pytest.mark.parametrize("call", ["PUT .*/runs/[0-9a-f]+", "PUT .*/results/0", "POST .*/complete"])
def test_the_ingestion_api_resumes(platform, tmp_path, call):
    code, told = cancelled(platform, tmp_path, "ingestion", call, when="instead")
    assert code == 143, told
    (path,) = (tmp_path / "qalita-spool").glob("*.json.gz")
    waiting = spool.read(path)
    account = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
    assert run("replay", "qalita-spool", cwd=tmp_path, env=account).returncode == 0
    assert rows(platform, "select key, state from runs") == [(waiting.run.key, "complete")]
    assert rows(platform, "select count(*) from results") == [(len(waiting.results),)]
