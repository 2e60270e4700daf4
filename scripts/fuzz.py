#!/usr/bin/env python3
"""Any bytes in place of any artifact: a document, or an error that says what to do. Never a traceback.

    python scripts/fuzz.py --seconds 60            a minute of cases, the seed is printed
    python scripts/fuzz.py --seed 7 --only 1234    one case again

A case takes the artifacts of one real run, breaks one to three of them, and sends them through everything
that the command does without a network: locate, read, map, judge, render, and list the requests. It fails
where anything but an error of our own comes out, where the document is no JSON, and where more checks passed
than the files have rows that say `pass`. Case N of a seed is always the same case.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import random
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from fuzz_changes import BYTES, MUTATIONS, spots, walk, written  # noqa: E402

from qalita_action import mapping, publish, report  # noqa: E402
from qalita_action.dbt import Places, Vetting, locate, read  # noqa: E402
from qalita_action.errors import ExitCode, IngestError, flatten  # noqa: E402
from qalita_action.model import (  # noqa: E402
    CIContext,
    Gate,
    Ingest,
    Policy,
    ReportOptions,
    Target,
    Tool,
    to_json,
)

FIXTURES = ROOT / "tests" / "fixtures" / "dbt"
SEEDS = (
    "1.5/build", "1.8/test", "1.10/build", "1.10/awkward/microbatch_partial", "1.10/awkward/retry",
    "1.10/awkward/unicode", "2.0rc196/build", "made/1.3/build_then_freshness",
    "made/1.11/build_then_freshness", "made/1.11/docs_generate",
)  # fmt: skip
KINDS = ("manifest", "run_results", "sources", "catalog")
TOOL = Tool(name="qalita-dbt-ingest", version="0.0.0")
CLEAN = (ExitCode.SETTINGS, ExitCode.ARTIFACTS)


# ---------------------------------------------------------------- one real run, small enough to be quick


def load(name: str) -> dict[str, Any]:
    """kind -> content of one fixture, without what the program never looks at."""
    found = {}
    for kind in KINDS:
        path = FIXTURES / name / f"{kind}.json.gz"
        if path.exists():
            found[kind] = json.loads(gzip.decompress(path.read_bytes()))
    for unused in ("macros", "docs", "parent_map", "child_map"):
        found["manifest"].pop(unused, None)
    for node in found["manifest"]["nodes"].values():
        for unused in ("raw_code", "compiled_code", "unrendered_config"):
            node.pop(unused, None)
    return found


# ---------------------------------------------------------------- one case


def case(rng: random.Random, corpus: dict[str, dict[str, bytes]]) -> tuple[str, dict[str, bytes]]:
    """What was done, for people; file name -> bytes."""
    name = rng.choice(list(corpus))
    files = dict(corpus[name])
    told = [name]
    for kind in rng.sample(list(files), rng.randrange(1, min(3, len(files)) + 1)):
        if rng.random() < 0.75:
            content = json.loads(files[kind])
            for _ in range(rng.choice((1, 1, 2, 5, 30))):
                spot = walk(rng, content) if rng.random() < 0.7 else rng.choice(spots(content) or [None])
                if spot is not None:
                    mutation = rng.choice(MUTATIONS)
                    mutation(rng, spot)
                    told.append(f"{kind}: {mutation.__name__} {str(spot[1])[:60]!r}")
            files[kind] = written(content)
        else:
            change = rng.choice(BYTES)
            files[kind] = change(rng, files[kind])
            told.append(f"{kind}: {change.__name__}")
        if rng.random() < 0.05:
            files[kind] = files[rng.choice(list(files))]
            told.append(f"{kind}: another kind of file")
    return ", ".join(told), {f"{kind}.json": data for kind, data in files.items()}


def passes_in(files: dict[str, bytes]) -> int:
    """At most so many checks passed: places where the files say `pass`, generously counted."""
    count = 0
    for data in files.values():
        if data[:2] == b"\x1f\x8b":
            try:
                data = gzip.decompress(data)  # noqa: PLW2901
            except (OSError, EOFError, ValueError, __import__("zlib").error):
                continue
        plain = data.translate(None, bytes(range(0x20)))
        count += len(re.findall(rb'"[^"]{0,8}pass[^"]{0,8}"', plain, re.IGNORECASE))
    return count


def through(folder: Path) -> Ingest:
    """Everything that the command does with these files before a byte is sent."""
    (found,) = locate(Places(path=str(folder)), folder, {})
    now = datetime(2026, 11, 24, tzinfo=timezone.utc)
    ingest = mapping.to_ingest(read(found, Vetting(on_empty="pass")), CIContext(), Policy(tool=TOOL))
    verdict = mapping.verdict((ingest,), Gate())
    document = to_json(ingest)
    assert json.loads(document)["run"]["key"] == ingest.run.key
    options = ReportOptions(
        output="text", provider="github", is_change=False, color=False, workspace=str(folder),
        directory="qalita-report", summary_path=str(folder / "summary.md"),
        outputs_path=str(folder / "outputs"), folders={},
    )  # fmt: skip
    report.render((ingest,), verdict, (), options)
    page = report.page(ingest, verdict)
    for api in ("ingestion", "results"):
        target = publish.connect(target_of(api), now=now, need_account=False)
        publish.planned(target, ingest, page)
    return ingest


def target_of(api: Any) -> Target:
    return Target(
        api=api, publish="auto", endpoint=None, token=None, ca=None, client_cert=None, client_key=None,
        verify_tls=True, timeout_s=1.0, pack="dbt_ingest", source_id=None, metrics_detail="check",
        folder="qalita-report", spool_dir="qalita-spool", tool=TOOL,
    )  # fmt: skip


class Outcome(NamedTuple):
    """word: `document` or an error's code; problem: empty, or why the case failed; seconds of CPU time."""

    number: int
    told: str
    word: str
    problem: str
    seconds: float


def attempt(number: int, seed: int, corpus: dict[str, dict[str, bytes]], folder: Path) -> Outcome:
    rng = random.Random(f"{seed}:{number}")
    told, files = case(rng, corpus)
    for old in folder.iterdir():
        old.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    start = time.process_time()
    word, problem = "document", ""
    try:
        ingest = through(folder)
        passed = sum(r.status == "passed" for r in ingest.results)
        if passed > passes_in(files):
            problem = f"{passed} checks passed and the files say so {passes_in(files)} times"
    except IngestError as e:
        word = e.code
        bad = [x for x in flatten(e) if x.exit_code not in CLEAN or not x.todo]
        if bad:
            problem = f"exit {bad[0].exit_code}, nothing to do next: {bad[0].code}"
    except BaseException as e:
        if isinstance(e, KeyboardInterrupt):
            raise
        word, problem = type(e).__name__, "".join(traceback.format_exception(e))
    return Outcome(number, told, word, problem, time.process_time() - start)


def corpus_of(names: tuple[str, ...] = SEEDS) -> dict[str, dict[str, bytes]]:
    return {n: {k: json.dumps(c).encode() for k, c in load(n).items()} for n in names}


def outcomes(seed: int, seconds: float) -> Iterator[Outcome]:
    """Cases 0, 1, 2, ... until the time is over."""
    corpus = corpus_of()
    end = time.monotonic() + seconds
    number = 0
    with tempfile.TemporaryDirectory(prefix="qalita-fuzz-") as scratch:
        while time.monotonic() < end:
            yield attempt(number, seed, corpus, Path(scratch))
            number += 1


# ---------------------------------------------------------------- the command


def run_one(seed: int, number: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix="qalita-fuzz-"))
    found = attempt(number, seed, corpus_of(), folder)
    print(f"case {number} of seed {seed}: {found.told}\n{found.word}\n{found.problem}\nfiles: {folder}")
    return 1 if found.problem else 0


def run_cases(seed: int, seconds: float) -> int:
    print(f"seed {seed}", flush=True)
    words: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    slowest = Outcome(0, "", "", "", 0.0)
    for found in outcomes(seed, seconds):
        words[found.word] += 1
        slowest = max(slowest, found, key=lambda o: o.seconds)
        if found.number % 50 == 0:
            gc.collect()
        if not found.problem:
            continue
        last = found.problem.strip().splitlines()[-1]
        where = [line.strip() for line in found.problem.splitlines() if line.strip().startswith("File")]
        told = f"{last[:150]} | {where[-1] if where else ''}"
        failed[told] += 1
        if failed[told] == 1:
            print(f"\ncase {found.number}: {found.told[:600]}\n{found.problem[-3000:]}", flush=True)
    for word, count in words.most_common():
        print(f"{count:>7} {word}")
    print(f"slowest: case {slowest.number}, {slowest.seconds:.2f} s of CPU, {slowest.told[:200]}")
    for told, count in failed.most_common():
        print(f"FAILED {count} times: {told}")
    print(f"seed {seed}: {words.total()} cases, {sum(failed.values())} failed")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, help="a new one every day without it")
    parser.add_argument("--only", type=int, metavar="N", help="case N alone; its files are kept")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else int(time.time() // 86_400)
    return run_one(seed, args.only) if args.only is not None else run_cases(seed, args.seconds)


if __name__ == "__main__":
    sys.exit(main())
