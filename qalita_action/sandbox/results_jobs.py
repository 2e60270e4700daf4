"""The results API's jobs, and what clients may read back: metrics, recommendations, issues. Must not know the
ingestion API."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query
from sqlalchemy import ColumnElement, Select, Table, select, update
from starlette.responses import JSONResponse, Response

from qalita_action.sandbox import tables
from qalita_action.sandbox.platform import Platform, TheAccount, ThePlatform, bearer
from qalita_action.sandbox.results_api import (
    LIST_LIMIT,
    REFUSALS,
    Id,
    Limit,
    Offset,
    OneOf,
    listed,
    made,
    nothing,
    one,
)
from qalita_action.sandbox.results_models import (
    JobChange,
    JobCreate,
    shown_issue,
    shown_job,
    shown_metric,
    shown_recommendation,
)
from qalita_action.sandbox.tokens import Account

router = APIRouter(tags=["results API"], dependencies=[Depends(bearer)], responses=REFUSALS)


@router.post("/api/v2/jobs/create", status_code=201)
def create_job(body: JobCreate, platform: ThePlatform, account: TheAccount) -> dict[str, int]:
    if platform.quirks.worker_required and body.worker_id is None:
        raise HTTPException(422, [{"loc": ["body", "worker_id"], "msg": "Field required", "type": "missing"}])
    now = platform.store.now()
    values = body.model_dump(include=set(JobCreate.model_fields))
    values["type"] = body.type or "manual"
    values |= {"partner": account.partner, "account_id": account.id, "kind": "pack"}
    with platform.store.write() as tx:
        return {"id": made(tx, tables.jobs, {**values, "created_at": now, "updated_at": now})}


def my_job(job_id: int, account: Account) -> ColumnElement[bool]:
    j = tables.jobs.c
    return (j.id == job_id) & (j.partner == account.partner) & (j.kind == "pack")


@router.get("/api/v2/jobs")
def list_jobs(
    platform: ThePlatform,
    account: TheAccount,
    status: Annotated[list[str] | None, Query()] = None,
    source_id: OneOf = None,
    pack_id: OneOf = None,
    offset: Offset = 0,
    limit: Limit = LIST_LIMIT,
) -> Response:
    j = tables.jobs
    query = select(j).where(j.c.partner == account.partner, j.c.kind == "pack")
    query = filtered(platform, query, j, status=status, source_id=source_id, pack_id=pack_id)
    with platform.store.read() as tx:
        rows = tx.execute(query.order_by(j.c.id.desc()).offset(offset).limit(limit))
        return listed(platform, [shown_job(row) for row in rows])


def filtered(platform: Platform, query: Select[Any], table: Table, **wanted: list[Any] | None) -> Select[Any]:
    if not platform.quirks.list_filters:
        return query
    return query.where(*(table.c[name].in_(values) for name, values in wanted.items() if values))


@router.get("/api/v2/jobs/{job_id:int}")
def get_job(job_id: Id, platform: ThePlatform, account: TheAccount) -> Response:
    with platform.store.read() as tx:
        row = one(tx, select(tables.jobs).where(my_job(job_id, account)))
    return nothing() if row is None else JSONResponse(shown_job(row))


@router.put("/api/v2/jobs/{job_id:int}")
def change_job(job_id: Id, body: JobChange, platform: ThePlatform, account: TheAccount) -> Response:
    values = body.model_dump(exclude_unset=True, include=set(JobChange.model_fields))
    mine = my_job(job_id, account)
    with platform.store.write() as tx:
        if one(tx, select(tables.jobs.c.id).where(mine)) is None:
            raise HTTPException(404, "Job not found")
        tx.execute(update(tables.jobs).where(mine).values({**values, "updated_at": platform.store.now()}))
        row = one(tx, select(tables.jobs).where(mine))
        return JSONResponse(shown_job(row) if row is not None else {"id": job_id})


# ---------------------------------------------------------------- what was uploaded


@router.get("/api/v2/metrics")
def list_metrics(
    platform: ThePlatform,
    account: TheAccount,
    source_id: OneOf = None,
    pack_id: OneOf = None,
    offset: Offset = 0,
    limit: Limit = LIST_LIMIT,
) -> Response:
    m = tables.metrics
    query = filtered(platform, tenant(m, account), m, source_id=source_id, pack_id=pack_id)
    with platform.store.read() as tx:
        rows = tx.execute(query.offset(offset).limit(limit))
        return listed(platform, [shown_metric(row) for row in rows])


@router.get("/api/v2/recommendations")
def list_recommendations(
    platform: ThePlatform,
    account: TheAccount,
    source_id: OneOf = None,
    pack_id: OneOf = None,
    offset: Offset = 0,
    limit: Limit = LIST_LIMIT,
) -> Response:
    r = tables.recommendations
    query = filtered(platform, tenant(r, account), r, source_id=source_id, pack_id=pack_id)
    with platform.store.read() as tx:
        rows = tx.execute(query.offset(offset).limit(limit))
        return listed(platform, [shown_recommendation(row) for row in rows])


@router.get("/api/v2/issues")
def list_issues(
    platform: ThePlatform,
    account: TheAccount,
    source_id: OneOf = None,
    offset: Offset = 0,
    limit: Limit = LIST_LIMIT,
) -> Response:
    i = tables.issues
    query = filtered(platform, tenant(i, account), i, source_id=source_id)
    with platform.store.read() as tx:
        rows = tx.execute(query.offset(offset).limit(limit))
        return listed(platform, [shown_issue(row) for row in rows])


def tenant(table: Table, account: Account) -> Select[Any]:
    return select(table).where(table.c.partner == account.partner).order_by(table.c.id.desc())
