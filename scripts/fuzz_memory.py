#!/usr/bin/env python3
"""Large hostile files: the peak memory of the command stays below 6 x the file + 100 MB.

    python scripts/fuzz_memory.py                                every file, of 30 MB
    python scripts/fuzz_memory.py --megabytes 100 "tiny nodes"   some of them, larger

Each file is what a broken or malicious writer could leave: one value without end, or very many of the
smallest. The command reads them in a process of its own and answers with a document, or exit 2 or 3.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CLEAN = (0, 2, 3)
META = '{"metadata":{"dbt_schema_version":"https://schemas.getdbt.com/dbt/%s/v12.json","invocation_id":"i","project_name":"a"},'
MANIFEST, RESULTS = META % "manifest", META % "run-results"
SMALL_RESULTS = RESULTS + '"args":{"which":"test"},"results":[{"unique_id":"test.a.b","status":"pass"}]}'
SMALL_MANIFEST = MANIFEST + '"nodes":{"test.a.b":{"resource_type":"test"}}}'
MB = 1_000_000


def many(text: str, megabytes: float) -> Iterator[str]:
    """Pieces with %d counted up, parted by commas, until there are so many megabytes."""
    size, i = 0, 0
    while size < megabytes * MB:
        piece = ("," if i else "") + text.replace("%d", str(i))
        size += len(piece)
        i += 1
        yield piece


def nodes(text: str, megabytes: float) -> str:
    return MANIFEST + '"nodes":{"test.a.b":{"resource_type":"test"},' + "".join(many(text, megabytes)) + "}}"


def rows(text: str, megabytes: float) -> str:
    return RESULTS + '"args":{"which":"test"},"results":[' + "".join(many(text, megabytes)) + "]}"


def in_node(value: str) -> str:
    return MANIFEST + f'"nodes":{{"test.a.b":{{"resource_type":"test",{value}}}}}}}'


def big(megabytes: float = 30) -> dict[str, Callable[[], tuple[str, str]]]:
    """name -> (manifest, results), each written when it is asked for."""
    size = int(megabytes * MB)
    many_ints = ",".join(["7"] * (size // 2))
    half = size // 2
    return {
        "nested arrays": lambda: ("[" * half + "]" * half, SMALL_RESULTS),
        "nested arrays in meta": lambda: (
            in_node('"config":{"meta":{"a":%s}}' % ("[" * half + "]" * half)),
            SMALL_RESULTS,
        ),
        "nested objects in an unused key": lambda: (
            in_node('"unused":%s' % ('{"a":' * (size // 6) + "1" + "}" * (size // 6))),
            SMALL_RESULTS,
        ),
        "arrays never closed": lambda: (MANIFEST + '"nodes":' + "[" * size, SMALL_RESULTS),
        "one string": lambda: (in_node('"description":"%s"' % ("x" * size)), SMALL_RESULTS),
        "one string of surrogates": lambda: (
            in_node('"description":"%s"' % (r"\ud800" * (size // 6))),
            SMALL_RESULTS,
        ),
        "one string never closed": lambda: (MANIFEST + '"nodes":"' + "x" * size, SMALL_RESULTS),
        "one message": lambda: (
            SMALL_MANIFEST,
            rows('{"unique_id":"test.a.b","status":"fail","message":"%s"}' % ("x" * size), 0.0001),
        ),
        "tiny nodes": lambda: (nodes('"test.a.%d":{}', megabytes), SMALL_RESULTS),
        "tiny tests": lambda: (nodes('"test.a.%d":{"resource_type":"test"}', megabytes), SMALL_RESULTS),
        "tiny models": lambda: (nodes('"model.a.%d":{"resource_type":"model"}', megabytes), SMALL_RESULTS),
        "nodes of another type": lambda: (nodes('"test.a.%d":7', megabytes), SMALL_RESULTS),
        "nodes with an odd field": lambda: (
            nodes('"test.a.%d":{"tags":7,"name":[],"x":"' + "x" * 420 + '"}', megabytes),
            SMALL_RESULTS,
        ),
        "tests of the least weight": lambda: (
            nodes('"test.a.%d":{"resource_type":"test","x":"' + "x" * 400 + '"}', megabytes),
            SMALL_RESULTS,
        ),
        "nodes of a type that nobody knows": lambda: (
            nodes('"what.a.%d":{"x":"' + "x" * 380 + '"}', megabytes),
            SMALL_RESULTS,
        ),
        "rows of the least weight": lambda: (
            SMALL_MANIFEST,
            rows('{"unique_id":"operation.%d","status":"pass","x":"' + "x" * 80 + '"}', megabytes),
        ),
        "disabled": lambda: (
            MANIFEST + '"disabled":{' + "".join(many('"test.a.%d":[{}]', megabytes)) + "}}",
            SMALL_RESULTS,
        ),
        "rows": lambda: (SMALL_MANIFEST, rows('{"unique_id":"test.a.b","status":"pass"}', megabytes)),
        "rows of their own": lambda: (
            SMALL_MANIFEST,
            rows('{"unique_id":"test.a.%d","status":"pass"}', megabytes),
        ),
        "rows of another type": lambda: (SMALL_MANIFEST, rows("7", megabytes)),
        "empty rows": lambda: (SMALL_MANIFEST, rows("{}", megabytes)),
        "huge int": lambda: (
            SMALL_MANIFEST,
            rows('{"unique_id":"test.a.b","status":"fail","failures":%s}' % ("9" * size), 0.0001),
        ),
        "ints in a list": lambda: (in_node(f'"tags":[{many_ints}]'), SMALL_RESULTS),
        "ints in arguments": lambda: (
            in_node(f'"test_metadata":{{"name":"accepted_values","kwargs":{{"values":[{many_ints}]}}}}'),
            SMALL_RESULTS,
        ),
        "keys in meta": lambda: (
            in_node('"config":{{"meta":{{{}}}}}'.format("".join(many('"k%d":1', megabytes)))),
            SMALL_RESULTS,
        ),
        "keys in arguments": lambda: (
            in_node(
                '"test_metadata":{{"name":"x","kwargs":{{{}}}}}'.format("".join(many('"k%d":1', megabytes)))
            ),
            SMALL_RESULTS,
        ),
        "columns": lambda: (
            MANIFEST
            + '"nodes":{"test.a.b":{"resource_type":"test"},"model.a.b":{"resource_type":"model","columns":{'
            + "".join(many('"c%d":{}', megabytes))
            + "}}}}",
            SMALL_RESULTS,
        ),
        "parents": lambda: (
            in_node('"depends_on":{{"nodes":[{}]}}'.format("".join(many('"model.a.%d"', megabytes)))),
            SMALL_RESULTS,
        ),
        "keys at the top": lambda: (MANIFEST + "".join(many('"k%d":1', megabytes)) + "}", SMALL_RESULTS),
        "NaN among rows": lambda: (
            SMALL_MANIFEST,
            rows('{"unique_id":"test.a.b","status":"pass","failures":NaN}', megabytes),
        ),
        "vars": lambda: (
            SMALL_MANIFEST,
            SMALL_RESULTS.replace(
                '"which"', '"vars":{{{}}},"which"'.format("".join(many('"k%d":[1]', megabytes)))
            ),
        ),
    }


class Peak(NamedTuple):
    name: str
    file_mb: float
    peak_mb: float
    limit_mb: float
    exit_code: int
    cpu_s: float
    said: str

    @property
    def is_fine(self) -> bool:
        clean = self.exit_code in CLEAN and "Traceback" not in self.said
        return clean and self.peak_mb <= self.limit_mb


# A process of its own between us and the command: on Linux a child's peak begins at that of who started it.
MEASURE = """
import os, resource, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss, usage.ru_utime + usage.ru_stime)
"""


def peak(name: str, manifest: str, results: str, folder: Path) -> Peak:
    """The dry run of two files in a process of its own."""
    size = 0
    for file, text in (("manifest.json", manifest), ("run_results.json", results)):
        size += (folder / file).write_text(text, encoding="utf-8")
    return measured(name, size / MB, folder)


def measured(name: str, file_mb: float, folder: Path) -> Peak:
    command = [sys.executable, "-m", "qalita_action", "dbt", str(folder), "--dry-run", "--output", "json"]
    done = subprocess.run(
        [sys.executable, "-S", "-c", MEASURE, *command],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    code, kilobytes, cpu = done.stdout.split()
    limit = 6 * file_mb + 100
    return Peak(name, file_mb, int(kilobytes) * 1024 / MB, limit, int(code), float(cpu), done.stderr)


def peaks(megabytes: float, names: tuple[str, ...] = ()) -> Iterator[Peak]:
    with tempfile.TemporaryDirectory(prefix="qalita-fuzz-") as scratch:
        for name, make in big(megabytes).items():
            if not names or name in names:
                yield peak(name, *make(), Path(scratch))


def main() -> int:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of the files, all of them without it")
    parser.add_argument("--megabytes", type=float, default=30)
    args = parser.parse_args()
    print(f"| {'file':<32} | MB | peak MB | limit MB | exit | CPU s |\n|{'-' * 34}|---:|---:|---:|---:|---:|")
    bad = 0
    for p in peaks(args.megabytes, tuple(args.names)):
        bad += not p.is_fine
        print(
            f"| {p.name:<32} | {p.file_mb:.0f} | {p.peak_mb:.0f} | {p.limit_mb:.0f} | {p.exit_code} |"
            f" {p.cpu_s:.1f} |{'' if p.is_fine else '  TOO MUCH'}",
            flush=True,
        )
        if p.exit_code not in CLEAN:
            print(p.said[-2000:])
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
