"""What strict JSON forbids and dbt 1.x writes, repaired: NaN, Infinity, lone surrogates, a BOM, raw controls,
bytes that are no UTF-8. Linear, and never more than twice the bytes at once. Must not judge the file.
"""

from __future__ import annotations

import codecs
import io
import re

_CHUNK = 1 << 20
_CONTROLS = bytes(range(0x20)).translate(None, b"\t\n\r")
# Outside strings these words can only be what Python's json writes for floats that JSON does not have.
_NO_NUMBER = re.compile(rb"-?\bInfinity\b|\bNaN\b")
_LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


def mend(data: bytes) -> bytes:
    """JSON with the same meaning, as far as JSON can have it: no number is null, no character is U+FFFD."""
    return _without_odd_numbers(_without_surrogates(_in_utf8(data)))


def _in_utf8(data: bytes) -> bytes:
    """Chunk by chunk: text of a whole file may take four bytes for each character."""
    out = io.BytesIO()
    decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
    for start in range(0, len(data), _CHUNK):
        is_last = start + _CHUNK >= len(data)
        text = decoder.decode(data[start : start + _CHUNK], final=is_last)
        out.write(text.encode("utf-8").translate(None, delete=_CONTROLS))
    return out.getvalue()


def _without_surrogates(data: bytes) -> bytes:
    """As long as before: an escape takes the place of an escape, so the bytes are changed where they are."""
    found = _LONE_SURROGATE.search(data)
    if found is None:
        return data
    changed = bytearray(data)
    for match in _LONE_SURROGATE.finditer(data, found.start()):
        changed[match.start() : match.end()] = rb"\ufffd"
    return bytes(changed)


def _without_odd_numbers(data: bytes) -> bytes:
    """`null` for each word outside strings. Whether a word stands inside one is told by the quotes before it,
    counted from the word before: a pattern for whole strings would remember every character of them.
    """
    out = io.BytesIO()
    done = counted = 0
    is_inside = False
    for word in _NO_NUMBER.finditer(data):
        is_inside ^= _quotes(data[counted : word.start()]) % 2 == 1
        counted = word.end()
        if not is_inside:
            out.write(data[done : word.start()])
            out.write(b"null")
            done = word.end()
    if not done:
        return data
    out.write(data[done:])
    return out.getvalue()


def _quotes(piece: bytes) -> int:
    """Quotes that open or close a string: those that no backslash escapes."""
    if b"\\" in piece:
        piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
    return piece.count(b'"')
