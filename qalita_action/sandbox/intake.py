"""How a write comes in: the idempotency key claimed, the body received within bounds, decoded and compared
with the key, and the answer stored with what it did, in one transaction. Must not know what a write means."""

from __future__ import annotations

import hashlib
import re
import threading
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import msgspec
from fastapi import Request
from sqlalchemy import Connection, bindparam, insert, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from qalita_action.sandbox import tables
from qalita_action.sandbox.platform import Platform
from qalita_action.sandbox.problems import Problem
from qalita_action.sandbox.tokens import Account

BODY_TIMEOUT_S = 60
RETRY_AFTER_S = 1
KEY_FORM = r"([0-9a-f]{32})/(run|datasets|checks|results|causes|complete)/(\d{1,9})/([0-9a-f]{16})"
_FORM = re.compile(KEY_FORM)
ANSWERED = select(tables.answers.c.status, tables.answers.c.body).where(
    tables.answers.c.partner == bindparam("who"), tables.answers.c.idempotency_key == bindparam("key")
)


class Write(msgspec.Struct, frozen=True):
    """A write that arrived whole. digest: SHA-256 of the decoded body, in hex."""

    account: Account
    idempotency_key: str
    run_key: str
    body: bytes
    digest: str


class Answer(msgspec.Struct, frozen=True):
    """What a write answers. forgets: earlier answers about this run are void, because what they did is."""

    status: int
    body: Any
    forgets: bool = False


class InFlight:
    """The writes that are being worked on, so that a twin is told to wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: set[tuple[str, str]] = set()

    @contextmanager
    def claimed(self, partner: str, key: str) -> Iterator[None]:
        with self._lock:
            if (partner, key) in self._keys:
                raise Problem("in-progress", retry_after=RETRY_AFTER_S)
            self._keys.add((partner, key))
        try:
            yield
        finally:
            with self._lock:
                self._keys.discard((partner, key))


Work = Callable[[Connection, Write], Answer]


async def take(
    request: Request,
    platform: Platform,
    account: Account,
    *,
    run_key: str,
    call: str,
    n: int,
    prepare: Callable[[Write], Work],
) -> Response:
    """Receive one write and do it once. prepare decodes and judges the body outside of the transaction and
    gives the work to do inside it. Raises Problem."""
    key = request.headers.get("idempotency-key")
    if key is None:
        raise Problem("idempotency-key-missing")
    form = _FORM.fullmatch(key)
    if form is None:
        raise Problem("idempotency-key-malformed")
    if form.group(1, 2, 3) != (run_key, call, str(n)):
        raise Problem("idempotency-key-mismatch", f"This call is {run_key}/{call}/{n}.")
    in_flight: InFlight = request.app.state.in_flight
    with in_flight.claimed(account.partner, key):
        body = await _received(request, platform.quirks.max_body_bytes)
        digest = hashlib.sha256(body).hexdigest()
        if digest[:16] != form.group(4):
            raise Problem("idempotency-key-mismatch", f"The decoded body's digest begins with {digest[:16]}.")
        write = Write(account, key, run_key, body, digest)
        return await run_in_threadpool(_do, platform, write, prepare)


def _do(platform: Platform, write: Write, prepare: Callable[[Write], Work]) -> Response:
    """What was answered once is answered again, also where the switches would refuse it by now."""
    try:
        work = prepare(write)
    except Problem:
        with platform.store.read() as tx:
            earlier = _answered(tx, write)
        if earlier is None:
            raise
        return _response(*earlier, replayed=True)
    with platform.store.write() as tx:
        earlier = _answered(tx, write)
        if earlier is not None:
            return _response(*earlier, replayed=True)
        answer = work(tx, write)
        text = msgspec.json.encode(answer.body).decode()
        if answer.forgets:
            tx.execute(tables.answers.delete().where(_of_run(write)))
        tx.execute(
            insert(tables.answers),
            {
                "partner": write.account.partner,
                "idempotency_key": write.idempotency_key,
                "run_key": write.run_key,
                "status": answer.status,
                "body": text,
            },
        )
        return _response(answer.status, text, replayed=False)


def _of_run(write: Write) -> Any:
    c = tables.answers.c
    return (c.partner == write.account.partner) & (c.run_key == write.run_key)


def _answered(tx: Connection, write: Write) -> tuple[int, str] | None:
    found = tx.execute(ANSWERED, {"who": write.account.partner, "key": write.idempotency_key}).first()
    return None if found is None else (found.status, found.body)


def _response(status: int, text: str, *, replayed: bool) -> Response:
    headers = {"Idempotency-Replayed": "true" if replayed else "false"}
    return Response(text, status, headers, "application/json")


async def _received(request: Request, limit: int) -> bytes:
    """The decoded body. The limit holds for the decoded bytes, so that a small gzip stays small."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise Problem("encoding-unknown")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    inflate = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    parts: list[bytes] = []
    size = 0

    async def read() -> None:
        nonlocal size
        async for chunk in request.stream():
            part = inflate.decompress(chunk, limit + 1 - size) if inflate else chunk
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            parts.append(part)

    await _in_time(read)
    if inflate is not None and (not inflate.eof or inflate.unused_data):
        raise Problem("body-unreadable", "The gzip body is cut short, or something follows it.")
    return b"".join(parts)


async def _in_time(read: Callable[[], Awaitable[None]]) -> None:
    try:
        with anyio.fail_after(BODY_TIMEOUT_S):
            await read()
    except (TimeoutError, ClientDisconnect) as error:
        raise Problem("body-incomplete") from error
    except zlib.error as error:
        raise Problem("body-unreadable", "The body is not gzip.") from error


def _too_large(limit: int) -> Problem:
    return Problem("body-too-large", f"At most {limit} bytes after decoding.", limit=limit)


def decoded(body: bytes) -> Any:
    """The JSON value of a body. Raises Problem body-unreadable."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Problem("body-unreadable", "The body is not JSON.") from error
