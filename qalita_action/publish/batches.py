"""A document cut into the ingestion API's requests: bodies, their keys and their sizes. Makes no call.

Rows are encoded twice, once to measure and once to send, so that the whole document never stands in memory a
second time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import quote

import msgspec

from qalita_action.http import Body, json_body
from qalita_action.model import Ingest, Rejected
from qalita_action.publish.choose import INGEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qalita_action.wire import Capabilities

Kind = Literal["datasets", "checks", "results", "causes"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FRAME = len(b'{"rows":[]}')
ENCODER = msgspec.json.Encoder(order="sorted")


class Batch(msgspec.Struct, frozen=True):
    """Rows start to stop of a kind, as batch n."""

    kind: Kind
    n: int
    rows: tuple[Any, ...]

    def body(self) -> Body:
        data = b",".join(ENCODER.encode(row) for row in self.rows)
        return Body(data=b'{"rows":[%b]}' % data, may_compress=True)


class Plan(msgspec.Struct, frozen=True):
    """All batches by kind, and the rows that no batch can carry."""

    batches: dict[Kind, tuple[Batch, ...]]
    rejected: tuple[Rejected, ...]


def cut(ingest: Ingest, capabilities: Capabilities) -> Plan:
    """Batches within max_batch rows and max_body_bytes, in the document's order."""
    rejected: list[Rejected] = []
    batches: dict[Kind, tuple[Batch, ...]] = {}
    for kind in KINDS:
        found: list[Batch] = []
        rows: list[Any] = []
        size = FRAME
        for row in rows_of(ingest, kind):
            length = len(ENCODER.encode(row)) + 1
            if FRAME + length > capabilities.max_body_bytes:
                rejected.append(_too_large(kind, row, length))
                continue
            if rows and (len(rows) >= capabilities.max_batch or size + length > capabilities.max_body_bytes):
                found.append(Batch(kind, len(found), tuple(rows)))
                rows, size = [], FRAME
            rows.append(row)
            size += length
        if rows:
            found.append(Batch(kind, len(found), tuple(rows)))
        batches[kind] = tuple(found)
    return Plan(batches, tuple(rejected))


def rows_of(ingest: Ingest, kind: Kind) -> Sequence[Any]:
    rows: Sequence[Any] = getattr(ingest, kind)
    return rows


def _too_large(kind: Kind, row: Any, length: int) -> Rejected:
    return Rejected(
        kind=kind,
        key=row.check if kind == "results" else row.key,
        code="row-too-large",
        detail=f"{length} bytes are more than the platform takes in one request",
    )


def opening(ingest: Ingest, plan: Plan) -> Body:
    return json_body(
        {
            "schemaVersion": ingest.schema_version,
            "source": ingest.source,
            "run": ingest.run,
            "ledger": ingest.ledger,
            "scores": ingest.scores,
            "batches": {kind: len(plan.batches[kind]) for kind in KINDS},
        },
        may_compress=True,
    )


def completion() -> Body:
    return json_body({})


def run_path(key: str) -> str:
    return f"{INGEST}/runs/{quote(key, safe='')}"


def batch_path(key: str, batch: Batch) -> str:
    return f"{run_path(key)}/{batch.kind}/{batch.n}"


def idempotency_key(run_key: str, call: str, n: int, body: Body) -> str:
    return f"{run_key}/{call}/{n}/{body.digest()[:16]}"
