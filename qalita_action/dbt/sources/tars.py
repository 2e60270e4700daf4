"""dbt's artifacts in a tar, plain or packed with gzip or zstd, in one walk from its start to its end. Must
not write, and holds no member in memory that is no artifact.

A packed tar has no table of contents and no way back: what was found is kept, packed with zstd, so that the
walk is not made again for each of a hundred artifacts.
"""

from __future__ import annotations

import gzip
import re
import struct
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from qalita_action.dbt import packed
from qalita_action.dbt.found import Blob
from qalita_action.dbt.sources import bounds

if TYPE_CHECKING:
    from qalita_action.dbt.sources.bounds import Entries, Source

_BLOCK = tarfile.BLOCKSIZE
_MAX_HEADERS = 1 << 16  # of one member: a long name, extended attributes
_BOMB_FROM = 1 << 29  # a workspace may hold a file of zeros
_ODD = (tarfile.TarError, EOFError, OSError, zlib.error)
# Before 3.12.6 and its like, tarfile's patterns take seconds for 60,000 digits (CVE-2024-6232).
_DIGITS = re.compile(rb"\d{400}")
# Of headers that no program wrote.
_ODDER = (ArithmeticError, LookupError, ValueError, struct.error, RecursionError, AttributeError, TypeError)


def is_tar(head: bytes) -> bool:
    """By the checksum of its first header: old ones have no magic."""
    if len(head) < _BLOCK:
        return False
    try:
        tarfile.TarInfo.frombuf(head[:_BLOCK], "utf-8", "replace")
    except (*_ODD, *_ODDER):
        return False
    return True


def begins(source: Source) -> bool:
    """Does a packed file unpack to a tar? A manifest.json.gz does not."""
    try:
        with _unpacking(source) as plain:
            return is_tar(plain.read(_BLOCK))
    except (*_ODD, *_ODDER, packed.zstd().ZstdError):
        return False


def entries(source: Source, limit: int) -> Entries:
    """Of one name the last, as unpackers leave it; no links, devices or files with holes.

    Errors: archive-{unreadable,too-large}
    """
    found: Entries = {}
    room = max(64 << 20, limit // 4)
    with _told(source.where), _unpacking(source) as plain:
        stream = _Forward(plain, source, bounds.most_unpacked(limit))
        for member in _members(stream):
            path = bounds.artifact_path(member.name)
            if path is None:
                continue
            found.pop(path, None)
            if not member.isreg() or member.issparse():
                continue
            where = f"{source.where}: {path}"
            if member.size > limit:
                load = partial(_refuse, where, member.size, limit)
            else:
                kept = _kept(stream, member, where, room)
                room -= len(kept)
                load = partial(_load, kept)
            found[path] = Blob(where=where, name=PurePosixPath(path).name, load=load)
    return found


class _Forward:
    """What tarfile reads, forwards alone: a header that points back would make it go in circles."""

    def __init__(self, plain: IO[bytes], source: Source, most: int) -> None:
        self.source = source
        self.is_packed = cast(object, plain) is not source
        self.last = b""  # that was read as a header
        self._plain = plain
        self._most = most
        self._at = self._walked = 0
        self.headers = 0  # bytes of them, of the member at hand

    def read(self, size: int, /) -> bytes:
        self.headers += size
        if self.headers > _MAX_HEADERS:
            raise tarfile.ReadError(f"it has a member with more than {_MAX_HEADERS:,} bytes of headers")
        self.last = self.take(size)
        if size > _BLOCK and _DIGITS.search(self.last):
            raise tarfile.ReadError("a header holds a number of 400 digits")
        return self.last

    def take(self, size: int) -> bytes:
        if size < 0:
            raise tarfile.ReadError("a header states a size below zero")
        data = self._plain.read(size)
        self._at += len(data)
        self._walked += len(data)
        if self._walked > self._most:
            raise bounds.too_large(
                self.source.where,
                f"unpacks to more than {self._most:,} bytes",
                f"at most {self._most:,} bytes",
            )
        if self._walked > _BOMB_FROM and bounds.is_bomb(self._walked, self.source.taken):
            raise bounds.bomb(self.source.where)
        return data

    def seek(self, to: int, /) -> int:
        if to < self._at:
            raise tarfile.ReadError("a header points back")
        if not self.is_packed:
            self._at = self.source.seek(to)
        while self._at < to and self.take(min(bounds.CHUNK, to - self._at)):
            pass
        return self._at

    def tell(self) -> int:
        return self._at

    def drain(self) -> None:
        """To the end of the packing: only there its checksum stands."""
        while self.is_packed and self.take(bounds.CHUNK):
            pass


def _members(stream: _Forward) -> Iterator[tarfile.TarInfo]:
    count = 0
    with tarfile.TarFile(fileobj=cast("IO[bytes]", stream), encoding="utf-8", errors="replace") as tar:
        # An archive without members is not asked again: before 3.11 tarfile would seek before its start.
        is_empty = tar.firstmember is None  # type: ignore[attr-defined]
        while not is_empty and (member := tar.next()) is not None:
            count += 1
            if count > bounds.MAX_ENTRIES:
                raise bounds.too_many(stream.source.where)
            yield member
            stream.headers = 0
            tar.members = []  # type: ignore[attr-defined]
            tar.pax_headers = {}  # whoever fills these, for every member to come, fills the memory
    if len(stream.last) < _BLOCK:
        raise EOFError
    if stream.last.strip(b"\0"):  # tarfile takes a broken header for the end
        raise tarfile.ReadError("it is damaged in the middle: a header of tar was expected")
    stream.drain()


def _kept(stream: _Forward, member: tarfile.TarInfo, where: str, room: int) -> bytes:
    packer = packed.zstd().ZstdCompressor(level=1)
    parts: list[bytes] = []
    before, left = stream.source.taken, member.size
    stream.seek(member.offset_data)
    while left:
        data = stream.take(min(bounds.CHUNK, left))
        if not data:
            raise EOFError
        left -= len(data)
        parts.append(packer.compress(data))
        room -= len(parts[-1])
        if room < 0:
            raise bounds.too_large(
                stream.source.where, "holds artifacts that hardly pack", "dbt's, which pack 10:1 to 60:1"
            )
        if bounds.is_bomb(member.size - left, stream.source.taken - before):
            raise bounds.bomb(where)
    return b"".join((*parts, packer.flush()))


def _load(kept: bytes) -> bytes:
    plain: bytes = packed.zstd().decompress(kept)
    return plain


def _refuse(where: str, size: int, limit: int) -> bytes:
    raise packed.too_large(where, f"has {size:,} bytes", limit)


@contextmanager
def _unpacking(source: Source) -> Iterator[IO[bytes]]:
    source.seek(0)
    head = source.head(4)
    if head.startswith(packed.GZIP):
        with gzip.GzipFile(fileobj=source) as plain:
            yield cast("IO[bytes]", plain)
    elif head == packed.ZSTD:
        with packed.zstd().ZstdFile(source) as plain:
            yield plain
    else:
        yield cast("IO[bytes]", source)


@contextmanager
def _told(where: str) -> Iterator[None]:
    try:
        yield
    except EOFError:
        raise bounds.unreadable(where, "it ends in the middle") from None
    except (*_ODD, packed.zstd().ZstdError) as e:
        raise bounds.unreadable(where, str(e) or type(e).__name__) from None
    except _ODDER as e:
        raise bounds.unreadable(where, f"its headers are damaged: {e}") from None
