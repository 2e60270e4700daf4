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
_NEXT = "`next` of the page before."
# `next`, by what a list is sorted by: batch and row, an id, the run's time and key.
ROW, NUMBER, RUN = r"(\d{1,9})\.(\d{1,9})", r"(\d{1,18})", r"(-?\d{1,18})\.([0-9a-f]{32})"
# RFC 3339 in UTC, with the days that a month has.
_DAY = r"((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-9]))"
_TIME = rf"[1-9]\d{{3}}-{_DAY}T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{{1,6}})?Z"
BeforeRow = Annotated[str | None, Query(description=_NEXT, pattern=f"^{ROW}$")]
BeforeNumber = Annotated[str | None, Query(description=_NEXT, pattern=f"^{NUMBER}$")]
BeforeRun = Annotated[
    str | None, Query(description=f"{_NEXT[:-1]}, or an RFC 3339 time in UTC.", pattern=f"^({RUN}|{_TIME})$")
]
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
    time, key = numbers(before, RUN)
    return query.where(tuple_(c.completed_us, c.key) < tuple_(int(time), key))


def complete_run(tx: Connection, partner: str, key: str) -> Row[Any]:
    run = run_row(tx, partner, key)
    if run is None or run.state != "complete":
        raise Problem("run-unknown")
    return run
