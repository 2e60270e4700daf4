"""Keys that hold still: the run's, a check's alias, a cause's, a table's scope. Pure.

Nothing that a re-run changes (sha of a job that only fetches, job id, date) enters any of them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from qalita_action.model import Ingest, Run, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_AT_A_TIME = 500
RUN_KEY_VERSION = "qalita-ingest/1"


def short_hash(value: Any) -> str:
    """32 hex digits of SHA-256 over canonical JSON."""
    return hashlib.sha256(to_json(value)).hexdigest()[:32]


def fingerprint(value: Any) -> str:
    """32 hex digits of BLAKE2b over canonical JSON: for aliases and checksums, of which a large project has
    tens of thousands.
    """
    return hashlib.blake2b(to_json(value), digest_size=16).hexdigest()


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


def content_digest(ingest: Ingest) -> str:
    """SHA-256 of the canonical document without what differs between attempts: run.ci, run.orchestrator,
    run.tool, run.warnings, and the digest itself. Hashed row by row: the document is never whole in memory.
    """
    digest = hashlib.sha256()
    for chunk in _chunks(ingest):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(ingest: Ingest) -> Iterator[bytes]:
    yield b'{"causes":'
    yield from _rows(ingest.causes)
    yield b',"checks":'
    yield from _rows(ingest.checks)
    yield b',"datasets":'
    yield from _rows(ingest.datasets)
    yield b',"ledger":' + to_json(ingest.ledger)
    yield b',"results":'
    yield from _rows(ingest.results)
    left_out = ("ci", "orchestrator", "tool", "warnings", "content_digest")
    run = {f: getattr(ingest.run, f) for f in Run.__struct_fields__ if f not in left_out}
    yield b',"run":' + to_json(run)
    yield b',"schemaVersion":' + to_json(ingest.schema_version)
    yield b',"scores":' + to_json(ingest.scores)
    yield b',"source":' + to_json(ingest.source) + b"}"


def _rows(rows: Sequence[Any]) -> Iterator[bytes]:
    """The JSON array of the rows, some hundred at a time."""
    yield b"["
    for start in range(0, len(rows), _AT_A_TIME):
        yield (b"," if start else b"") + to_json(rows[start : start + _AT_A_TIME])[1:-1]
    yield b"]"
