"""The pages about sources and runs. Everything shown was sent by a client and is escaped by the templates;
shows complete runs alone. Must not change anything, and needs no token: it is for a laptop."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, cast

from fastapi import APIRouter, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy import ColumnElement, Connection, Row, case, func, select
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response

from qalita_action.sandbox import look, tables
from qalita_action.sandbox.platform import ThePlatform, base_url
from qalita_action.sandbox.quirks import FACTS, Quirks

_FOLDER = Path(__file__).parent / "templates"
PER_PAGE = 200
# What a person looks for comes first.
_ORDER = ("failed", "errored", "unknown", "skipped", "warned", "not_run", "reused", "passed")

router = APIRouter(include_in_schema=False)

templates = Environment(
    loader=FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.filters |= {
    "percent": look.percent,
    "grade": look.grade,
    "when": look.when,
    "short": look.short,
    "failures": look.failures,
    "place": look.place,
}
templates.globals |= {"count": look.count}


def rendered(name: str, request: Request, *, http_status: int = 200, **values: Any) -> HTMLResponse:
    html = templates.get_template(name).render(base=base_url(request), path=request.url.path, **values)
    return HTMLResponse(html, http_status)


def not_found(request: Request) -> HTMLResponse:
    return rendered("missing.html", request, http_status=404)


def found(row: Any) -> Row[Any]:
    if row is None:
        raise HTTPException(404)
    return cast(Row[Any], row)


@router.get("/style.css")
def style() -> Response:
    return FileResponse(_FOLDER / "style.css", media_type="text/css")


@router.get("/favicon.ico")
def no_icon() -> Response:
    return Response(status_code=204)


# ---------------------------------------------------------------- sources


def _course(tx: Connection, source_id: int) -> list[Row[Any]]:
    s = tables.scores.c
    newest = select(tables.scores).where(s.source_id == source_id)
    rows = tx.execute(newest.order_by(s.completed_us.desc(), s.run_key.desc()).limit(60)).all()
    return list(reversed(rows))


@router.get("/")
def list_sources(request: Request, platform: ThePlatform) -> Response:
    s, r, i = tables.sources.c, tables.runs.c, tables.issues.c
    with platform.store.read() as tx:
        rows = tx.execute(select(tables.sources).order_by(s.partner, s.name, s.id)).all()
        opened = select(i.source_id, func.count()).where(i.status == "open").group_by(i.source_id)
        issues = {row[0]: row[1] for row in tx.execute(opened)}
        complete = select(r.source_id, func.count()).where(r.state == "complete").group_by(r.source_id)
        runs = {row[0]: row[1] for row in tx.execute(complete)}
        courses = {row.id: look.course([p.overall for p in _course(tx, row.id)]) for row in rows}
    return rendered(
        "sources.html",
        request,
        sources=rows,
        issues=issues,
        runs=runs,
        courses=courses,
        has_tenants=len({row.partner for row in rows}) > 1,
    )


@router.get("/sources/{source_id}")
def show_source(source_id: int, request: Request, platform: ThePlatform, page: int = 1) -> Response:
    s, r, i, j, m = (t.c for t in (tables.sources, tables.runs, tables.issues, tables.jobs, tables.metrics))
    page = max(1, page)
    with platform.store.read() as tx:
        source = found(tx.execute(select(tables.sources).where(s.id == source_id)).first())
        mine = (r.source_id == source_id) & (r.state == "complete")
        newest = select(tables.runs).where(mine).order_by(r.completed_us.desc(), r.key.desc())
        runs = tx.execute(newest.offset((page - 1) * 50).limit(51)).all()
        opened = tx.execute(
            select(tables.issues).where(i.source_id == source_id).order_by(i.status, i.id.desc()).limit(200)
        ).all()
        points = _course(tx, source_id)
        jobs = tx.execute(select(func.count()).where(j.source_id == source_id, j.kind == "pack")).scalar()
        metrics = tx.execute(select(func.count()).where(m.source_id == source_id)).scalar()
    return rendered(
        "source.html",
        request,
        source=source,
        runs=runs[:50],
        page=page,
        has_more=len(runs) > 50,
        issues=opened,
        points=points,
        course=look.course([point.overall for point in points]),
        jobs=jobs,
        metrics=metrics,
    )


# ---------------------------------------------------------------- runs


def _complete_run(tx: Connection, run_id: int) -> Row[Any]:
    r = tables.runs.c
    return found(tx.execute(select(tables.runs).where(r.id == run_id, r.state == "complete")).first())


def _checks(tx: Connection, condition: ColumnElement[bool], page: int = 1) -> list[Row[Any]]:
    """Checks with their result, broken ones first; one more than a page holds."""
    k, r = tables.checks.c, tables.results.c
    rank = case({status: n for n, status in enumerate(_ORDER)}, value=r.status, else_=2)
    query = (
        select(tables.checks, r.status, r.reason, r.failures, r.message, r.duration_s, r.caused_by)
        .outerjoin(tables.results, (r.run_id == k.run_id) & (r.check == k.key))
        .where(condition)
        .order_by(rank, k.name, k.key)
    )
    return list(tx.execute(query.offset((page - 1) * PER_PAGE).limit(PER_PAGE + 1)).all())


@router.get("/runs/{run_id}")
def show_run(
    run_id: int, request: Request, platform: ThePlatform, status: str | None = None, page: int = 1
) -> Response:
    c, k, d, r, j = (
        t.c for t in (tables.causes, tables.checks, tables.datasets, tables.results, tables.jobs)
    )
    page = max(1, page)
    with platform.store.read() as tx:
        run = _complete_run(tx, run_id)
        level = case({"high": 0, "warning": 1}, value=c.level, else_=2)
        causes = tx.execute(
            select(tables.causes).where(c.run_id == run_id).order_by(level, c.batch, c.position)
        ).all()
        wanted = k.run_id == run_id
        if status is not None:
            wanted &= r.status == status if status != "none" else r.status.is_(None)
        checks = _checks(tx, wanted, page)
        datasets = tx.execute(
            select(tables.datasets).where(d.run_id == run_id).order_by(d.kind, d.name).limit(PER_PAGE + 1)
        ).all()
        outcomes = select(k.dataset, r.status).join(
            tables.results, (r.run_id == k.run_id) & (r.check == k.key)
        )
        tallies: dict[str | None, Counter[str]] = {}
        totals: Counter[str] = Counter()
        for dataset, outcome in tx.execute(outcomes.where(k.run_id == run_id)):
            tallies.setdefault(dataset, Counter())[outcome] += 1
            totals[outcome] += 1
        job = tx.execute(select(tables.jobs).where(j.id == run.job_id)).first()
        names = {row.key: row.name for row in datasets}
    return rendered(
        "run.html",
        request,
        run=run,
        causes=causes,
        checks=checks[:PER_PAGE],
        has_more=len(checks) > PER_PAGE,
        page=page,
        status=status,
        datasets=datasets[:PER_PAGE],
        has_more_datasets=len(datasets) > PER_PAGE,
        tallies=tallies,
        totals=[(name, totals[name]) for name in _ORDER if totals[name]],
        order=_ORDER,
        job=job,
        names=names,
    )


@router.get("/runs/{run_id}/dataset")
def show_dataset(run_id: int, key: str, request: Request, platform: ThePlatform, page: int = 1) -> Response:
    d, k = tables.datasets.c, tables.checks.c
    page = max(1, page)
    with platform.store.read() as tx:
        run = _complete_run(tx, run_id)
        dataset = found(tx.execute(select(tables.datasets).where(d.run_id == run_id, d.key == key)).first())
        checks = _checks(tx, (k.run_id == run_id) & (k.dataset == key), page)
    return rendered(
        "dataset.html",
        request,
        run=run,
        dataset=dataset,
        checks=checks[:PER_PAGE],
        has_more=len(checks) > PER_PAGE,
        page=page,
        score=run.scores["by_dataset"].get(key),
        column_scores={
            column["name"]: run.scores["by_column"].get(f"{key}.{column['name']}")
            for column in dataset.columns or ()
        },
    )


@router.get("/issues")
def list_issues(request: Request, platform: ThePlatform) -> Response:
    i, s = tables.issues.c, tables.sources.c
    query = select(tables.issues, s.name.label("source")).join(tables.sources, s.id == i.source_id)
    with platform.store.read() as tx:
        rows = tx.execute(query.order_by(i.status, i.updated_at.desc(), i.id.desc()).limit(500)).all()
    return rendered("issues.html", request, issues=rows)


@router.get("/about")
def about(request: Request, platform: ThePlatform) -> Response:
    quirks = platform.quirks
    switches = {fact.switch: getattr(quirks, fact.switch) for fact in FACTS if fact.switch is not None}
    return rendered("about.html", request, facts=FACTS, switches=switches, usual=Quirks())
