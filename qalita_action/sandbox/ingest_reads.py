"""What complete runs left behind: sources, datasets, the history of a check, issues. Shows what belongs to
the token's tenant alone."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Request
from sqlalchemy import Row, select, tuple_
from starlette.responses import Response

from qalita_action.sandbox import tables
from qalita_action.sandbox.answers import Page
from qalita_action.sandbox.paging import (
    NUMBER,
    ONE,
    PAGE,
    ROW,
    BeforeNumber,
    BeforeRow,
    BeforeRun,
    Limit,
    complete_run,
    numbers,
    older,
    paged,
)
from qalita_action.sandbox.platform import TheAccount, ThePlatform, base_url, bearer
from qalita_action.sandbox.problems import INGEST, Problem

router = APIRouter(prefix=INGEST, tags=["ingestion API: reads"], dependencies=[Depends(bearer)])


def _shown_source(row: Row[Any], base: str) -> dict[str, Any]:
    names = ("name", "type", "project", "environment", "suite", "adapter", "description", "visibility")
    score = {name: getattr(row, name) for name in ("score", "score_reason", "score_run", "score_at")}
    url = f"{base}/sources/{row.id}"
    return {"id": str(row.id), **{name: getattr(row, name) for name in names}, **score, "url": url}


@router.get("/sources", response_model=Page, summary="Sources with their current score", responses=PAGE)
def list_sources(
    request: Request,
    platform: ThePlatform,
    account: TheAccount,
    project: str | None = None,
    environment: str | None = None,
    before: BeforeNumber = None,
    limit: Limit = 100,
) -> Response:
    c = tables.sources.c
    query = select(tables.sources).where(c.partner == account.partner)
    wanted = {"project": project, "environment": environment}
    query = query.where(*(c[name] == value for name, value in wanted.items() if value is not None))
    if before is not None:
        query = query.where(c.id > int(numbers(before, NUMBER)[0]))
    with platform.store.read() as tx:
        rows = tx.execute(query.order_by(c.id).limit(limit + 1)).all()
    base = base_url(request)
    return paged(request, rows, limit, lambda row: _shown_source(row, base), lambda row: str(row.id))


@router.get("/sources/{id}", summary="A source and the course of its score", responses=ONE)
def get_source(
    id: Annotated[str, Path()],  # noqa: A002 - the contract's word
    request: Request,
    platform: ThePlatform,
    account: TheAccount,
) -> dict[str, Any]:
    c, s = tables.sources.c, tables.scores.c
    with platform.store.read() as tx:
        number = int(id) if re.fullmatch(r"\d{1,18}", id) else -1
        row = tx.execute(select(tables.sources).where(c.id == number, c.partner == account.partner)).first()
        if row is None:
            raise Problem("not-found")
        course = select(
            s.run_key.label("run"), s.completed_at, s.overall, s.overall_reason, s.by_dimension
        ).where(s.source_id == row.id)
        points = tx.execute(course.order_by(s.completed_us, s.run_key)).mappings().all()
    return {**_shown_source(row, base_url(request)), "course": [dict(point) for point in points]}


@router.get(
    "/datasets",
    response_model=Page,
    summary="The datasets of a run: the named one, or the newest of a project and environment",
    responses={**PAGE, **ONE},
)
def list_datasets(
    request: Request,
    platform: ThePlatform,
    account: TheAccount,
    project: str | None = None,
    environment: str | None = None,
    run: str | None = None,
    before: BeforeRow = None,
    limit: Limit = 1000,
) -> Response:
    d, r = tables.datasets.c, tables.runs.c
    wanted = {"project": project, "environment": environment, "key": run}
    newest = (
        select(r.id)
        .where(r.partner == account.partner, r.state == "complete")
        .where(*(r[name] == value for name, value in wanted.items() if value is not None))
        .order_by(r.completed_us.desc(), r.key.desc())
        .limit(1)
    )
    query = select(d.row, d.batch, d.position).where(d.run_id == newest.scalar_subquery())
    if before is not None:
        batch, position = numbers(before, ROW)
        query = query.where(tuple_(d.batch, d.position) > tuple_(int(batch), int(position)))
    with platform.store.read() as tx:
        if run is not None:
            complete_run(tx, account.partner, run)
        rows = tx.execute(query.order_by(d.batch, d.position).limit(limit + 1)).all()
    return paged(
        request,
        rows,
        limit,
        lambda row: dict(msgspec.json.decode(row.row)),
        lambda row: f"{row.batch}.{row.position}",
    )


@router.get(
    "/checks/{key:path}/history",
    response_model=Page,
    summary="What became of a check, run by run, newest first",
    responses=PAGE,
)
def check_history(
    key: str,
    request: Request,
    platform: ThePlatform,
    account: TheAccount,
    project: str | None = None,
    environment: str | None = None,
    before: BeforeRun = None,
    limit: Limit = 100,
) -> Response:
    res, r = tables.results.c, tables.runs.c
    query = (
        select(res.row, r.key, r.completed_at, r.completed_us, r.branch, r.change_id, r.extent)
        .join(tables.runs, r.id == res.run_id)
        .where(r.partner == account.partner, r.state == "complete", res.check == key)
    )
    wanted = {"project": project, "environment": environment}
    query = query.where(*(r[name] == value for name, value in wanted.items() if value is not None))
    if before is not None:
        query = older(query, before)
    with platform.store.read() as tx:
        rows = tx.execute(query.order_by(r.completed_us.desc(), r.key.desc()).limit(limit + 1)).all()
    names = ("completed_at", "branch", "change_id", "extent")
    return paged(
        request,
        rows,
        limit,
        lambda row: {"run": row.key, **{n: getattr(row, n) for n in names}, **msgspec.json.decode(row.row)},
        lambda row: f"{row.completed_us}.{row.key}",
    )


@router.get("/issues", response_model=Page, summary="Issues, the last touched first", responses=PAGE)
def list_issues(
    request: Request,
    platform: ThePlatform,
    account: TheAccount,
    project: str | None = None,
    environment: str | None = None,
    status: str | None = None,
    before: BeforeNumber = None,
    limit: Limit = 100,
) -> Response:
    i, s = tables.issues.c, tables.sources.c
    query = select(tables.issues, s.name.label("source"), s.project, s.environment).join(
        tables.sources, s.id == i.source_id
    )
    query = query.where(i.partner == account.partner)
    wanted = {s.project: project, s.environment: environment, i.status: status}
    query = query.where(*(column == value for column, value in wanted.items() if value is not None))
    if before is not None:
        query = query.where(i.id < int(numbers(before, NUMBER)[0]))
    with platform.store.read() as tx:
        rows = tx.execute(query.order_by(i.id.desc()).limit(limit + 1)).mappings().all()
    return paged(
        request,
        rows,
        limit,
        lambda row: {**{k: v for k, v in row.items() if k != "partner"}, "id": str(row["id"])},
        lambda row: str(row["id"]),
    )
