"""Archives of a target folder or of a whole workspace, as CI systems hand them over, read where they lie.
Told by content: a suffix says little of what a download holds. Must not write, nor open an archive in one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NoReturn

from qalita_action.dbt import packed
from qalita_action.dbt.sources import bounds, listing, tars, zips
from qalita_action.dbt.sources.bounds import Source
from qalita_action.errors import ArtifactError

if TYPE_CHECKING:
    from pathlib import Path

    from qalita_action.dbt.found import Found
    from qalita_action.dbt.sources.bounds import Reader

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst")
# Known, so that the error can name them.
_NOT_READ = {b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!": "rar"}
_PACKED = (packed.GZIP, packed.ZSTD)
_HEAD = 512


def is_archive(name: str) -> bool:
    """By its suffix: for addresses."""
    return name.lower().endswith(SUFFIXES)


def holds_archive(path: Path) -> bool:
    """By its content. A file that cannot be read holds none, nor one of zeros, which a crash leaves."""
    try:
        source = Source(path, str(path))
        head = source.head(_HEAD)
        if not head.strip(b"\0"):
            return False
        return tars.begins(source) if head.startswith(_PACKED) else _reader(source) is not None
    except ArtifactError:
        return False


def runs(source: Path | bytes, where: str, *, limit: int, is_elsewhere: bool) -> tuple[Found, ...]:
    """One Found a folder that holds a manifest and results.

    where  the archive, for people, without credentials
    limit  the most bytes of one artifact; is_elsewhere: it was fetched

    Errors: archive-unreadable, archive-too-large, artifacts-not-found, results-not-found, manifest-not-found
    """
    held = Source(source, where)
    reader = _reader(held)
    if reader is None:
        raise bounds.unreadable(where, "it is neither a zip nor a tar, whatever its name says")
    entries = reader(held, limit)
    if not listing.folders(entries.items()):
        raise ArtifactError(
            "artifacts-not-found",
            f"{where} holds no dbt artifacts",
            expected="manifest.json and run_results.json in one of its folders",
            looked=[where],
            todo=["pack target/*.json after `dbt build`", "archives inside of an archive are not opened"],
        )
    return listing.runs(entries.items(), where, is_elsewhere=is_elsewhere)


def _reader(source: Source) -> Reader | None:
    head = source.head(_HEAD)
    for magic, name in _NOT_READ.items():
        if head.startswith(magic):
            return partial(_refuse, name)
    is_empty_tar = bool(head) and not head.strip(b"\0")
    if head.startswith(_PACKED) or tars.is_tar(head) or is_empty_tar:
        return tars.entries
    return zips.entries if zips.is_zip(source, head) else None


def _refuse(kind: str, source: Source, limit: int) -> NoReturn:
    del limit
    raise bounds.unreadable(source.where, f"it is packed with {kind}", todo="pack it as zip or tar.gz")
