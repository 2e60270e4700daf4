"""The reading half of the ingestion API. Shows complete runs alone, and those of the token's tenant alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from sqlalchemy import Row, Select, func, select, tuple_
from starlette.responses import Response

from qalita_action.sandbox import tables
from qalita_action.sandbox.completing import received_batches
from qalita_action.sandbox.documents import KINDS, Capabilities, Page, RunState, microseconds
from qalita_action.sandbox.platform import TheAccount, ThePlatform, account_of, base_url, bearer
from qalita_action.sandbox.problems import INGEST, Problem, declared
from qalita_action.sandbox.writing import run_row

router = APIRouter(prefix=INGEST, tags=["ingestion API: reads"], dependencies=[Depends(bearer)])

FEATURES = ["gzip", "restart", "history", "issues"]
_TOKEN = ("token-missing", "token-malformed", "token-expired", "user-unknown", "scope-missing")
Limit = Annotated[int, Query(ge=1, le=1000)]
Before = Annotated[str | None, Query(description="`next` of the page before.")]
_LINK: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page.",
        "headers": {
            "Link": {"description": 'rel="next", unless this is the end.', "schema": {"type": "string"}}
        },
    }
}
_PAGE: dict[int | str, dict[str, Any]] = {**_LINK, **declared(*_TOKEN, "not-found", "parameter-malformed")}
_ONE = declared(*_TOKEN, "not-found", "run-unknown", "parameter-malformed")


def _json(body: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), 200, headers, "application/json")


def _page(
    request: Request,
    rows: Sequence[Any],
    limit: int,
    show: Callable[[Any], dict[str, Any]],
    cursor: Callable[[Any], str],
) -> Response:
    """Rows holds one more than the page, where there is more."""
    shown = rows[:limit]
    following = cursor(shown[-1]) if len(rows) > limit else None
    headers = {}
    if following is not None:
        url = request.url.include_query_params(before=following)
        headers["Link"] = f'<{url}>; rel="next"'
    return _json({"items": [show(row) for row in shown], "next": following}, headers)


def _numbers(before: str, form: str) -> tuple[str, ...]:
    found = re.fullmatch(form, before)
    if found is None:
        raise Problem("parameter-malformed", "before is not a `next` of this list")
    return found.groups()


@router.get(
    "",
    response_model=Capabilities,
    summary="What this platform takes",
    responses=declared(*_TOKEN),
    dependencies=[Depends(account_of)],
)
def capabilities(platform: ThePlatform) -> Response:
    quirks = platform.quirks
    sizes = {"max_batch": quirks.max_batch, "max_body_bytes": quirks.max_body_bytes}
    return _json({"version": "1", **sizes, "features": FEATURES})


# ---------------------------------------------------------------- runs


@router.get("/runs", response_model=Page, summary="Complete runs, newest completed_at first", responses=_PAGE)
def list_runs(
    request: Request,
    platform: ThePlatform,
    account: TheAccount,
    project: str | None = None,
    environment: str | None = None,
    branch: str | None = None,
    change_id: str | None = None,
    extent: str | None = None,
    before: Annotated[
        str | None, Query(description="`next` of the page before, or an RFC 3339 time in UTC.")
    ] = None,
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
        query = _older(query, before)
    query = query.order_by(c.completed_us.desc(), c.key.desc()).limit(limit + 1)
    with platform.store.read() as tx:
        rows = tx.execute(query).all()
    base = base_url(request)
    return _page(request, rows, limit, lambda r: _shown_run(r, base), lambda r: f"{r.completed_us}.{r.key}")


def _older(query: Select[Any], before: str) -> Select[Any]:
    c = tables.runs.c
    try:
        if "T" in before:
            return query.where(c.completed_us < microseconds(before))
    except ValueError as error:
        raise Problem("parameter-malformed", "before is not a time") from error
    time, key = _numbers(before, r"(-?\d{1,18})\.([0-9a-f]{32})")
    return query.where(tuple_(c.completed_us, c.key) < tuple_(int(time), key))


def _shown_run(row: Row[Any], base: str) -> dict[str, Any]:
    parts = {"source": row.source, "run": row.run, "ledger": row.ledger, "scores": row.scores}
    return {"key": row.key, **parts, "url": f"{base}/runs/{row.id}"}


@router.get("/runs/{key}", response_model=RunState, summary="How far a run is", responses=_ONE)
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
    return _json({**shown, **state, "scores": run.scores if is_complete else None})


def _complete_run(tx: Any, partner: str, key: str) -> Row[Any]:
    run = run_row(tx, partner, key)
    if run is None or run.state != "complete":
        raise Problem("run-unknown")
    return run


@router.get(
    "/runs/{key}/results",
    response_model=Page,
    summary="The results of a run, each with its check's alias, to compare with",
    responses={**_PAGE, **_ONE},
)
def list_results(
    key: str,
    request: Request,
    platform: ThePlatform,
    account: TheAccount,
    before: Before = None,
    limit: Limit = 1000,
) -> Response:
    r, k = tables.results.c, tables.checks.c
    query = select(r.row, r.batch, r.position, k.alias).join(
        tables.checks, (k.run_id == r.run_id) & (k.key == r.check)
    )
    if before is not None:
        batch, position = _numbers(before, r"(\d{1,9})\.(\d{1,9})")
        query = query.where(tuple_(r.batch, r.position) > tuple_(int(batch), int(position)))
    with platform.store.read() as tx:
        run = _complete_run(tx, account.partner, key)
        query = query.where(r.run_id == run.id).order_by(r.batch, r.position).limit(limit + 1)
        rows = tx.execute(query).all()
    return _page(
        request,
        rows,
        limit,
        lambda row: {**msgspec.json.decode(row.row), "alias": row.alias},
        lambda row: f"{row.batch}.{row.position}",
    )


# ---------------------------------------------------------------- sources, datasets, checks, issues


def _shown_source(row: Row[Any], base: str) -> dict[str, Any]:
    names = ("name", "type", "project", "environment", "suite", "adapter", "description", "visibility")
    score = {name: getattr(row, name) for name in ("score", "score_reason", "score_run", "score_at")}
    url = f"{base}/sources/{row.id}"
    return {"id": str(row.id), **{name: getattr(row, name) for name in names}, **score, "url": url}


@router.get("/sources", response_model=Page, summary="Sources with their current score", responses=_PAGE)
def list_sources(
    request: Request,
    platform: ThePlatform,
    account: TheAccount,
    project: str | None = None,
    environment: str | None = None,
    before: Before = None,
    limit: Limit = 100,
) -> Response:
    c = tables.sources.c
    query = select(tables.sources).where(c.partner == account.partner)
    wanted = {"project": project, "environment": environment}
    query = query.where(*(c[name] == value for name, value in wanted.items() if value is not None))
    if before is not None:
        query = query.where(c.id > int(_numbers(before, r"(\d{1,18})")[0]))
    with platform.store.read() as tx:
        rows = tx.execute(query.order_by(c.id).limit(limit + 1)).all()
    base = base_url(request)
    return _page(request, rows, limit, lambda row: _shown_source(row, base), lambda row: str(row.id))


@router.get("/sources/{id}", summary="A source and the course of its score", responses=_ONE)
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
    responses={**_PAGE, **_ONE},
)
def list_datasets(
    request: Request,
    platform: ThePlatform,
    account: TheAccount,
    project: str | None = None,
    environment: str | None = None,
    run: str | None = None,
    before: Before = None,
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
        batch, position = _numbers(before, r"(\d{1,9})\.(\d{1,9})")
        query = query.where(tuple_(d.batch, d.position) > tuple_(int(batch), int(position)))
    with platform.store.read() as tx:
        if run is not None:
            _complete_run(tx, account.partner, run)
        rows = tx.execute(query.order_by(d.batch, d.position).limit(limit + 1)).all()
    return _page(
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
    responses=_PAGE,
)
def check_history(
    key: str,
    request: Request,
    platform: ThePlatform,
    account: TheAccount,
    project: str | None = None,
    environment: str | None = None,
    before: Before = None,
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
        query = _older(query, before)
    with platform.store.read() as tx:
        rows = tx.execute(query.order_by(r.completed_us.desc(), r.key.desc()).limit(limit + 1)).all()
    names = ("completed_at", "branch", "change_id", "extent")
    return _page(
        request,
        rows,
        limit,
        lambda row: {"run": row.key, **{n: getattr(row, n) for n in names}, **msgspec.json.decode(row.row)},
        lambda row: f"{row.completed_us}.{row.key}",
    )


@router.get("/issues", response_model=Page, summary="Issues, the last touched first", responses=_PAGE)
def list_issues(
    request: Request,
    platform: ThePlatform,
    account: TheAccount,
    project: str | None = None,
    environment: str | None = None,
    status: str | None = None,
    before: Before = None,
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
        query = query.where(i.id < int(_numbers(before, r"(\d{1,18})")[0]))
    with platform.store.read() as tx:
        rows = tx.execute(query.order_by(i.id.desc()).limit(limit + 1)).mappings().all()
    return _page(
        request,
        rows,
        limit,
        lambda row: {**{k: v for k, v in row.items() if k != "partner"}, "id": str(row["id"])},
        lambda row: str(row["id"]),
    )
