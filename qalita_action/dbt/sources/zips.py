"""dbt's artifacts in a zip: its table of contents is read once, a member when wanted. Must not write."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import PurePosixPath
from typing import IO, cast

from qalita_action.dbt import packed
from qalita_action.dbt.found import Blob
from qalita_action.dbt.sources import bounds
from qalita_action.dbt.sources.bounds import Entries, Source

_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_CONTENTS = b"PK\x01\x02"  # before each line of the table of contents
_MAX_CONTENTS = 64 << 20
# The only two whose output zipfile bounds; no CI writes another.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_OTHERS = {9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz"}
_ENCRYPTED = 0x1
_ODD = (zipfile.BadZipFile, OSError, zlib.error, RuntimeError)
_ODDER = (ArithmeticError, LookupError, ValueError, struct.error)  # of headers that no program wrote


def is_zip(source: Source, head: bytes) -> bool:
    """Also one with a program before it; never JSON, whatever stands at its end."""
    if head.startswith(_MAGIC):
        return True
    is_json = head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"["))
    return not is_json and zipfile.is_zipfile(cast("IO[bytes]", source))


def entries(source: Source, limit: int) -> Entries:
    """Of one name the last, as unpackers leave it; no links. Errors: archive-{unreadable,too-large}."""
    if not zipfile.is_zipfile(cast("IO[bytes]", source)):
        raise bounds.unreadable(source.where, "it ends in the middle, before zip's table of contents")
    with _told(source.where):
        archive = zipfile.ZipFile(cast("IO[bytes]", _Contents(source)))
    if len(archive.filelist) > bounds.MAX_ENTRIES:
        raise bounds.too_many(source.where)
    infos: dict[str, zipfile.ZipInfo] = {}
    for info in archive.filelist:
        # Some programs of Windows write its separators.
        if path := bounds.artifact_path(info.filename.replace("\\", "/").removesuffix("/")):
            infos.pop(path, None)
            if _is_file(info):
                infos[path] = info
    archive.filelist.clear()
    archive.NameToInfo.clear()
    most = bounds.most_unpacked(limit)
    if sum(info.file_size for info in infos.values()) > most:
        raise bounds.too_large(
            source.where, f"holds artifacts of more than {most:,} bytes", f"at most {most:,} bytes in all"
        )
    return {path: _blob(archive, info, path, source.where, limit) for path, info in infos.items()}


class _Contents:
    """The archive, whose table of contents is counted before a line of it is taken apart."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.seek, self.tell, self.seekable = source.seek, source.tell, source.seekable

    def read(self, size: int = -1, /) -> bytes:
        if size > _MAX_CONTENTS:
            raise bounds.too_many(self._source.where)
        data = self._source.read(size)
        if size > bounds.CHUNK and data.count(_CONTENTS) > bounds.MAX_ENTRIES:
            raise bounds.too_many(self._source.where)
        return data


def _is_file(info: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(info.external_attr >> 16)
    return not info.filename.endswith(("/", "\\")) and kind in (0, stat.S_IFREG)


def _blob(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str, where: str, limit: int) -> Blob:
    place = f"{where}: {path}"
    return Blob(where=place, name=PurePosixPath(path).name, load=partial(_load, archive, info, place, limit))


def _load(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str, limit: int) -> bytes:
    if info.flag_bits & _ENCRYPTED:
        raise bounds.unreadable(where, "it is encrypted", todo="pack it without a password")
    if info.compress_type not in _METHODS:
        method = _OTHERS.get(info.compress_type, str(info.compress_type))
        raise bounds.unreadable(
            where, f"its compression is {method}, not deflate", todo="pack it with zip's own default"
        )
    if info.file_size > limit:
        raise packed.too_large(where, f"has {info.file_size:,} bytes", limit)
    if bounds.is_bomb(info.file_size, info.compress_size):
        raise bounds.bomb(where)
    data = io.BytesIO()
    with _told(where), archive.open(info) as member:  # reads no further than the size it states
        while piece := member.read(bounds.CHUNK):
            data.write(piece)
    if data.tell() != info.file_size:
        raise bounds.unreadable(where, f"it has {data.tell():,} bytes, and states {info.file_size:,}")
    return data.getvalue()


@contextmanager
def _told(where: str) -> Iterator[None]:
    try:
        yield
    except EOFError:
        raise bounds.unreadable(where, "it ends in the middle") from None
    except _ODD as e:
        raise bounds.unreadable(where, str(e) or type(e).__name__) from None
    except _ODDER as e:
        raise bounds.unreadable(where, f"its headers are damaged: {e}") from None
