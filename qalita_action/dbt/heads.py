"""What an artifact's first bytes tell: dbt writes its metadata first. Must not guess: where they do not tell,
the whole file is read.
"""

from __future__ import annotations

import json
import re
import zlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from qalita_action.dbt.decode import read_bytes
from qalita_action.dbt.packed import GZIP, ZSTD, zstd
from qalita_action.dbt.vet import moment
from qalita_action.errors import ArtifactError

if TYPE_CHECKING:
    from qalita_action.dbt.found import Artifact, Blob, Found

HEAD_BYTES = 8192
PLAIN_BYTES = 1 << 16  # of a packed head: JSON of dbt packs to a tenth
_BEGINS = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"metadata"\s*:\s*')
_WORD = r'"{}"\s*:\s*"([^"\\]*)"'
_TIME, _ID = (re.compile(_WORD.format(name)) for name in ("generated_at", "invocation_id"))


class Head(msgspec.Struct, frozen=True):
    """None: it holds none, or cannot be read, which reading it in whole will tell."""

    generated_at: datetime | None = None
    invocation_id: str | None = None


def head_of(blob: Blob, limit: int) -> Head:
    """Of results or sources. Errors: those of its source, where nothing there can be read."""
    try:
        first = _plain(blob.head(HEAD_BYTES)) if blob.head else b""
        metadata = _metadata(first)
        if metadata is not None:
            return _head(metadata)
        return _by_words(first) or _head(_whole(read_bytes(blob, limit)))
    except ArtifactError:
        return Head()


def project_of(found: Found) -> str | None:
    """The project that the manifest's head names; None where it does not tell."""
    manifest: Artifact = found.manifest
    head = getattr(manifest, "head", None)
    try:
        metadata = _metadata(_plain(head(HEAD_BYTES))) if head else None
    except ArtifactError:
        return None
    name = (metadata or {}).get("project_name")
    return name if isinstance(name, str) else None


def _head(metadata: dict[str, Any]) -> Head:
    at, by = metadata.get("generated_at"), metadata.get("invocation_id")
    return Head(moment(at) if isinstance(at, str) else None, by if isinstance(by, str) and by else None)


def _metadata(first: bytes) -> dict[str, Any] | None:
    """The whole object, where the head holds it."""
    begins = _BEGINS.match(first)
    if begins is None:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(first[begins.end() :].decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _by_words(first: bytes) -> Head | None:
    """Where a long `env` follows: both words stand before it, or nothing is taken from here."""
    begins = _BEGINS.match(first)
    if begins is None:
        return None
    text, _, _ = first[begins.end() :].decode("utf-8", "replace").partition('"env"')
    at, by = _TIME.search(text), _ID.search(text)
    return Head(moment(at[1]), by[1] or None) if at and by else None


def _whole(data: bytes) -> dict[str, Any]:
    """Untyped, since several threads read: the first decoding of a type must not meet another."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    metadata = value.get("metadata") if isinstance(value, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def _plain(first: bytes) -> bytes:
    """As far as it can be unpacked."""
    try:
        if first[:2] == GZIP:
            return zlib.decompressobj(wbits=31).decompress(first, PLAIN_BYTES)
        if first[:4] == ZSTD:
            unpacked: bytes = zstd().ZstdDecompressor().decompress(first, PLAIN_BYTES)
            return unpacked
    except (zlib.error, zstd().ZstdError, ValueError, EOFError):
        return b""
    return first
