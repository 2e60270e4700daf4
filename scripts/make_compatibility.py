#!/usr/bin/env python3
"""Writes docs/compatibility.md's table: each artifact set under tests/fixtures/dbt, and what comes of it.

    python scripts/make_compatibility.py            write it
    python scripts/make_compatibility.py --check    exit 1 where it is out of date

The words around the table are kept: only what stands between the two marks is written.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from qalita_action import pipeline  # noqa: E402
from qalita_action.errors import IngestError, flatten  # noqa: E402
from qalita_action.model import CIContext, Ingest  # noqa: E402
from qalita_action.settings import resolve  # noqa: E402

PAGE = ROOT / "docs" / "compatibility.md"
FIXTURES = ROOT / "tests" / "fixtures" / "dbt"
BEGIN, END = "<!-- <runs: written by scripts/make_compatibility.py> -->\n", "<!-- </runs> -->\n"
NOW = datetime(2026, 12, 1, tzinfo=timezone.utc)
KINDS = {"data_test": "tests", "unit_test": "unit tests", "freshness": "freshness"}
ORDER = ("passed", "warned", "failed", "errored", "skipped", "reused", "vanished", "unknown", "not run")
# Sets that are named for a command and ran it alone; where commands.txt tells more, that is shown.
COMMANDS = {"docs_generate": "docs generate", "source_freshness": "source freshness"}
# What the sets that were made by hand did: the folder's name is no command.
TOLD = {
    "fail_fast": "build --fail-fast",
    "freshness_ok": "source freshness",
    "microbatch_partial": "run, a micro-batch fails",
    "model_compile_error_build": "build, a model does not compile",
    "nothing_selected": "build, nothing is selected",
    "parse_error_stale": "test, then a parse error",
    "retry": "run, then retry",
    "secrets": "run --vars, with a secret",
    "seq_build_then_docs": "build, then docs generate",
    "seq_run_then_test": "run, then test",
    "seq_test_then_compile": "test, then compile",
    "store_failures_flag": "test --store-failures",
    "target_path_flag": "build --target-path",
    "unicode": "build, names beyond ASCII",
}


class Row(NamedTuple):
    """One artifact set. told_exit: our exit code where we are told dbt's by --dbt-exit-code."""

    version: str
    name: str
    command: str
    dbt_exit: int
    exit: int
    told_exit: int
    came_out: str


def sets() -> list[Path]:
    return sorted(p.parent for p in FIXTURES.rglob("exit_code.txt"))


def command_of(folder: Path) -> str:
    told = folder / "commands.txt"
    if not told.exists():
        return TOLD.get(folder.name) or COMMANDS.get(folder.name, folder.name)
    lines = told.read_text("utf-8").splitlines()
    shown = ["a model is broken" if line.startswith("#") else line.partition("dbt ")[2] for line in lines]
    return ", then ".join(shown)


def version_of(folder: Path) -> str:
    parts = folder.relative_to(FIXTURES).parts
    return parts[1] if parts[0] == "made" else parts[0]


def outcome(folder: Path, **told: str) -> tuple[int, Ingest | None, IngestError | None]:
    """What `qalita-ingest dbt FOLDER --publish never` answers, without its reports."""
    flags = {"path": str(folder), "publish": "never", **told}
    world = pipeline.World(env={}, workspace=folder, now=lambda: NOW)
    try:
        done = pipeline.run(resolve(flags, {}, {}), CIContext(), world)
    except IngestError as e:
        return int(e.exit_code), None, e
    return int(done.exit_code), done.plan.ingests[0], None


def counts(ingest: Ingest) -> Iterator[str]:
    """`tests 3 passed, 1 failed`, for each kind of check that there is."""
    found: dict[str, Counter[str]] = {}
    for check, result in zip(ingest.checks, ingest.results, strict=True):
        word = "vanished" if result.reason == "vanished" else result.status.replace("_", " ")
        found.setdefault(check.kind, Counter())[word] += 1
    for kind, shown in KINDS.items():
        if kind in found:
            yield f"{shown}: " + ", ".join(f"{found[kind][w]} {w}" for w in ORDER if found[kind][w])


def built(ingest: Ingest) -> str:
    """`tables: 9 passed, 1 errored`, of those that this run built or tried to."""
    found = Counter(d.run.status.replace("_", " ") for d in ingest.datasets if d.run)
    del found["not run"]
    words = ("passed", "errored", "partial", "skipped")
    return "tables: " + ", ".join(f"{found[w]} {w}" for w in words if found[w]) if found else ""


def came_out(ingest: Ingest | None, error: IngestError | None) -> str:
    if error is not None:
        codes = ", ".join(f"[{e.code}](errors.md#{e.code})" for e in flatten(error))
        return f"refused: {codes}"
    assert ingest is not None
    run = ingest.run
    extent = f"{run.extent} ({run.extent_reason})" if run.extent_reason else run.extent
    return "; ".join(filter(None, (f"{run.verdict}, {extent}", *counts(ingest), built(ingest))))


def row(folder: Path) -> Row:
    dbt_exit = int(folder.joinpath("exit_code.txt").read_text().split()[-1])
    exit_code, ingest, error = outcome(folder)
    told_exit, *_ = outcome(folder, dbt_exit_code=str(dbt_exit))
    return Row(
        version=version_of(folder),
        name=str(folder.relative_to(FIXTURES)),
        command=command_of(folder),
        dbt_exit=dbt_exit,
        exit=exit_code,
        told_exit=told_exit,
        came_out=came_out(ingest, error),
    )


def in_order(version: str) -> list[tuple[int, str]]:
    """1.10 after 1.9; what is no number, such as rc196, by its letters."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in version.split(".")]


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def table(rows: list[Row]) -> str:
    lines: list[str] = []
    for version in sorted({r.version for r in rows}, key=in_order):
        lines += ["", f"### dbt {version}", ""]
        lines += ["| dbt | its exit | ours | what came out |", "|---|---:|---:|---|"]
        for r in rows:
            if r.version == version:
                ours = str(r.exit) if r.exit == r.told_exit else f"{r.exit}, told {r.told_exit}"
                lines.append(f"| `{cell(r.command)}` | {r.dbt_exit} | {ours} | {cell(r.came_out)} |")
    return "\n".join([*lines[1:], ""])


def page(text: str) -> str:
    head, begun, rest = text.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not (begun and ended):
        raise SystemExit(f"{PAGE} has no {BEGIN.strip()} and {END.strip()}")
    return head + BEGIN + table([row(folder) for folder in sets()]) + END + tail


def main(arguments: list[str]) -> int:
    before = PAGE.read_text("utf-8")
    after = page(before)
    if after == before:
        return 0
    if "--check" in arguments:
        print(f"{PAGE.relative_to(ROOT)}: out of date")
        return 1
    PAGE.write_text(after, "utf-8")
    print(f"{PAGE.relative_to(ROOT)}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
