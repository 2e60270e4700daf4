"""Puts the stand-in together: routes, refusals, headers, life cycle. Must hold no rule of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from sqlalchemy import insert, select
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from typing_extensions import assert_never

from qalita_action.sandbox import (
    ingest_reads,
    ingest_runs,
    ingest_writes,
    openapi,
    pages,
    results_api,
    results_jobs,
    results_pages,
    tables,
    uploads,
)
from qalita_action.sandbox.intake import InFlight
from qalita_action.sandbox.platform import Platform
from qalita_action.sandbox.problems import Problem, answer, is_ingest
from qalita_action.sandbox.quirks import Quirks
from qalita_action.sandbox.scoring import ScoringWorker
from qalita_action.sandbox.store import Store
from qalita_action.sandbox.tokens import ACCOUNTS, Account

TITLE = "A stand-in for a QALITA platform"
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": PAGE_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def create_app(
    database: Path, *, quirks: Quirks = Quirks(), accounts: Sequence[Account] = ACCOUNTS
) -> FastAPI:
    """The stand-in over this SQLite file, which is made where it is missing. The file is opened when the app
    starts and closed when it stops. It protects nothing: for a laptop and for tests."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        store = Store(database, quirks.clock_skew_s)
        try:
            _seed(store, quirks, accounts)
            worker = ScoringWorker(store)
            app.state.platform = Platform(
                store=store, quirks=quirks, accounts=tuple(accounts), queue=worker.wake
            )
            worker.start()
            try:
                yield
            finally:
                worker.stop()
        finally:
            store.close()

    app = FastAPI(
        title=TITLE,
        version=quirks.version,
        summary="Not QALITA: a stand-in for a laptop and for tests, with both APIs that dbt ingest speaks.",
        lifespan=life,
        docs_url=None,  # both pages would load scripts from elsewhere
        redoc_url=None,
    )
    app.state.in_flight = InFlight()
    routers = (
        ingest_writes.router,
        ingest_runs.router,
        ingest_reads.router,
        results_api.router,
        results_jobs.router,
        uploads.router,
        pages.router,
        results_pages.router,
    )
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(Problem, _refuse)
    app.add_exception_handler(HTTPException, _refuse_http)
    app.add_exception_handler(RequestValidationError, _refuse_parameters)
    app.add_exception_handler(OverflowError, _refuse_number)
    app.add_middleware(_Edge, quirks=quirks)
    openapi.install(app)
    return app


def _seed(store: Store, quirks: Quirks, accounts: Sequence[Account]) -> None:
    if not quirks.pack or not accounts:
        return
    with store.write() as tx:
        p = tables.packs.c
        if tx.execute(select(p.id).where(p.name == "dbt ingest")).first() is not None:
            return
        values = {
            "name": "dbt ingest",
            "partner": accounts[0].partner,
            "owner_id": accounts[0].id,
            "description": "Results of dbt's tests, sent by CI.",
            "visibility": "public",
            "type": "validity",
            "created_at": store.now(),
        }
        pack_id = results_api.made(tx, tables.packs, values)
        version = {"pack_id": pack_id, "sem_ver_id": "1.0.0", "asset_id": None}
        tx.execute(insert(tables.pack_versions).values(version))


# ---------------------------------------------------------------- refusals


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return answer(error, request.url.path)


async def _refuse_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    codes = {404: "not-found", 405: "method-not-allowed"}
    if is_ingest(path) and error.status_code in codes:
        response = answer(Problem(codes[error.status_code]), path)
        response.headers.update(_headers(request, error))
        return response
    if not path.startswith("/api/") and error.status_code == 404:
        return pages.not_found(request)
    body = msgspec.json.encode({"detail": error.detail})
    return Response(body, error.status_code, _headers(request, error), "application/json")


def _headers(request: Request, error: HTTPException) -> dict[str, str]:
    """Allow names every method of a path (RFC 9110 §10.2.1): a route knows its own alone."""
    headers = dict(error.headers or {})
    if error.status_code == 405:
        path, declared = request.url.path, request.app.openapi()["paths"]
        same = [template for template in declared if compile_path(template)[0].match(path)]
        if same:  # a page is in no document
            methods = declared[min(same, key=lambda template: template.count("{"))]
            headers["Allow"] = ", ".join(sorted(method.upper() for method in methods))
    return headers


async def _refuse_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    path = request.url.path
    if not is_ingest(path):
        return await request_validation_exception_handler(request, error)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return answer(Problem("parameter-malformed", f"{place}: {first['msg']}"), path)


async def _refuse_number(request: Request, error: Exception) -> Response:
    """SQLite holds whole numbers up to 2^63; what is larger names nothing here."""
    assert isinstance(error, OverflowError)
    path = request.url.path
    if is_ingest(path):
        return answer(Problem("parameter-malformed", "a number is out of range"), path)
    if not path.startswith("/api/"):
        return pages.not_found(request)
    return Response(b'{"detail":"a number is out of range"}', 422, media_type="application/json")


# ---------------------------------------------------------------- the edge


class _Edge:
    """Dates every answer by the stand-in's own clock, adds the headers of a careful site, and plays the
    frontend host or a platform without the ingestion API where the switches say so."""

    def __init__(self, app: ASGIApp, quirks: Quirks) -> None:
        self._app = app
        self._quirks = quirks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        app = self._instead(scope) or self._app

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._added(scope, message["headers"])]
            await send(message)

        await app(scope, receive, dated)

    def _added(self, scope: Scope, present: list[Any]) -> list[tuple[bytes, bytes]]:
        names = {name.lower() for name, _ in present}
        now = scope["app"].state.platform.store.epoch()
        added = {"date": formatdate(now, usegmt=True), **_HEADERS}
        return [(k.encode(), v.encode()) for k, v in added.items() if k.encode() not in names]

    def _instead(self, scope: Scope) -> ASGIApp | None:
        path, quirks = scope["path"], self._quirks
        if not path.startswith("/api/"):
            return None
        match quirks.front:
            case "html":
                return HTMLResponse("<!doctype html><title>QALITA</title><p>This is the frontend.")
            case "redirect":
                return RedirectResponse("/", 307)
            case "api":
                pass
            case _:
                assert_never(quirks.front)
        if not is_ingest(path) or quirks.ingestion == 200:
            return None
        if quirks.ingestion == 204:
            return Response(status_code=204)
        body = msgspec.json.encode({"detail": "Not Found"})
        return Response(body, quirks.ingestion, media_type="application/json")
