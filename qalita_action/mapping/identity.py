"""Keys that hold still: the run's, a check's alias, a cause's, a table's scope. Pure.

Nothing that a re-run changes (sha of a job that only fetches, job id, date) enters any of them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from qalita_action.model import Ingest, Run, remember, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator

_CANONICAL = msgspec.json.Encoder(order="sorted")
_FRESH = hashlib.blake2b(digest_size=16)  # a copy costs half of what another one does
RUN_KEY_VERSION = "qalita-ingest/1"


def short_hash(value: Any) -> str:
    """32 hex digits of SHA-256 over canonical JSON."""
    return hashlib.sha256(to_json(value)).hexdigest()[:32]


def fingerprint(value: Any) -> str:
    """32 hex digits of BLAKE2b over canonical JSON: for aliases and checksums, of which a large project has
    tens of thousands.
    """
    digest = _FRESH.copy()
    digest.update(_CANONICAL.encode(value))
    return digest.hexdigest()


def run_key(project: str, environment: str, suite: str | None, sha: str | None, run_id: str) -> str:
    return short_hash([RUN_KEY_VERSION, project, environment, suite or "", sha or "", run_id])


def cause_key(project: str, environment: str, cause: str) -> str:
    return short_hash([project, environment, cause])


def scope(*, name: str, package: str | None, root: str | None, source: str | None, version: Any) -> str:
    """The table's name on the platform: <name>, <name>_v<N>, <source>__<table>, <package>__<name>."""
    text = name
    if source is not None:
        text = f"{source}__{name}"
    elif version is not None:
        text = f"{name}_v{version}"
    if package and root and package != root:
        text = f"{package}__{text}"
    return text.replace(".", "_")


def sealed(ingest: Ingest) -> Ingest:
    """The document with its content digest: SHA-256 of the canonical document without what differs between
    attempts (run.ci, run.orchestrator, run.tool, run.warnings, and the digest itself). The encoding that this
    takes is kept with it, since the spool, the reports and the uploads want the same bytes.
    """
    parts = {name: to_json(getattr(ingest, field)) for name, field in _PARTS.items() if field != "run"}
    left_out = ("ci", "orchestrator", "tool", "warnings", "content_digest")
    run = {f: getattr(ingest.run, f) for f in Run.__struct_fields__ if f not in left_out}
    digest = hashlib.sha256()
    for piece in _object(parts | {"run": to_json(run)}):
        digest.update(piece)
    final = msgspec.structs.replace(ingest.run, content_digest=digest.hexdigest())
    document = msgspec.structs.replace(ingest, run=final)
    remember(document, b"".join(_object(parts | {"run": to_json(final)})))
    return document


# The document's keys in canonical order, and the fields that hold them.
_PARTS = dict(sorted(zip(Ingest.__struct_encode_fields__, Ingest.__struct_fields__, strict=True)))


def _object(parts: dict[str, bytes]) -> Iterator[bytes]:
    for i, name in enumerate(_PARTS):
        yield (b"," if i else b"{") + b'"' + name.encode() + b'":'
        yield parts[name]
    yield b"}"
