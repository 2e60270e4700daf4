"""What the platform takes, and its runs: how far one is, which are complete, what they found. Shows runs of
the token's tenant alone, and lists complete ones alone."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Depends, Request
from sqlalchemy import Row, func, select, tuple_
from starlette.responses import Response

from qalita_action.sandbox import tables
from qalita_action.sandbox.answers import Capabilities, Page, RunState
from qalita_action.sandbox.completing import received_batches
from qalita_action.sandbox.documents import KINDS
from qalita_action.sandbox.paging import (
    ONE,
    PAGE,
    ROW,
    TOKEN,
    BeforeRow,
    BeforeRun,
    Limit,
    as_json,
    complete_run,
    numbers,
    older,
    paged,
)
from qalita_action.sandbox.platform import TheAccount, ThePlatform, account_of, base_url, bearer
from qalita_action.sandbox.problems import INGEST, Problem, declared
from qalita_action.sandbox.writing import run_row

router = APIRouter(prefix=INGEST, tags=["ingestion API: reads"], dependencies=[Depends(bearer)])

# What of a check stands beside its result, so that a base needs no second list.
OF_THE_CHECK = ("alias", "name", "kind", "type", "namespace", "dataset", "column", "definition_checksum")
FEATURES = ["gzip", "restart", "history", "issues"]


@router.get(
    "",
    response_model=Capabilities,
    summary="What this platform takes",
    responses=declared(*TOKEN),
    dependencies=[Depends(account_of)],
)
def capabilities(platform: ThePlatform) -> Response:
    quirks = platform.quirks
    sizes = {"max_batch": quirks.max_batch, "max_body_bytes": quirks.max_body_bytes}
    return as_json({"version": "1", **sizes, "features": FEATURES})


# ---------------------------------------------------------------- runs


@router.get("/runs", response_model=Page, summary="Complete runs, newest completed_at first", responses=PAGE)
def list_runs(
    request: Request,
    platform: ThePlatform,
    account: TheAccount,
    project: str | None = None,
    environment: str | None = None,
    branch: str | None = None,
    change_id: str | None = None,
    extent: str | None = None,
    before: BeforeRun = None,
    limit: Limit = 100,
) -> Response:
    c = tables.runs.c
    wanted = {
        "project": project,
        "environment": environment,
        "branch": branch,
        "change_id": change_id,
        "extent": extent,
    }
    query = select(tables.runs).where(c.partner == account.partner, c.state == "complete")
    query = query.where(*(c[name] == value for name, value in wanted.items() if value is not None))
    if before is not None:
        query = older(query, before)
    query = query.order_by(c.completed_us.desc(), c.key.desc()).limit(limit + 1)
    with platform.store.read() as tx:
        rows = tx.execute(query).all()
    base = base_url(request)
    return paged(request, rows, limit, lambda r: _shown_run(r, base), lambda r: f"{r.completed_us}.{r.key}")


def _shown_run(row: Row[Any], base: str) -> dict[str, Any]:
    parts = {"source": row.source, "run": row.run, "ledger": row.ledger, "scores": row.scores}
    return {"key": row.key, **parts, "url": f"{base}/runs/{row.id}"}


@router.get("/runs/{key}", response_model=RunState, summary="How far a run is", responses=ONE)
def get_run(key: str, request: Request, platform: ThePlatform, account: TheAccount) -> Response:
    j = tables.jobs.c
    with platform.store.read() as tx:
        run = run_row(tx, account.partner, key)
        if run is None:
            raise Problem("run-unknown")
        received = received_batches(tx, run.id)
        rows = {
            kind: tx.execute(select(func.count()).select_from(t).where(t.c.run_id == run.id)).scalar()
            for kind, t in tables.ROWS.items()
        }
        status = tx.execute(select(j.status).where(j.id == run.job_id)).scalar()
    is_complete = run.state == "complete"
    state = {
        "state": run.state,
        "content_digest": run.content_digest,
        "batches": {k: {"expected": run.expected[k], "received": received[k]} for k in KINDS},
        "rows": rows,
        "job": {"id": str(run.job_id), "status": status} if status is not None else None,
    }
    shown = _shown_run(run, base_url(request))
    return as_json({**shown, **state, "scores": run.scores if is_complete else None})


@router.get(
    "/runs/{key}/results",
    response_model=Page,
    summary="The results of a run, each with what identifies its check, to compare with",
    responses={**PAGE, **ONE},
)
def list_results(
    key: str,
    request: Request,
    platform: ThePlatform,
    account: TheAccount,
    before: BeforeRow = None,
    limit: Limit = 1000,
) -> Response:
    r, k = tables.results.c, tables.checks.c
    query = select(r.row, r.batch, r.position, *(k[name] for name in OF_THE_CHECK)).join(
        tables.checks, (k.run_id == r.run_id) & (k.key == r.check)
    )
    if before is not None:
        batch, position = numbers(before, ROW)
        query = query.where(tuple_(r.batch, r.position) > tuple_(int(batch), int(position)))
    with platform.store.read() as tx:
        run = complete_run(tx, account.partner, key)
        query = query.where(r.run_id == run.id).order_by(r.batch, r.position).limit(limit + 1)
        rows = tx.execute(query).all()
    return paged(
        request,
        rows,
        limit,
        lambda row: {
            **msgspec.json.decode(row.row),
            **{name: getattr(row, name) for name in OF_THE_CHECK},
        },
        lambda row: f"{row.batch}.{row.position}",
    )
