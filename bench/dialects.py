"""What each dialect of a large red run costs and weighs: 30,000 checks, of which 5,000 fail.

    python bench/dialects.py [--runs 5]

Seconds of CPU, the median of the runs, and bytes beside the limit of whoever reads them. The view is what all
of them share; lines are looked up in the YAML that declares the checks, 100 files of it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import zlib
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import msgspec
import report_samples as samples

from qalita_action.report.build import build
from qalita_action.report.comment import comment
from qalita_action.report.console import console
from qalita_action.report.files import Repository
from qalita_action.report.github import annotate, outputs
from qalita_action.report.github_summary import SUMMARY_LIMIT, summary
from qalita_action.report.gitlab import DOTENV_BYTES, code_quality, dotenv, job_links
from qalita_action.report.html import html
from qalita_action.report.junit import LIMIT, junit
from qalita_action.report.lines import locate

if TYPE_CHECKING:
    from collections.abc import Callable

    from qalita_action.model import Ingest

MB = 1_000_000
FILES = 100


def declared(document: Ingest, folder: Path) -> Ingest:
    """The same document, its checks declared in files that are there."""
    names = {dataset.key: dataset.name for dataset in document.datasets}
    tests: dict[str, dict[str, list[str]]] = {}
    checks = []
    for check in document.checks:
        dataset = check.dataset or ""
        path = f"models/schema_{zlib.crc32(dataset.encode()) % FILES}.yml"
        tests.setdefault(path, {}).setdefault(dataset, []).append(check.column or "")
        checks.append(msgspec.structs.replace(check, path=path))
    for path, tables in tests.items():
        lines = ["models:"]
        for dataset, columns in tables.items():
            lines += [f"  - name: {names[dataset]}", "    columns:"]
            for column in columns:
                lines += [f"      - name: {column}", "        data_tests:", "          - not_null"]
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("\n".join(lines), "utf-8")
    return msgspec.structs.replace(document, checks=tuple(checks))


def weight(made: Any) -> int:
    if isinstance(made, bytes):
        return len(made)
    if isinstance(made, str):
        return len(made.encode())
    return sum(weight(part) for part in made) if isinstance(made, (tuple, list)) else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    scratch = tempfile.TemporaryDirectory()
    document = declared(samples.large(), Path(scratch.name))
    verdict = samples.gate(document)
    failed = sum(result.status == "failed" for result in document.results)
    print(f"{len(document.checks):,} checks, {failed:,} failed")
    with scratch as folder:
        spots = {document.run.key: locate(document, "", Repository(folder))}
        found = sum(spot.line is not None for spot in spots[document.run.key].checks.values())
        print(f"{found:,} lines found\n")
        view = build([document], verdict, spots=spots, every=True)
        told = outputs(view, report="r", page="p", junit="j", summary="s")
        work: dict[str, tuple[Callable[[], Any], int]] = {
            "lines": (lambda: locate(document, "", Repository(folder)), 0),
            "view": (lambda: build([document], verdict, spots=spots, every=True), 0),
            "console": (lambda: console(view, color=False, written="report.html"), 0),
            "job summary": (lambda: summary(view), SUMMARY_LIMIT),
            "annotations": (lambda: annotate(view), 0),
            "comment": (lambda: comment([document], view, mention_owners=False).body, 65_536),
            "HTML page": (lambda: html(view), 20 * 1024 * 1024),
            "JUnit": (lambda: junit(view), LIMIT),
            "Code Quality": (lambda: code_quality(view), 0),
            "job links": (lambda: job_links(view, "p"), 0),
            "dotenv": (lambda: dotenv(told), DOTENV_BYTES),
        }
        total = 0.0
        print(f"{'dialect':<14} {'CPU s':>7} {'bytes':>12} {'limit':>12}")
        for name, (make, limit) in work.items():
            times = []
            for _ in range(runs):
                began = time.process_time()
                made = make()
                times.append(time.process_time() - began)
            spent = median(times)
            total += spent
            size = weight(made)
            if limit and size > limit:
                raise SystemExit(f"{name}: {size:,} bytes, more than {limit:,}")
            print(f"{name:<14} {spent:>7.3f} {size or '':>12} {limit or '':>12}")
    print(f"{'together':<14} {total:>7.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
