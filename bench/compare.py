"""The whole command against bare `json.load` of the same two files, in one run: ratios, not times.

    python bench/make_large.py bench/data/large --sql 2300    # 110 MB of manifest, 30,000 tests
    python bench/compare.py bench/data/large

Each line is the median of --runs child processes: wall clock and peak memory, Python's start included.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PARSERS = {
    "json.load": "import json,sys; [json.load(open(p, encoding='utf-8')) for p in sys.argv[1:]]",
    "dbt-artifacts-parser": (
        "import json,sys; from dbt_artifacts_parser import parser as p;"
        "p.parse_manifest(json.load(open(sys.argv[1]))); p.parse_run_results(json.load(open(sys.argv[2])))"
    ),
}


def measure(command: list[str], cwd: str) -> tuple[float, float]:
    """(seconds, megabytes of peak resident memory)."""
    start = time.perf_counter()
    child = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = child.stderr.read() if child.stderr else b""
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(f"{command} failed:\n{error.decode()}")
    return seconds, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--peers", action="store_true", help="dbt-artifacts-parser too, where it is installed"
    )
    args = parser.parse_args()
    files = [str((args.folder / f"{n}.json").absolute()) for n in ("manifest", "run_results")]
    ours = [sys.executable, "-m", "qalita_action", "dbt", "--manifest", files[0], "--results", files[1]]
    commands = {
        "json.load": [sys.executable, "-c", PARSERS["json.load"], *files],
        "dbt --dry-run --output json": [*ours, "--dry-run", "--output", "json"],
        "dbt --api folder": [*ours, "--api", "folder", "--fail-on", "never"],
        "dbt --publish never": [*ours, "--publish", "never", "--fail-on", "never"],
    }
    if args.peers:
        commands["dbt-artifacts-parser"] = [sys.executable, "-c", PARSERS["dbt-artifacts-parser"], *files]
    sizes = " + ".join(f"{Path(f).stat().st_size / 1e6:.0f} MB" for f in files)
    print(f"{sizes}, median of {args.runs}, Python {sys.version.split()[0]}\n")
    base = None
    print(f"| {'what':<30} | seconds | x json.load | MB |\n|{'-' * 32}|---:|---:|---:|")
    for name, command in commands.items():
        pairs = []
        for _ in range(args.runs):
            scratch = tempfile.mkdtemp()
            pairs.append(measure(command, scratch))
            shutil.rmtree(scratch)
        seconds = statistics.median(p[0] for p in pairs)
        memory = statistics.median(p[1] for p in pairs)
        base = base or seconds
        print(f"| {name:<30} | {seconds:.2f} | {seconds / base:.2f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
