"""Serves the stand-in: blocking for people, in a thread for tests and demos. Must not know its routes."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from fastapi import FastAPI
from sqlalchemy import select

from qalita_action.sandbox import tables
from qalita_action.sandbox.app import create_app
from qalita_action.sandbox.quirks import Quirks
from qalita_action.sandbox.store import Store
from qalita_action.sandbox.tokens import ACCOUNTS, SCOPES, Account, make_token

START_TIMEOUT_S = 30


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A stand-in that serves. token is that of the first account."""

    url: str
    token: str
    database: Path
    secret: bytes

    def token_for(
        self,
        sub: int | str,
        *,
        role: str = "dataengineer",
        scopes: Sequence[str] = SCOPES,
        expires_at: float | None = None,
    ) -> str:
        """A development token of another user, role, scopes or expiry (seconds since the epoch)."""
        return make_token(self.secret, sub=sub, role=role, scopes=scopes, expires_at=expires_at)

    def stored(self, run_key: str, partner: str = "acme") -> dict[str, Any] | None:
        """The document as the tables hold it, complete or not: see stored_document."""
        return stored_document(self.database, run_key, partner)


def development_token(database: Path, *, sub: int | str = 1) -> str:
    """A token that a stand-in over this file accepts; the file is made where it is missing."""
    store = Store(database)
    store.close()
    return make_token(store.secret, sub=sub)


def stored_document(database: Path, run_key: str, partner: str = "acme") -> dict[str, Any] | None:
    """A run's document, rebuilt from the tables row by row in the order in which it was sent; None where
    there is no such run. `state` says whether the run is complete."""
    store = Store(database)
    try:
        with store.read() as tx:
            c = tables.runs.c
            run = tx.execute(select(tables.runs).where(c.partner == partner, c.key == run_key)).first()
            if run is None:
                return None
            rows = {
                kind: [
                    msgspec.json.decode(text)
                    for text in tx.execute(
                        select(table.c.row)
                        .where(table.c.run_id == run.id)
                        .order_by(table.c.batch, table.c.position)
                    ).scalars()
                ]
                for kind, table in tables.ROWS.items()
            }
    finally:
        store.close()
    parts = {"source": run.source, "run": run.run, "scores": run.scores, "ledger": run.ledger}
    return {"schemaVersion": run.schema_version, "state": run.state, **parts, **rows}


def _server(app: FastAPI) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        date_header=False,  # the stand-in has a clock of its own
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=3,
    )
    return uvicorn.Server(config)


def _listening(host: str, port: int) -> tuple[socket.socket, str]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, or asyncio does not turn Nagle's algorithm off: 40 ms on every answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    shown = f"[{host}]" if ":" in host else host
    return listener, f"http://{shown}:{listener.getsockname()[1]}"


def announce(running: Running) -> None:
    """Says on standard output where it listens and what a client needs, one line each."""
    lines = (
        f"A stand-in for QALITA, not QALITA: {running.url}",
        f"export QALITA_WORKER_ENDPOINT={running.url}",
        f"export QALITA_WORKER_TOKEN={running.token}",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


@contextmanager
def _signals_end_it() -> Iterator[None]:
    """The server ends at SIGINT and SIGTERM, and then sends itself the same signal again for whoever else
    listens. To be ended is what a server is for, not a failure: nobody listens."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda _number, _frame: None) for number in caught]
    try:
        yield
    finally:
        for number, handler in zip(caught, before, strict=True):
            signal.signal(number, handler)


def serve(
    host: str,
    port: int,
    database: Path,
    *,
    quirks: Quirks = Quirks(),
    accounts: Sequence[Account] = ACCOUNTS,
    ready: Callable[[Running], None] = announce,
) -> None:
    """Serve until interrupted. port 0 takes a free one; ready is called once the address listens, with the
    real URL and a token. The pages need no token: bind it to loopback unless the network is yours. Raises
    OSError where the port is taken."""
    app = create_app(database, quirks=quirks, accounts=accounts)
    listener, url = _listening(host, port)
    with listener:
        ready(_running(database, url, accounts))
        with _signals_end_it():
            _server(app).run(sockets=[listener])


@contextmanager
def running(
    database: Path, *, quirks: Quirks = Quirks(), accounts: Sequence[Account] = ACCOUNTS
) -> Iterator[Running]:
    """A stand-in that serves in a thread, on a free loopback port, for the time of a `with` block."""
    app = create_app(database, quirks=quirks, accounts=accounts)
    listener, url = _listening("127.0.0.1", 0)
    server = _server(app)

    def work() -> None:
        with suppress(SystemExit):  # uvicorn's way to say that it did not start: _wait tells it here
            server.run(sockets=[listener])

    thread = threading.Thread(target=work, name="sandbox", daemon=True)
    with listener:
        thread.start()
        try:
            _wait(server, thread)
            yield _running(database, url, accounts)
        finally:
            server.should_exit = True
            thread.join()


def _wait(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the stand-in did not start; its log says why")
        time.sleep(0.005)


def _running(database: Path, url: str, accounts: Sequence[Account]) -> Running:
    store = Store(database)
    store.close()
    sub = accounts[0].id if accounts else 1
    return Running(url=url, token=make_token(store.secret, sub=sub), database=database, secret=store.secret)
