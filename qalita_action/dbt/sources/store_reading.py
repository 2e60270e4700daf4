"""One object's bytes: small ones in one request, large ones in parts, several at once, none further than the
limit. Keeps nothing. Must not list.
"""

from __future__ import annotations

import io
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from qalita_action.dbt.found import Blob, Reach
from qalita_action.dbt.packed import too_large
from qalita_action.dbt.sources import store_errors
from qalita_action.dbt.sources.store_address import Address
from qalita_action.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

PART = 8 * 1024 * 1024
AT_ONCE = 8


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One object. at: its own address; path: how the client knows it; size, tag: where a listing or an
    answer told."""

    client: Any
    path: str
    at: Address
    reach: Reach
    size: int | None = None
    tag: str | None = None

    @property
    def where(self) -> str:
        return str(self.at)

    def blob(self) -> Blob:
        name = self.at.key.rpartition("/")[2]
        return Blob(where=self.where, name=name, load=partial(load, self), head=partial(head, self))


@contextmanager
def telling(at: Address, reach: Reach) -> Iterator[None]:
    """Whatever the client raises, as an error of ours."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError, ValueError) as e:
        raise store_errors.told(e, at, reach.env) from None


def asked(source: Source) -> tuple[Source, Any]:
    """The server's answer, its body not yet read, and what it says of the size."""
    import obstore

    answer = obstore.get(source.client, source.path)
    meta = answer.meta
    return msgspec.structs.replace(source, size=meta["size"], tag=meta["e_tag"]), answer


def load(source: Source) -> bytes:
    """Errors: artifact-too-large before a byte of the body is read, artifact-truncated, and the store's."""
    from obstore.exceptions import BaseError, NotSupportedError

    with telling(source.at, source.reach):
        _refuse_large(source)
        if source.size is None or source.size <= PART:
            try:
                source, answer = asked(source)
            except BaseError as e:
                if source.at.kind == "web" and store_errors.has_no_length(e):
                    return _without_length(source)
                raise
            _refuse_large(source)
            if (source.size or 0) <= PART:
                return _whole(source, bytes(answer.bytes()))
            del answer  # its body is left alone: the parts come several at once
        try:
            return _in_parts(source)
        except NotSupportedError:  # a web server that knows no ranges
            return _streamed(source)


def head(source: Source, count: int) -> bytes:
    """At least `count` bytes, or all."""
    import obstore
    from obstore.exceptions import BaseError

    if source.size is not None and source.size <= count:
        return load(source)
    try:
        options = {"range": (0, count)}
        return bytes(obstore.get(source.client, source.path, options=options).bytes())  # type: ignore[arg-type]
    except (BaseError, OSError, ValueError):
        return load(source)  # it is empty, or knows no ranges, or fails again and is told


def _refuse_large(source: Source) -> None:
    limit = source.reach.max_bytes
    if source.size is not None and source.size > limit:
        raise too_large(source.where, f"has {source.size:,} bytes", limit)


def _whole(source: Source, data: bytes) -> bytes:
    if len(data) != source.size:
        raise store_errors.cut_short(source.where)
    return data


def _in_parts(source: Source) -> bytes:
    """A buffer of the object's size, and no more than AT_ONCE parts besides."""
    assert source.size is not None
    buffer = io.BytesIO()
    buffer.seek(source.size - 1)
    buffer.write(b"\0")  # as large as it will be: nothing is copied to make room, nor to hand it out

    def put(start: int, part: Future[Any]) -> None:
        data = part.result()
        if len(data) != min(PART, size - start):
            raise store_errors.cut_short(source.where)
        buffer.seek(start)
        buffer.write(data)

    size = source.size
    waiting: deque[tuple[int, Future[Any]]] = deque()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for start in range(0, size, PART):
                if len(waiting) == AT_ONCE:
                    put(*waiting.popleft())
                waiting.append((start, pool.submit(_part, source, start, min(start + PART, size))))
            while waiting:
                put(*waiting.popleft())
        finally:
            for _, part in waiting:
                part.cancel()
    return buffer.getvalue()


def _part(source: Source, start: int, end: int) -> Any:
    """Of the very object that the first answer was about: an upload in between must not mix two of them."""
    import obstore

    options: dict[str, Any] = {"range": (start, end)}
    if source.tag and not source.tag.startswith("W/"):
        options["if_match"] = source.tag
    return obstore.get(source.client, source.path, options=options).bytes()  # type: ignore[arg-type]


def _streamed(source: Source) -> bytes:
    source, answer = asked(source)
    _refuse_large(source)
    buffer = io.BytesIO()
    for chunk in answer.stream(PART):
        buffer.write(chunk)
        if buffer.tell() > source.reach.max_bytes:
            raise too_large(source.where, "is longer than its server says", source.reach.max_bytes)
    return _whole(source, buffer.getvalue())


def _without_length(source: Source) -> bytes:
    """A web server that does not say how long its answer will be is read up to the limit."""
    from qalita_action import http

    at, reach = source.at, source.reach
    options = http.Options(
        base_url=at.root,
        service=at.bucket,
        endpoint_name="the address",
        ca=reach.ca,
        verify_tls=reach.verify_tls,
    )
    try:
        data = http.download(f"{at}{at.query}", options, reach.max_bytes)
    except IngestError as e:
        raise store_errors.unreachable(at, e.what.rstrip(".")) from None
    if data is None:
        raise too_large(source.where, f"goes on after {reach.max_bytes:,} bytes", reach.max_bytes)
    return data
