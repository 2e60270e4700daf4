"""How long a history takes to be published to the stand-in in another process, and what memory it needs.

    python bench/backfill.py                     300 runs of 400 tests, each with a manifest of 2 MB
    python bench/backfill.py --runs 2000 --keep bench/data/history

Client and platform share this machine's cores, so figures are upper bounds; what each used of the processor
is printed beside them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

from make_large import make

SERVER = """
import sys
from pathlib import Path
from qalita_action import sandbox
sandbox.serve("127.0.0.1", 0, Path(sys.argv[1]))
"""
MODELS, TESTS, SQL = 100, 400, 1200
YEAR = 8760
START = datetime(2025, 1, 1)  # noqa: DTZ001 - dbt's own form is written by hand


def make_history(folder: Path, runs: int) -> int:
    """Bytes of a manifest. Each run has one of its own, as dbt writes a new one each time; a check in a
    hundred fails, another one each day."""
    with contextlib.redirect_stdout(None):
        make(folder / "base", MODELS, TESTS, SQL, 0.0)
    manifest = json.loads((folder / "base" / "manifest.json").read_text())
    results = json.loads((folder / "base" / "run_results.json").read_text())
    before, after = json.dumps(manifest).split(json.dumps(manifest["metadata"]), 1)
    rng = random.Random(11)
    tests = [row for row in results["results"] if row["unique_id"].startswith("test.")]
    for n in range(runs):
        at = (START + timedelta(hours=n)).isoformat(timespec="microseconds") + "Z"
        said = {"generated_at": at, "invocation_id": str(uuid.UUID(int=rng.getrandbits(128)))}
        results["metadata"].update(said)
        if n % 24 == 0:
            for row in tests:
                bad = rng.random() < 0.01
                row.update(status="fail" if bad else "pass", failures=3 if bad else 0)
        target = folder / "runs" / f"{at[:10]}" / f"{n:06d}"
        target.mkdir(parents=True)
        metadata = json.dumps({**manifest["metadata"], **said})
        (target / "manifest.json").write_text(f"{before}{metadata}{after}")
        (target / "run_results.json").write_text(json.dumps(results))
    return (folder / "base" / "manifest.json").stat().st_size


def published(folder: Path, endpoint: str, token: str) -> tuple[float, float, float]:
    """Seconds, seconds of the client's processor, MB at its peak."""
    env = {**os.environ, "QALITA_WORKER_ENDPOINT": endpoint, "QALITA_WORKER_TOKEN": token}
    command = [sys.executable, "-m", "qalita_action", "dbt", "runs", "--since", "all"]
    began = time.monotonic()
    child = subprocess.Popen(command, cwd=folder, env=env)
    _, status, usage = os.wait4(child.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit("the history was not published")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


def account(platform: subprocess.Popen[str]) -> tuple[str, str]:
    out: IO[str] | None = platform.stdout
    assert out is not None
    _, url, token = (out.readline().strip().partition("=")[2] for _ in range(3))
    return url, token


def main() -> None:
    parser = argparse.ArgumentParser(description="Publishing a history.")
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--keep", type=Path, help="a folder for the history, made once")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = (given.keep or Path(name)).resolve()
        size = 0
        if not (folder / "runs").exists():
            size = make_history(folder, given.runs)
            print(f"{given.runs:,} runs of {TESTS} tests, manifests of {size / 1e6:.1f} MB", flush=True)
        command = [sys.executable, "-c", SERVER, str(Path(name) / "platform.db")]
        platform = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        url, token = account(platform)
        try:
            first = published(folder, url, token)
            again = published(folder, url, token)
        finally:
            platform.terminate()
            platform.wait(30)
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        theirs = spent.ru_utime + spent.ru_stime - first[1] - again[1]
        for what, (took, cpu, peak) in (("published", first), ("there already", again)):
            rate = given.runs / took
            print(
                f"{what}: {took:.1f} s, {rate:.1f} runs a second, a year of hours in {YEAR / rate / 60:.1f}"
                f" min; {cpu:.1f} s of our processor, {peak:.0f} MB"
            )
        print(f"the stand-in's processor: {theirs:.1f} s")


if __name__ == "__main__":
    main()
