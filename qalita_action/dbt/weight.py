"""Is a file what dbt could have written, by its weight? What is read of `{}` takes a hundred times its bytes:
a file of nothing but braces and commas would fill the memory of a runner. Costs two counts on files of dbt's
own weight, and judges nothing else.

Measured on files of dbt 1.3 to 2.0, the lightest of each: an object has 64 bytes of the manifest, 84 of the
results, 79 of the catalog; a comma 40, 29, 25; a test node 1,100, a row of results 186.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from qalita_action.dbt.shapes import Catalog, Manifest, RunResults, Shape, Sources

# Nothing below this can be dear, whatever it holds.
FREE_BYTES = 200_000
_CHUNK = 1 << 20
_ROOMY = 90


class Weight(NamedTuple):
    """The least bytes for each object, each comma, and each entry (node, row, table) that dbt's files have,
    with a good margin for files that somebody trimmed."""

    per_object: int
    per_comma: int
    per_entry: int


LEAST: dict[type, Weight] = {
    Manifest: Weight(45, 28, 400),
    RunResults: Weight(60, 15, 110),
    Sources: Weight(60, 15, 110),
    Catalog: Weight(40, 15, 200),
}


class _Entry(Shape, frozen=True):
    """Counted, not read."""


class _Entries(Shape, frozen=True):
    nodes: dict[str, _Entry] | None = None
    sources: dict[str, _Entry] | None = None
    exposures: dict[str, _Entry] | None = None
    unit_tests: dict[str, _Entry] | None = None
    saved_queries: dict[str, _Entry] | None = None
    functions: dict[str, _Entry] | None = None
    results: list[_Entry] | None = None


def too_light(data: bytes, kind: type, free: int = FREE_BYTES) -> str | None:
    """Why dbt cannot have written these bytes, in words, or None: asked before they are decoded. Anything
    unreadable is for the decoder.
    """
    if len(data) <= free:
        return None
    least, size = LEAST[kind], len(data)
    objects, commas = data.count(b"{"), data.count(b",")
    is_dense = size < objects * least.per_object or size < commas * least.per_comma
    if is_dense:  # maybe only inside strings: SQL is full of commas
        objects, commas = _outside_strings(data)
        if size < objects * least.per_object:
            return f"{objects:,} objects in {size:,} bytes"
        if size < commas * least.per_comma:
            return f"{commas:,} values in {size:,} bytes"
    # An entry holds at least one object: few objects, few entries, which are counted once they are decoded.
    # The view of one takes some 500 bytes: above a fifth of that for each object there is room for all.
    return _sparse(_counted(data), size, kind) if size < objects * _ROOMY else None


def too_many(
    document: Manifest | RunResults | Sources | Catalog, size: int, free: int = FREE_BYTES
) -> str | None:
    """The same of what was decoded from so many bytes: a check of the document takes some 2,500 bytes."""
    return _sparse(_entries(document), size, type(document)) if size > free else None


def _sparse(entries: int, size: int, kind: type) -> str | None:
    return f"{entries:,} entries in {size:,} bytes" if size < entries * LEAST[kind].per_entry else None


def _outside_strings(data: bytes) -> tuple[int, int]:
    """Objects and commas of the structure itself, chunk by chunk."""
    objects = commas = 0
    is_inside = False
    start = 0
    while start < len(data):
        end = min(start + _CHUNK, len(data))
        while end < len(data) and data[end - 1] == 0x5C:  # an escape is not torn apart
            end += 1
        parts = data[start:end].replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        structure = b"".join(parts[is_inside::2])
        objects += structure.count(b"{")
        commas += structure.count(b",")
        is_inside ^= len(parts) % 2 == 0
        start = end
    return objects, commas


def _counted(data: bytes) -> int:
    try:
        return _entries(msgspec.json.decode(data, type=_Entries))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0


def _entries(document: Shape) -> int:
    return sum(len(getattr(document, name, None) or ()) for name in _Entries.__struct_fields__)
