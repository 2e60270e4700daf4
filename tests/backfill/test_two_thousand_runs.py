"""2,000 runs to the stand-in: undisturbed; killed three times and restarted, once from another commit and another
folder; in three parts, one after the other and at once. The databases are the same, row by row.

The seed is printed; QALITA_BACKFILL_SEED repeats it, QALITA_BACKFILL_N says how many runs.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.histories import assert_same, complete_runs, contents, make_history, settle

N = int(os.environ.get("QALITA_BACKFILL_N") or 2000)
SEED = os.environ.get("QALITA_BACKFILL_SEED") or str(random.SystemRandom().randrange(10**9))
SERVER = """
import sys
from pathlib import Path
from qalita_action import sandbox
sandbox.serve("127.0.0.1", 0, Path(sys.argv[1]))
"""
GIT = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_CONFIG_NOSYSTEM": "1"}
GIT |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com"}


class Platform:
    def __init__(self, url: str, token: str, database: Path) -> None:
        self.url, self.token, self.database = url, token, database

    def start(self, cwd: Path, path: str, *args: str) -> subprocess.Popen:
        env = {"PATH": os.environ["PATH"], "HOME": str(cwd), "LC_ALL": "C.UTF-8", "PYTHONWARNINGS": "error"}
        env |= {"QALITA_WORKER_ENDPOINT": self.url, "QALITA_WORKER_TOKEN": self.token}
        command = [sys.executable, "-m", "qalita_action", "dbt", path, "--since", "all", *args]
        return subprocess.Popen(
            command, cwd=cwd, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )


def finished(*children: subprocess.Popen) -> None:
    for child in children:
        told, _ = child.communicate(timeout=900)
        assert child.returncode == 0, told
        assert "unreadable 0 · not delivered 0" in told, told


@contextmanager
def platform(folder: Path, name: str):
    database = folder / f"{name}.db"
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(database)], stdout=subprocess.PIPE, text=True, cwd=folder
    )
    lines = [process.stdout.readline().strip() for _ in range(3)]
    try:
        yield Platform(lines[1].partition("=")[2], lines[2].partition("=")[2], database)
        settle(database)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()


@pytest.fixture
def folder():
    """In memory where there is such a place: 8,000 publishes wait for the disk some ten thousand times."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name).resolve()


def git(folder: Path, *arguments: str) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), **GIT}
    subprocess.run(["git", "-C", str(folder), *arguments], env=env, check=True, capture_output=True)


def undisturbed(folder: Path) -> Path:
    with platform(folder, "undisturbed") as there:
        finished(there.start(folder, "runs"))
        assert complete_runs(there.database) == N
        assert not (folder / "qalita-spool").exists()
    return there.database


def killed(folder: Path) -> Path:
    rng = random.Random(SEED)
    checkout, elsewhere = folder / "checkout", folder / "elsewhere"
    for place in (checkout, elsewhere):
        place.mkdir()
    (checkout / "runs").symlink_to(folder / "runs")
    git(checkout, "init", "--quiet", "--initial-branch=main")
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "one")
    moments = sorted(rng.sample(range(N // 20, N - N // 20), 3))
    places = [(checkout, "runs"), (checkout, "runs"), (elsewhere, str(folder / "runs"))]
    with platform(folder, "killed") as there:
        for n, (moment, (cwd, path)) in enumerate(zip(moments, places, strict=True)):
            child = there.start(cwd, path)
            while complete_runs(there.database) < moment:
                assert child.poll() is None, child.communicate()
                time.sleep(0.02)
            time.sleep(rng.random() * 0.05)
            child.kill()
            assert child.wait() == -signal.SIGKILL
            child.stdout.close()
            if n == 1:
                git(checkout, "checkout", "--quiet", "-b", "another")
                git(checkout, "commit", "--quiet", "--allow-empty", "--message", "two")
        assert complete_runs(there.database) < N
        finished(there.start(checkout, "runs"))
        assert complete_runs(there.database) == N
        assert not (checkout / "qalita-spool").exists(), "what an attempt that was killed kept is taken away"
    return there.database


def in_parts(folder: Path, name: str, *, at_once: bool) -> Path:
    with platform(folder, name) as there:
        (folder / name).mkdir()
        children = []
        for part in range(3):
            children.append(there.start(folder / name, str(folder / "runs"), "--shard", f"{part}/3"))
            if not at_once:
                finished(children[-1])
        if at_once:
            finished(*children)
        assert complete_runs(there.database) == N
        assert not (folder / name / "qalita-spool").exists()
    return there.database


def test_two_thousand_runs_are_the_same_however_they_came(folder):
    print(f"\nQALITA_BACKFILL_SEED={SEED}")
    make_history(folder / "runs", N, seed=int(SEED))
    with ThreadPoolExecutor(2) as pool:  # two stand-ins for two cores
        one = pool.submit(undisturbed, folder)
        rest = [
            pool.submit(killed, folder),
            pool.submit(in_parts, folder, "parts", at_once=False),
            pool.submit(in_parts, folder, "at-once", at_once=True),
        ]
        expected, others = one.result(), [r.result() for r in rest]
    for other in others:
        assert_same(expected, other)
    rows = {table: sum(found.values()) for table, found in contents(expected).items()}
    print(rows)
    assert rows["runs"] == rows["jobs"] == N and rows["issues"] >= 6
    again = [dict(issue)["times_opened"] > 1 for issue in contents(expected)["issues"]]
    assert any(again), "issues opened, were resolved, and opened again"
