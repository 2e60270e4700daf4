"""How the ingestion API's lists are cut into pages, and which runs may be seen. Must not know what is
listed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import Query, Request
from sqlalchemy import Connection, Row, Select, tuple_
from starlette.responses import Response

from qalita_action.sandbox import tables
from qalita_action.sandbox.documents import microseconds
from qalita_action.sandbox.problems import Problem, declared
from qalita_action.sandbox.writing import run_row

TOKEN = ("token-missing", "token-malformed", "token-expired", "user-unknown", "scope-missing")
Limit = Annotated[int, Query(ge=1, le=1000)]
Before = Annotated[str | None, Query(description="`next` of the page before.")]
LINK: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page.",
        "headers": {
            "Link": {"description": 'rel="next", unless this is the end.', "schema": {"type": "string"}}
        },
    }
}
PAGE: dict[int | str, dict[str, Any]] = {**LINK, **declared(*TOKEN, "not-found", "parameter-malformed")}
ONE = declared(*TOKEN, "not-found", "run-unknown", "parameter-malformed")


def as_json(body: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), 200, headers, "application/json")


def paged(
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
    return as_json({"items": [show(row) for row in shown], "next": following}, headers)


def numbers(before: str, form: str) -> tuple[str, ...]:
    found = re.fullmatch(form, before)
    if found is None:
        raise Problem("parameter-malformed", "before is not a `next` of this list")
    return found.groups()


def older(query: Select[Any], before: str) -> Select[Any]:
    c = tables.runs.c
    try:
        if "T" in before:
            return query.where(c.completed_us < microseconds(before))
    except ValueError as error:
        raise Problem("parameter-malformed", "before is not a time") from error
    time, key = numbers(before, r"(-?\d{1,18})\.([0-9a-f]{32})")
    return query.where(tuple_(c.completed_us, c.key) < tuple_(int(time), key))


def complete_run(tx: Connection, partner: str, key: str) -> Row[Any]:
    run = run_row(tx, partner, key)
    if run is None or run.state != "complete":
        raise Problem("run-unknown")
    return run
