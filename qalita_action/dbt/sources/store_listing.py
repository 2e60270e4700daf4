"""What lies below a prefix, a page at a time. Web servers list by WebDAV, where they do; where they do not,
the names that dbt writes are asked for. Must not read an object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qalita_action.dbt.sources import store_errors
from qalita_action.dbt.sources.store_client import connect
from qalita_action.dbt.sources.store_reading import Source, asked, telling
from qalita_action.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from qalita_action.dbt.found import Reach
    from qalita_action.dbt.sources.store_address import Address

KNOWN = ("manifest.json", "run_results.json", "sources.json", "catalog.json")
PAGE = 1000
MAX_DEPTH = 8  # of folders below a web server's: each one is a request


def listed(at: Address, reach: Reach, *, is_deep: bool) -> Iterator[Source]:
    """Every object below the address's literal part; is_deep: in its folders too."""
    with telling(at.at(at.literal), reach):
        if at.kind == "web":
            yield from _web(at, reach, is_deep=is_deep)
        else:
            client = connect(at, reach)
            for meta in _pages(client, at.prefix) if is_deep else _flat(client, at.prefix):
                yield _source(client, at, reach, meta)


def is_empty(at: Address, reach: Reach) -> bool:
    return next(iter(listed(at, reach, is_deep=True)), None) is None


def named(at: Address, names: Iterable[str], reach: Reach) -> Iterator[Source]:
    """Those of the names that a web server has in the address's folder."""
    for name in names:
        beside = at.at(f"{at.folder}{name}")
        try:
            there = present(single(beside, reach))
        except ArtifactError as e:
            if e.code == "store-denied" and not name.startswith("manifest"):
                continue  # a signed address opens one file, and what is not there may be refused too
            raise
        if there is not None:
            yield there


def single(at: Address, reach: Reach) -> Source:
    """One object, which nobody was asked for yet."""
    with telling(at, reach):
        client = connect(at, reach)
    return Source(client=client, path="" if at.kind == "web" else at.path, at=at, reach=reach)


def present(source: Source) -> Source | None:
    """The object with its size, None where it is not there, or where a page for people came instead."""
    from obstore.exceptions import BaseError

    with telling(source.at, source.reach):
        try:
            source, answer = asked(source)
        except (BaseError, OSError) as e:
            if store_errors.is_missing(e):
                return None
            if store_errors.has_no_length(e):
                return source
            raise
        kind = str(answer.attributes.get("Content-Type", ""))
        return None if kind.startswith("text/html") else source


def _source(client: Any, at: Address, reach: Reach, meta: Any) -> Source:
    own, size, tag = at.at_key(meta["path"]), meta["size"], meta["e_tag"]
    return Source(client=client, path=meta["path"], at=own, reach=reach, size=size, tag=tag)


def _pages(client: Any, prefix: str) -> Iterator[Any]:
    import obstore

    for page in obstore.list(client, prefix or None, chunk_size=PAGE):
        yield from page


def _flat(client: Any, prefix: str) -> Iterator[Any]:
    import obstore

    yield from obstore.list_with_delimiter(client, prefix or None)["objects"]


# ---------------------------------------------------------------- web servers


def _web(at: Address, reach: Reach, *, is_deep: bool) -> Iterator[Source]:
    from obstore.exceptions import BaseError

    client = connect(at.at(""), reach)
    is_any = False
    try:
        for meta in _walk(client, at.prefix.strip("/"), MAX_DEPTH if is_deep else 0):
            is_any = True
            yield _source(client, at, reach, meta)
    except BaseError as e:
        status = store_errors.status_of(e)
        if is_any or status is None or not (400 <= status < 500 or status == 501):
            raise
        if at.is_pattern:
            raise store_errors.not_listed(at) from None
    if not is_any and not at.is_pattern:
        yield from named(at, KNOWN, reach)


def _walk(client: Any, folder: str, depth: int) -> Iterator[Any]:
    """A folder's files, then its folders': many servers refuse to list all at once."""
    import obstore

    here = obstore.list_with_delimiter(client, folder or None)
    yield from here["objects"]
    for below in sorted(here["common_prefixes"]) if depth else ():
        if below != folder and below.startswith(f"{folder}/" if folder else ""):
            yield from _walk(client, below, depth - 1)
