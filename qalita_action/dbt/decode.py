"""Bytes to views, whatever the bytes are. Every failure is an ArtifactError: the file, and the way out.

The fast path is one typed decode of the whole file. What strict JSON forbids and dbt 1.x writes (NaN,
Infinity, lone surrogates, a BOM, raw control characters) is repaired and decoded again; a value of a type
that no known dbt writes costs that one field, which is reported, and never the file.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from qalita_action.dbt import weight
from qalita_action.dbt.found import MAX_BYTES
from qalita_action.dbt.mend import mend
from qalita_action.dbt.packed import too_large, unpacked
from qalita_action.dbt.shapes import Catalog, Manifest, RunResults, Shape, Sources
from qalita_action.errors import ArtifactError

if TYPE_CHECKING:
    from qalita_action.dbt.found import Artifact

Document = TypeVar("Document", Manifest, RunResults, Sources, Catalog)

MAX_NOTES = 1000  # more than anybody reads
# The word in metadata.dbt_schema_version, by kind. `run-results` has a dash there, an underscore on disk.
SCHEMA_WORD: dict[type, str] = {
    Manifest: "manifest",
    RunResults: "run-results",
    Sources: "sources",
    Catalog: "catalog",
}
FILE_NAME: dict[type, str] = {
    Manifest: "manifest.json",
    RunResults: "run_results.json",
    Sources: "sources.json",
    Catalog: "catalog.json",
}
_SCHEMA = re.compile(r"/dbt/([a-z-]+)/v\d+")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(path: Artifact, kind: type[Document], limit: int = MAX_BYTES) -> tuple[Document, list[str]]:
    """The view of one file, and a line for each thing in it that had to be left out or mended."""
    return decode_bytes(read_bytes(path, limit), kind, path)


def decode_bytes(data: bytes, kind: type[Document], path: Artifact) -> tuple[Document, list[str]]:
    notes: list[str] = []
    if why := weight.too_light(data, kind):
        raise _too_dense(path, kind, why)
    document = _decode(data, kind, path, notes)
    _must_be(document, kind, path)
    if why := weight.too_many(document, len(data)):
        raise _too_dense(path, kind, why)
    return document, notes


def _too_dense(path: Artifact, kind: type, why: str) -> ArtifactError:
    least = weight.LEAST[kind]
    return ArtifactError(
        "artifact-not-dbt",
        f"{path} was not written by dbt: it holds {why}",
        expected=f"at least {least.per_entry} bytes for each node, row or table, {least.per_object} for each"
        f" object and {least.per_comma} for each value, as every {FILE_NAME[kind]} of dbt has",
        todo=["give the file that dbt wrote, not one that was trimmed or made by something else"],
    )


def read_bytes(artifact: Artifact, limit: int = MAX_BYTES) -> bytes:
    """Its bytes, unpacked. Errors: artifact-{missing,unreadable,empty,too-large,truncated}, its source's."""
    data = _from_disk(artifact, limit) if isinstance(artifact, Path) else artifact.load()
    data = unpacked(data, str(artifact), limit)
    if not data or data.isspace():
        raise ArtifactError(
            "artifact-empty",
            f"{artifact} is empty",
            expected="JSON that dbt wrote",
            todo=["dbt may have been killed while it wrote: look at its log, and run it again"],
        )
    return data


def _from_disk(path: Path, limit: int) -> bytes:
    name = str(path)
    if path.is_dir():
        raise ArtifactError(
            "artifact-unreadable",
            f"{name} is a directory",
            expected="a file that dbt wrote",
            todo=["give the file itself, or give the directory as PATH and let it be searched"],
        )
    try:
        size = path.stat().st_size
        if size > limit:
            raise too_large(name, f"has {size:,} bytes", limit)
        return path.read_bytes()
    except FileNotFoundError:
        raise ArtifactError(
            "artifact-missing",
            f"{name} does not exist",
            expected="a file that dbt wrote",
            looked=[str(path.absolute())],
            todo=["run dbt before this step, in the same job, or download its artifacts first"],
        ) from None
    except OSError as e:
        raise ArtifactError(
            "artifact-unreadable",
            f"{name} cannot be read: {e.strerror or e}",
            todo=["check the file's permissions, and that it is mounted into the container"],
        ) from None


def _decode(data: bytes, kind: type[Document], path: Artifact, notes: list[str]) -> Document:
    try:
        return _attempt(data, kind, path, notes)
    except _UNREADABLE as first:
        mended = _mend(data, path, first)
    try:
        document = _attempt(mended, kind, path, notes)
    except _UNREADABLE as second:
        raise _not_json(mended, path, second) from None
    notes.append(f"{path.name}: characters that JSON forbids were mended")
    return document


def _attempt(data: bytes, kind: type[Document], path: Artifact, notes: list[str]) -> Document:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError:
        return _piecewise(data, kind, path, notes)


def _mend(data: bytes, path: Artifact, why: Exception) -> bytes:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in data[:4]:
        raise ArtifactError(
            "artifact-not-utf8",
            f"{path} is UTF-16 or UTF-32, not UTF-8",
            expected="the bytes that dbt wrote",
            todo=[
                "something rewrote the file (PowerShell's `>` and Out-File do): copy it with Copy-Item,"
                " or add -Encoding utf8"
            ],
        )
    if isinstance(why, RecursionError):
        raise _not_json(data, path, why)
    if data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] not in (b"{", b"["):
        raise _not_json(data, path, why)
    return mend(data)


def _not_json(data: bytes, path: Artifact, why: Exception) -> ArtifactError:
    head = data.lstrip()[:200].lower()
    if "truncated" in str(why):
        return ArtifactError(
            "artifact-truncated",
            f"{path} ends in the middle: it is not a whole JSON document",
            expected="a file that dbt finished writing",
            looked=[f"{len(data):,} bytes"],
            todo=["dbt may still be writing, or was killed: wait for it, or run it again"],
        )
    saw = "it looks like a web page" if head.startswith((b"<!doctype", b"<html")) else str(why)
    return ArtifactError(
        "artifact-not-json",
        f"{path} is not JSON",
        expected="a file that dbt wrote",
        looked=[saw],
        todo=["check the path; a failed download often leaves an error page under the file's name"],
    )


def _must_be(document: Manifest | RunResults | Sources | Catalog, kind: type, path: Artifact) -> None:
    """The schema's URL tells the kinds of file apart; a manifest.json without it is a web app's."""
    schema = document.metadata.dbt_schema_version if document.metadata else None
    found = _SCHEMA.search(schema or "")
    word = SCHEMA_WORD[kind]
    if found and found[1] == word:
        return
    if found:
        raise ArtifactError(
            "artifact-wrong-kind",
            f"{path} is dbt's {found[1]} file, not its {word} file",
            expected=f"metadata.dbt_schema_version with /{word}/",
            looked=[schema or ""],
            todo=[f"give the {FILE_NAME[kind]} of the same run"],
        )
    raise ArtifactError(
        "artifact-not-dbt",
        f"{path} was not written by dbt",
        expected=f"metadata.dbt_schema_version, as in every {FILE_NAME[kind]} of dbt",
        looked=["no such key" if not schema else f"metadata.dbt_schema_version = {schema[:80]!r}"],
        todo=["a web app's manifest.json has the same name: point --target-path at dbt's target folder"],
    )


# ------------------------------------------------------------------ one odd value costs one field


def _piecewise(data: bytes, kind: type[Document], path: Artifact, notes: list[str]) -> Document:
    """Top-level keys apart, then entry by entry, then field by field."""
    try:
        top = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise ArtifactError(
            "artifact-not-dbt",
            f"{path} was not written by dbt",
            expected=f"a JSON object, as every {FILE_NAME[kind]}",
            looked=["another JSON value at the top"],
            todo=["check the path"],
        ) from None
    hints = _hints(kind)
    values: dict[str, Any] = {}
    for field in kind.__struct_fields__:
        if field in top:
            value = _tolerant(top[field], hints[field], f"{path.name}: {field}", notes)
            if value is not None:
                values[field] = value
    return kind(**values)


def _tolerant(raw: msgspec.Raw, hint: Any, where: str, notes: list[str]) -> Any:
    """The value of one raw piece as its type wants it; None where nothing of it can be used."""
    try:
        return msgspec.json.decode(raw, type=hint)
    except msgspec.ValidationError as e:
        inner = _container(hint)
        if inner is None:
            _note(notes, f"{where}: left out, {e}")
            return None
        shape, item = inner
    try:
        if shape is dict:
            parts: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
            for key, piece in parts.items():  # each takes its piece's place: two of all would be too much
                value = _tolerant(piece, item, f"{where}.{key}", notes)
                parts[key] = _empty(item) if value is None else value
            return parts
        if shape is list:
            entries = msgspec.json.decode(raw, type=list[msgspec.Raw])
            rows = (_tolerant(v, item, f"{where}[{i}]", notes) for i, v in enumerate(entries))
            return [_empty(item) if v is None else v for v in rows]
        fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        _note(notes, f"{where}: left out, it has another shape than dbt's")
        return None
    hints = _hints(item)
    values = {
        name: _tolerant(fields[name], hints[name], f"{where}.{name}", notes)
        for name in item.__struct_fields__
        if name in fields
    }
    return item(**{k: v for k, v in values.items() if v is not None})


def _note(notes: list[str], text: str) -> None:
    if len(notes) < MAX_NOTES:
        notes.append(text)


@cache
def _empty(item: Any) -> Any:
    """A node or row of which nothing could be read still counts as one: its status becomes `unknown`."""
    return item() if isinstance(item, type) and issubclass(item, Shape) else None


def _container(hint: Any) -> tuple[type, Any] | None:
    """(dict|list|Shape, the type inside) of a hint such as `dict[str, Node]` or `Config | None`."""
    for option in (hint, *get_args(hint)):
        origin = get_origin(option)
        if origin is dict:
            return dict, get_args(option)[1]
        if origin is list:
            return list, get_args(option)[0]
        if isinstance(option, type) and issubclass(option, Shape):
            return Shape, option
    return None


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
