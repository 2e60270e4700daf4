"""Is the cost per megabyte the same at 25, 110 and 440 MB of manifest? One run, medians, a table.

    python bench/scaling.py                       makes bench/data/scaling/<size> where it is not there
    python bench/scaling.py --runs 5 --sizes 25 110

Measured is `dbt --dry-run --output json` in a process of its own. CPU time (user and system) rather than the
clock: another job on the machine then changes little. Peak memory is that of the process. What the process
costs with no artifacts at all is taken off both, and shown. The last lines compare the cost of a further
megabyte between two sizes, which no fixed cost can flatter: from 110 to 440 against from 25 to 110.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from make_large import make

# Megabytes of manifest -> what make_large.py needs for it, all in proportion.
MODELS_PER_MB, TESTS_PER_MB, SQL = 5000 / 110, 30_000 / 110, 2300
DATA = Path(__file__).parent / "data" / "scaling"
WISH = 0.15


class Cost(NamedTuple):
    """Seconds of CPU and megabytes at the peak, medians."""

    cpu_s: float
    peak_mb: float


class Step(NamedTuple):
    """What a further megabyte of manifest costs between two sizes."""

    name: str
    cpu_ms: float
    peak_mb: float


def folder_of(megabytes: int) -> Path:
    """Artifacts of about that size, made in a child, so that its memory is not ours."""
    folder = DATA / str(megabytes)
    if not (folder / "run_results.json").exists():
        child = os.fork()
        if child == 0:
            make(folder, round(megabytes * MODELS_PER_MB), round(megabytes * TESTS_PER_MB), SQL, 0.01)
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            raise SystemExit(f"the {megabytes} MB could not be made")
    return folder


def measure(command: list[str]) -> Cost:
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = child.stderr.read() if child.stderr else b""
    _, status, usage = os.wait4(child.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{command} failed:\n{error.decode()}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)


def median(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(c.cpu_s for c in costs), statistics.median(c.peak_mb for c in costs))


def step(small: tuple[float, Cost], large: tuple[float, Cost]) -> Step:
    (from_mb, before), (to_mb, after) = small, large
    more = to_mb - from_mb
    return Step(
        f"{from_mb:.0f} to {to_mb:.0f} MB",
        (after.cpu_s - before.cpu_s) / more * 1000,
        (after.peak_mb - before.peak_mb) / more,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[25, 110, 440], metavar="MB")
    args = parser.parse_args()
    program = [sys.executable, "-m", "qalita_action", "dbt"]
    # Everything is imported and nothing is read: the document of a real run of a few tables.
    tiny = Path(__file__).parent.parent / "tests" / "fixtures" / "dbt" / "1.10" / "build"
    folders = [folder_of(size) for size in args.sizes]
    costs: dict[Path, list[Cost]] = {folder: [] for folder in [tiny, *folders]}
    for _ in range(args.runs):  # in turn, so that a busy minute of the machine falls on every size
        for folder, measured in costs.items():
            measured.append(measure([*program, str(folder), "--dry-run", "--output", "json"]))
    base = median(costs.pop(tiny))
    print(f"median of {args.runs}, Python {sys.version.split()[0]}; a run of a few tables: ", end="")
    print(f"{base.cpu_s:.2f} s of CPU, {base.peak_mb:.0f} MB\n")
    print("| manifest MB | results MB | CPU s | peak MB | CPU ms / MB | peak MB / MB |")
    print("|---:|---:|---:|---:|---:|---:|")
    rows: list[tuple[float, Cost]] = []
    for folder, measured in costs.items():
        size, results = ((folder / f"{n}.json").stat().st_size / 1e6 for n in ("manifest", "run_results"))
        cost = median(measured)
        rows.append((size, cost))
        cpu, peak = (cost.cpu_s - base.cpu_s) / size * 1000, (cost.peak_mb - base.peak_mb) / size
        print(
            f"| {size:.1f} | {results:.1f} | {cost.cpu_s:.2f} | {cost.peak_mb:.0f} | {cpu:.2f} | {peak:.3f} |"
        )
    steps = [step(a, b) for a, b in itertools.pairwise(rows)]
    for s in steps:
        print(f"\nfrom {s.name}: {s.cpu_ms:.2f} ms of CPU and {s.peak_mb:.3f} MB for each further MB", end="")
    print()
    bad = 0
    for before, after in itertools.pairwise(steps):
        for what, old, new in (
            ("CPU", before.cpu_ms, after.cpu_ms),
            ("memory", before.peak_mb, after.peak_mb),
        ):
            drift = new / old - 1
            bad += abs(drift) > WISH
            print(f"{what}, {after.name} against {before.name}: {drift:+.1%} (wished: within {WISH:.0%})")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
