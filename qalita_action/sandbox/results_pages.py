"""The pages about what came by the results API: jobs and their outputs, metrics, recommendations. Uploaded
pages are shown in a cage: no script, no network. Must not change anything."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import Table, func, select
from starlette.responses import Response

from qalita_action.sandbox import tables
from qalita_action.sandbox.pages import PER_PAGE, found, rendered
from qalita_action.sandbox.platform import ThePlatform
from qalita_action.sandbox.uploads import OUTPUT_TYPES

router = APIRouter(include_in_schema=False)

CAGE = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@router.get("/jobs")
def list_jobs(request: Request, platform: ThePlatform, page: int = 1) -> Response:
    j, s = tables.jobs.c, tables.sources.c
    page = max(1, page)
    query = select(tables.jobs, s.name.label("source")).outerjoin(tables.sources, s.id == j.source_id)
    query = query.order_by(j.id.desc()).offset((page - 1) * PER_PAGE).limit(PER_PAGE + 1)
    with platform.store.read() as tx:
        rows = tx.execute(query).all()
    return rendered("jobs.html", request, jobs=rows[:PER_PAGE], page=page, has_more=len(rows) > PER_PAGE)


@router.get("/jobs/{job_id}")
def show_job(job_id: int, request: Request, platform: ThePlatform) -> Response:
    j, o, s = tables.jobs.c, tables.outputs.c, tables.sources.c
    with platform.store.read() as tx:
        job = found(tx.execute(select(tables.jobs).where(j.id == job_id)).first())
        files = tx.execute(select(o.id, o.name, o.size).where(o.job_id == job_id).order_by(o.id)).all()
        source = tx.execute(select(s.id, s.name).where(s.id == job.source_id)).first()
    return rendered("job.html", request, job=job, outputs=files, source=source)


@router.get("/jobs/{job_id}/outputs/{output_id}")
def show_output(job_id: int, output_id: int, platform: ThePlatform) -> Response:
    o = tables.outputs.c
    with platform.store.read() as tx:
        output = found(
            tx.execute(select(o.name, o.content).where(o.job_id == job_id, o.id == output_id)).first()
        )
    kind = OUTPUT_TYPES[PurePath(output.name).suffix.lower()]
    return Response(output.content, 200, {"Content-Security-Policy": CAGE}, kind)


@router.get("/metrics")
def list_metrics(
    request: Request, platform: ThePlatform, source_id: int | None = None, page: int = 1
) -> Response:
    return _listed("metrics.html", request, platform, tables.metrics, source_id, page)


@router.get("/recommendations")
def list_recommendations(
    request: Request, platform: ThePlatform, source_id: int | None = None, page: int = 1
) -> Response:
    return _listed("recommendations.html", request, platform, tables.recommendations, source_id, page)


def _listed(
    template: str,
    request: Request,
    platform: ThePlatform,
    table: Table,
    source_id: int | None,
    page: int,
) -> Response:
    t, s = table.c, tables.sources.c
    page = max(1, page)
    query: Any = select(table, s.name.label("source")).outerjoin(tables.sources, s.id == t.source_id)
    total: Any = select(func.count()).select_from(table)
    if source_id is not None:
        query, total = query.where(t.source_id == source_id), total.where(t.source_id == source_id)
    query = query.order_by(t.id.desc()).offset((page - 1) * PER_PAGE).limit(PER_PAGE + 1)
    with platform.store.read() as tx:
        rows, number = tx.execute(query).all(), tx.execute(total).scalar() or 0
    return rendered(
        template,
        request,
        rows=rows[:PER_PAGE],
        total=number,
        page=page,
        has_more=len(rows) > PER_PAGE,
        source_id=source_id,
    )
