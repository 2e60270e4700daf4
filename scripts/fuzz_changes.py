"""What fuzz.py does to a file: values, keys and bytes that no writer should leave. Every change is drawn from
the generator that it is given, so that a seed and a number give the same case again.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable
from typing import Any

# ---------------------------------------------------------------- what can be wrong with a value

# A string of this form stands for raw JSON text that no writer would write.
_RAW = re.compile(r'"@raw:(\w+)@"')
RAW = {
    "deep": "[" * 3000 + "]" * 3000,
    "deep_objects": '{"a":' * 3000 + "1" + "}" * 3000,
    "nan": "NaN",
    "infinity": "-Infinity",
    "huge_int": "9" * 5000,
    "huge_float": "1e999",
    "tiny_float": "-1e-999",
    "lone_high": r'"\ud800"',
    "lone_low": r'"x\udfffy"',
    "bad_escape": r'"\x"',
    "control": '"a\x01\x1b[31mb"',
    "nul": r'"\u0000"',
    "twice": '{"status":"pass","status":"fail"}',
    "word": "undefined",
    "nothing": "",
}
WORDS: tuple[str, ...] = (
    "", " ", "pass", "PASS", "fail", "error", "warn", "skipped", "success", "runtime error",
    "partial success", "no-op", "reused", "null", "true", "test", "model", "unit_test", "source",
    "snapshot", "exposure", "operation", "test.a.b", "model.a.b", "unit_test.a.b.c", "source.a.b.c", ".",
    "..", "...", "test.", "a" * 70_000, "../../etc/passwd", "/", "\\", "C:\\x", "::error::x", "##vso[x]",
    "<script>", "{{ ref('x') }}", "{{", "}}", "2026-13-45T99:99:99Z", "2026-11-23T06:20:35Z",
    "9999-12-31T23:59:59.999999+23:59", "0001-01-01T00:00:00-23:59", "٣", "1e5", "-0", "0x10", "é" * 300,
    "\u202e\u0000\u2028", "\U0001f600", "\ufffe", "Got 3 results", "!= 0", ">",
    "https://schemas.getdbt.com/dbt/manifest/v12.json", "https://schemas.getdbt.com/dbt/sources/v3.json",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30, 0.1, -0.0, 1e308, -1e308, 5e-324, True, False)


def anything(rng: random.Random, depth: int = 0) -> Any:
    """Some JSON value; now and then raw text that is none."""
    match rng.randrange(9 if depth < 4 else 5):
        case 0:
            return None
        case 1:
            return rng.choice(NUMBERS)
        case 2 | 3:
            return rng.choice(WORDS)
        case 4:
            return f"@raw:{rng.choice(list(RAW))}@" if rng.random() < 0.3 else rng.random() * 1e6
        case 5 | 6:
            return [anything(rng, depth + 1) for _ in range(rng.randrange(4))]
        case _:
            return {key(rng): anything(rng, depth + 1) for _ in range(rng.randrange(5))}


KEYS = (
    "metadata", "nodes", "sources", "results", "args", "unique_id", "status", "resource_type", "config",
    "name", "depends_on", "test_metadata", "kwargs", "columns", "tags", "meta", "freshness", "unit_tests",
    "groups", "owner",
)  # fmt: skip


def key(rng: random.Random) -> str:
    return rng.choice(KEYS) if rng.random() < 0.7 else rng.choice(WORDS)[:200]


def spots(value: Any) -> list[tuple[Any, Any]]:
    """(container, key or index) of a random walk's every step is not enough: all of them, breadth first."""
    found: list[tuple[Any, Any]] = []
    queue: list[Any] = [value]
    for container in queue:
        inner = container.items() if isinstance(container, dict) else enumerate(container)
        for at, child in inner:
            found.append((container, at))
            if isinstance(child, dict | list):
                queue.append(child)
    return found


def walk(rng: random.Random, value: Any) -> tuple[Any, Any] | None:
    """A spot, reached from the top, so that shallow keys are as likely as deep ones."""
    spot = None
    while isinstance(value, dict | list) and value:
        at = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        spot = (value, at)
        if rng.random() < 0.25:
            break
        value = value[at]
    return spot


def put(rng: random.Random, spot: tuple[Any, Any]) -> None:
    container, at = spot
    container[at] = anything(rng)


def drop(rng: random.Random, spot: tuple[Any, Any]) -> None:
    container, at = spot
    for _ in range(rng.choice((1, 1, 1, 5))):
        if at in container if isinstance(container, dict) else at < len(container):
            del container[at]


def double(rng: random.Random, spot: tuple[Any, Any]) -> None:
    """The same key twice in an object, the same entry often in a list."""
    container, at = spot
    if isinstance(container, dict):
        container[f"@dup{rng.randrange(9)}@{at}"] = anything(rng)
    else:
        container.extend([container[at]] * rng.choice((1, 1, 500)))


def rename(rng: random.Random, spot: tuple[Any, Any]) -> None:
    container, at = spot
    if isinstance(container, dict):
        container[key(rng)] = container.pop(at)
    else:
        container[at] = {key(rng): container[at]}


def retype(rng: random.Random, spot: tuple[Any, Any]) -> None:
    container, at = spot
    old = container[at]
    as_other: tuple[Callable[[], Any], ...] = (
        lambda: str(old), lambda: [old], lambda: {"value": old}, lambda: 1.0, lambda: bool(old),
        lambda: list(old) if isinstance(old, dict) else {str(i): i for i in range(3)},
    )  # fmt: skip
    container[at] = rng.choice(as_other)()


def swap(rng: random.Random, spot: tuple[Any, Any]) -> None:
    container, at = spot
    others = list(container) if isinstance(container, dict) else range(len(container))
    other = rng.choice(list(others))
    container[at], container[other] = container[other], container[at]


MUTATIONS = (put, put, put, drop, drop, double, rename, retype, retype, swap)


def written(content: Any) -> bytes:
    text = json.dumps(content)
    text = re.sub(r'"@dup\d@', '"', text)
    text = _RAW.sub(lambda m: RAW[m[1]], text)
    return text.encode("utf-8", errors="surrogatepass")


# ---------------------------------------------------------------- what can be wrong with bytes


def flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 40))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def holed(rng: random.Random, data: bytes) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.randrange(1, 200) :]


def sprinkled(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    odd = (
        b"\x00",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"NaN",
        b"\\ud800",
        b'"',
        b"{",
        b"]",
        b",",
        b"\xef\xbb\xbf",
        b"1e999",
    )
    return data[:at] + rng.choice(odd) * rng.choice((1, 1, 50)) + data[at:]


ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "cp1252")


def encoded(rng: random.Random, data: bytes) -> bytes:
    return data.decode("utf-8", "replace").encode(rng.choice(ENCODINGS), "replace")


def noise(rng: random.Random, data: bytes) -> bytes:
    return rng.randbytes(rng.randrange(min(3000, len(data) + 1)))


def gzip_noise(rng: random.Random, data: bytes) -> bytes:
    return b"\x1f\x8b" + noise(rng, data)


def gzip_cut(rng: random.Random, data: bytes) -> bytes:
    return cut(rng, gzip.compress(data, 1))


def gzip_flipped(rng: random.Random, data: bytes) -> bytes:
    return flipped(rng, gzip.compress(data, 1))


def gzip_again(rng: random.Random, data: bytes) -> bytes:
    for _ in range(rng.choice((1, 2, 3))):
        data = gzip.compress(data, 1)
    return data


def twice(rng: random.Random, data: bytes) -> bytes:
    return data + rng.choice((b"", b"\n", b",")) + data


def another(rng: random.Random, data: bytes) -> bytes:
    """Another document altogether: a web page, nothing, or some JSON no longer than this one."""
    page = b"<!DOCTYPE html><html><body>not found</body></html>"
    return rng.choice((page, b"", b"\n", written(anything(rng))))[: len(data)]


BYTES = (
    flipped, flipped, cut, holed, sprinkled, sprinkled, encoded, noise, gzip_noise, gzip_cut, gzip_flipped,
    gzip_again, twice, another, another,
)  # fmt: skip
