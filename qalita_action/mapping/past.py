"""A document to what a later run is compared with. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from qalita_action.model import Past, PastCheck, PastDataset, Result

if TYPE_CHECKING:
    from qalita_action.model import Base, Ingest


def past(ingest: Ingest, base: Base) -> Past:
    """base: where the document came from; what it says of itself is filled in here. A document alone tells
    no more than that it was bad when its run ended."""
    run = ingest.run
    results = {r.check: r for r in ingest.results}
    pairs = (
        (check, results.get(check.key) or Result(check=check.key, status="not_run"))
        for check in ingest.checks
    )
    return Past(
        base=msgspec.structs.replace(
            base,
            run_key=run.key,
            branch=run.git.branch,
            sha=run.git.sha,
            completed_at=run.completed_at,
            score=ingest.scores.overall,
        ),
        checks=tuple(
            PastCheck(
                key=check.key,
                alias=check.alias,
                name=check.name,
                kind=check.kind,
                type=check.type,
                namespace=check.namespace,
                dataset=check.dataset,
                column=check.column,
                definition_checksum=check.definition_checksum,
                status=result.status,
                failures=result.failures,
                since=run.completed_at,
            )
            for check, result in pairs
        ),
        datasets=tuple(
            PastDataset(key=d.key, checksum=d.checksum, status=d.run.status if d.run else None)
            for d in ingest.datasets
        ),
    )
