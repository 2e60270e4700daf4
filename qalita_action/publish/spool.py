"""A run on disk before the first byte goes out: `<run key>.json.gz` with all that sending needs, and a
journal of what the platform acknowledged beside it. Must not send anything.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import os
import threading
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from qalita_action.errors import ArtifactError, SettingsError
from qalita_action.model import SCHEMA_VERSION, Ingest, to_json
from qalita_action.ownership import give, make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX = ".json.gz"
JOURNAL_SUFFIX = ".journal"
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


class Spooled(msgspec.Struct, frozen=True):
    """What a spool file holds: the document, the page that goes along, and whether it is a change's run,
    which only the CI that it ran in could tell."""

    ingest: Ingest
    page: bytes
    is_change: bool = False


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One acknowledged call. digest: SHA-256 of the body that was taken; job: of the results API. note: what
    nobody knows any more, such as what may stand twice; whoever sends the run next tells it too."""

    call: str
    digest: str
    status: int
    job: str | None = None
    rows: int | None = None
    note: str | None = None


# ---------------------------------------------------------------- the file


def write(ingest: Ingest, page: bytes, directory: Path, *, is_change: bool = False) -> Path:
    """Keep a run so that neither kill -9 nor a power cut loses it: when this returns, it is on the disk.

    Raises SettingsError spool-unwritable.
    """
    from qalita_action.wire import SPOOL_VERSION, SpoolEnvelope

    document = to_json(ingest)
    envelope = SpoolEnvelope(
        spool=SPOOL_VERSION,
        tool=f"{ingest.run.tool.name}/{ingest.run.tool.version}",
        run_key=ingest.run.key,
        is_change=is_change,
        sha256=_checksum(document, page, is_change=is_change),
        document=document.decode(),
        page=base64.b64encode(page).decode("ascii"),
    )
    data = gzip.compress(msgspec.json.encode(envelope.model_dump(), order="sorted"), 5, mtime=0)
    path = directory / f"{ingest.run.key}{SUFFIX}"
    try:
        _put(path, data)
    except OSError as e:
        raise SettingsError(
            "spool-unwritable",
            f"The run cannot be kept on disk before it is sent: {e.strerror}.",
            expected="a folder that can be written to, with room for the run",
            looked=[str(path), f"{len(data)} bytes"],
            todo=["give --spool-dir a folder that this job may write to"],
        ) from e
    return path


def _put(path: Path, data: bytes) -> None:
    """Whoever delivers the last run of a folder takes the folder away, in another process too: the folder is
    made again as often as it vanishes between the two steps."""
    for _ in range(100):
        make_folder(path.parent, PRIVATE_FOLDER)
        with contextlib.suppress(FileNotFoundError):
            _replace(path, data)
            return
    _replace(path, data)


def _replace(path: Path, data: bytes) -> None:
    """A reader sees the old file or the new one, never a part: the rename comes after the bytes are safe."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor with a mode of its own
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        give(temporary, path.parent)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """The rename itself on disk. Windows opens no folders, and keeps renames without."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def load(path: Path) -> Spooled:
    """The document and the page, after checking that they are what was written.

    Raises ArtifactError spool-unreadable.
    """
    from pydantic import ValidationError

    from qalita_action.wire import SpoolEnvelope

    try:
        envelope = SpoolEnvelope.model_validate_json(gzip.decompress(path.read_bytes()))
        document, page = envelope.document.encode(), base64.b64decode(envelope.page, validate=True)
    except OSError as e:  # gzip's own errors are OSErrors too
        raise _unreadable(path, e.strerror or "it is not a gzip file") from e
    except (EOFError, zlib.error) as e:
        raise _unreadable(path, "it is cut short or damaged") from e
    except (ValidationError, ValueError) as e:
        raise _unreadable(path, "it is not a spool file of a version that is known here") from e
    if _checksum(document, page, is_change=envelope.is_change) != envelope.sha256:
        raise _unreadable(path, "its checksum does not match its content")
    try:
        ingest = msgspec.json.decode(document, type=Ingest)
    except msgspec.DecodeError as e:
        raise _unreadable(path, "its document is not one of a version that is known here") from e
    if ingest.schema_version != SCHEMA_VERSION:
        raise _unreadable(path, "its document is not one of a version that is known here")
    return Spooled(ingest, page, envelope.is_change)


def read(path: Path) -> Ingest:
    """The document alone. Raises ArtifactError spool-unreadable."""
    return load(path).ingest


def discard(path: Path) -> None:
    """After a complete receipt: the file, its journal, and the folder when nothing else waits in it."""
    path.unlink(missing_ok=True)
    journal_path(path).unlink(missing_ok=True)
    _sync_folder(path.parent)
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def forget(directory: Path, run_key: str) -> None:
    """A run that the platform is known to have: an attempt that was killed may have left its file."""
    path = directory / f"{run_key}{SUFFIX}"
    if path.exists():
        discard(path)


def waiting(directory: Path) -> Iterator[Path]:
    """The spool files of a folder, sorted by name."""
    yield from sorted(p for p in directory.glob(f"*{SUFFIX}") if not p.name.startswith("."))


def _checksum(document: bytes, page: bytes, *, is_change: bool) -> str:
    return hashlib.sha256(b"\0".join((document, page, str(is_change).encode()))).hexdigest()


def _unreadable(path: Path, why: str) -> ArtifactError:
    return ArtifactError(
        "spool-unreadable",
        f"A spool file cannot be read: {why}.",
        expected="a file that this program wrote and nobody changed",
        looked=[str(path)],
        todo=["build the run again from dbt's artifacts: it gets the same key, so nothing is doubled"],
    )


# ---------------------------------------------------------------- the journal


def journal_path(spool: Path) -> Path:
    return spool.with_name(spool.name.removesuffix(SUFFIX) + JOURNAL_SUFFIX)


class Journal:
    """What the platform acknowledged, a JSON line per call. Without a spool it remembers for this process
    only. A journal that cannot be written costs nothing but its memory: what it knows, the platform knows."""

    def __init__(self, spool: Path | None) -> None:
        self._path = journal_path(spool) if spool else None
        self._lock = threading.Lock()
        self._entries = list(_entries(self._path)) if self._path else []
        self._opener = b"\n" if self._path and _is_torn(self._path) else b""

    def add(self, entry: Entry) -> None:
        with self._lock:
            self._entries.append(entry)
            if self._path is None:
                return
            with contextlib.suppress(OSError):
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                descriptor = os.open(self._path, flags, PRIVATE_FILE)
                try:
                    # Outlives kill -9 as it is; a power cut may take the line, which the platform knows too.
                    os.write(descriptor, self._opener + msgspec.json.encode(entry) + b"\n")
                    self._opener = b""
                finally:
                    os.close(descriptor)
                give(self._path, self._path.parent)

    def find(self, call: str, digest: str) -> Entry | None:
        """The acknowledgement of exactly this call with exactly this body."""
        found = [e for e in self._entries if e.call == call and e.digest == digest]
        return found[-1] if found else None

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(e.note for e in self._entries if e.note))

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(self._entries)


def _is_torn(path: Path) -> bool:
    """Whether a crash cut the last line short: the next one must not be glued to it."""
    try:
        data = path.read_bytes()
    except OSError:
        return False
    return bool(data) and not data.endswith(b"\n")


def _entries(path: Path) -> Iterator[Entry]:
    """A last line that a crash cut short is no acknowledgement."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        with contextlib.suppress(msgspec.DecodeError):
            yield msgspec.json.decode(line, type=Entry)
