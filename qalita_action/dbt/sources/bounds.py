"""The bytes an archive lies in, how much of it is read, the names in it that are taken, and the words that
refuse it. Must not know a format.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeAlias, TypeVar

from qalita_action.dbt.found import Blob
from qalita_action.dbt.sources.listing import is_artifact
from qalita_action.errors import ArtifactError

MAX_ENTRIES = 100_000
# dbt's own manifests pack 10:1 to 60:1; nothing is said of what unpacks to less than 25 MiB.
MAX_RATIO = 200
READ_AHEAD = 1 << 17  # by a decompressor: it blurs what a member takes in a packed stream
CHUNK = 1 << 18

_T = TypeVar("_T")
Entries: TypeAlias = dict[str, Blob]
Reader: TypeAlias = "Callable[[Source, int], Entries]"


class Source:
    """A file, or bytes that were fetched, as the file object that zipfile and tarfile read. A file is opened
    for each read, so that nothing stays open while its members wait to be wanted.

    Errors: archive-unreadable
    """

    def __init__(self, held: Path | bytes, where: str) -> None:
        self.where = where
        self.taken = 0
        self._held = held
        self._at = 0
        self._size = len(held) if isinstance(held, bytes) else self._of_disk(lambda p: p.stat().st_size)

    def read(self, size: int = -1, /) -> bytes:
        left = max(self._size - self._at, 0)
        data = self._piece(self._at, left if size < 0 else min(size, left))
        self._at += len(data)
        self.taken += len(data)
        return data

    def seek(self, to: int, whence: int = 0, /) -> int:
        self._at = max((0, self._at, self._size)[whence] + to, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        return True

    def head(self, size: int) -> bytes:
        return self._piece(0, min(size, self._size))

    def _piece(self, start: int, size: int) -> bytes:
        if isinstance(self._held, bytes):
            return self._held[start : start + size]

        def read(path: Path) -> bytes:
            with path.open("rb") as file:
                file.seek(start)
                return file.read(size)

        return self._of_disk(read)

    def _of_disk(self, do: Callable[[Path], _T]) -> _T:
        assert isinstance(self._held, Path)
        try:
            return do(self._held)
        except OSError as e:
            raise unreadable(self.where, e.strerror or str(e), todo="check the file's permissions") from None


def most_unpacked(limit: int) -> int:
    """Of one archive, all that is read of it: a workspace with its packages, eight artifacts of the limit."""
    return max(4 << 30, 8 * limit)


def is_bomb(unpacked: int, packed: int) -> bool:
    return unpacked > MAX_RATIO * (packed + READ_AHEAD)


def artifact_path(name: str) -> str | None:
    """Where an entry lies below the archive's root; None for what is no artifact, and for a name that leads
    elsewhere, which unpackers refuse too. A name is never used as a path.
    """
    path = PurePosixPath(name)
    leads_away = path.is_absolute() or ".." in path.parts or PureWindowsPath(name).anchor
    return None if leads_away or not is_artifact(path.name) else path.as_posix()


def unreadable(where: str, why: str, todo: str = "pack or download it again") -> ArtifactError:
    return ArtifactError(
        "archive-unreadable",
        f"{where} cannot be read: {why}",
        expected="a whole zip, tar, tar.gz or tar.zst",
        todo=[todo],
    )


def too_large(where: str, what: str, expected: str) -> ArtifactError:
    return ArtifactError(
        "archive-too-large",
        f"{where} {what}",
        expected=expected,
        todo=["pack dbt's target/*.json alone, or unpack the archive and give its folder"],
    )


def too_many(where: str) -> ArtifactError:
    return too_large(where, f"has more than {MAX_ENTRIES:,} entries", "dbt's artifacts, or a workspace")


def bomb(where: str) -> ArtifactError:
    return too_large(
        where,
        f"unpacks to more than {MAX_RATIO} times its size: dbt's files do not",
        "what dbt wrote, which packs 10:1 to 60:1",
    )
