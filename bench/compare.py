"""The whole command against bare `json.load` of the same two files, in one run: ratios, not times.

    python bench/make_large.py bench/data/large --sql 2300    # 110 MB of manifest, 30,000 tests
    python bench/compare.py bench/data/large

Every round runs each command once, so that a neighbour's load falls on all of them alike; each figure is the
median over the rounds, of whole child processes, Python's start and end included. A ratio is the median of
the rounds' own ratios. CPU is user and system time together: it says the same on a busy machine. Modules are
compiled before, as pip leaves them.
"""

from __future__ import annotations

import argparse
import compileall
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

BASE = "json.load"
PARSERS = {
    BASE: "import json,sys; [json.load(open(p, encoding='utf-8')) for p in sys.argv[1:]]",
    "dbt-artifacts-parser": (
        "import json,sys; from dbt_artifacts_parser import parser as p;"
        "p.parse_manifest(json.load(open(sys.argv[1]))); p.parse_run_results(json.load(open(sys.argv[2])))"
    ),
}


class Run(NamedTuple):
    """Seconds of the clock, seconds of CPU, megabytes of peak resident memory."""

    wall: float
    cpu: float
    memory: float


def measure(command: list[str]) -> Run:
    """One child, in a folder of its own."""
    scratch = tempfile.mkdtemp()
    start = time.perf_counter()
    child = subprocess.Popen(command, cwd=scratch, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = child.stderr.read() if child.stderr else b""
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    shutil.rmtree(scratch)
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(f"{command} failed:\n{error.decode()}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument(
        "--peers", action="store_true", help="dbt-artifacts-parser too, where it is installed"
    )
    args = parser.parse_args()
    files = [str((args.folder / f"{n}.json").absolute()) for n in ("manifest", "run_results")]
    ours = [sys.executable, "-m", "qalita_action", "dbt", "--manifest", files[0], "--results", files[1]]
    commands = {
        BASE: [sys.executable, "-c", PARSERS[BASE], *files],
        "dbt --dry-run --output json": [*ours, "--dry-run", "--output", "json"],
        "dbt --api folder": [*ours, "--api", "folder", "--fail-on", "never"],
        "dbt --publish never": [*ours, "--publish", "never", "--fail-on", "never"],
    }
    if args.peers:
        commands["dbt-artifacts-parser"] = [sys.executable, "-c", PARSERS["dbt-artifacts-parser"], *files]
    sizes = " + ".join(f"{Path(f).stat().st_size / 1e6:.0f} MB" for f in files)
    print(f"{sizes}, median of {args.runs} rounds, Python {sys.version.split()[0]}\n")
    compileall.compile_dir(Path(__file__).parent.parent / "qalita_action", quiet=1)
    rounds = [{name: measure(command) for name, command in commands.items()} for _ in range(args.runs)]
    print(f"| {'what':<28} | wall s | x json.load | CPU s | x json.load | MB |")
    print(f"|{'-' * 30}|---:|---:|---:|---:|---:|")
    for name in commands:
        wall, cpu, memory = (median(column) for column in zip(*(r[name] for r in rounds), strict=True))
        of_wall = median(r[name].wall / r[BASE].wall for r in rounds)
        of_cpu = median(r[name].cpu / r[BASE].cpu for r in rounds)
        print(f"| {name:<28} | {wall:.2f} | {of_wall:.2f} | {cpu:.2f} | {of_cpu:.2f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
