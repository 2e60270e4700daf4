"""A history: every run behind PATH, known by the first bytes of its results. Must not read one in whole where
its head tells, nor judge one: reading it does.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec

from qalita_action.dbt import sources
from qalita_action.dbt.decode import read_bytes
from qalita_action.dbt.found import Blob, Candidate, Found
from qalita_action.dbt.heads import head_of
from qalita_action.dbt.sources import archives, listing
from qalita_action.errors import ArtifactError

if TYPE_CHECKING:
    from qalita_action.dbt.found import Artifact, Places

AT_ONCE = 16  # heads of an object store, which answer in tens of milliseconds each
WILD = "*?["
ALWAYS = datetime.min.replace(tzinfo=timezone.utc)


def history(places: Places, workspace: Path, since: datetime | None) -> tuple[Candidate, ...]:
    """Each run once, oldest first. One whose time is unknown is older than all, and never cut by `since`.

    Errors: artifacts-not-found where there is no run at all; those of the address.
    """
    said = places.path or "."
    if sources.is_cloud(said):
        candidates: Iterable[Candidate] = sources.history_at(said, places, since)
    elif sources.is_address(said):
        candidates = _in_store(said, places)
    else:
        candidates = _on_disk(said, places, workspace)
    found = sorted(candidates, key=lambda c: (c.at or ALWAYS, c.where))
    if not found and not sources.is_cloud(said):  # which has cut already, and knows a job without runs
        _nothing(said)
    kept = [c for c in found if c.at is None or since is None or c.at >= since]
    runs: dict[tuple[str, ...], list[Candidate]] = {}
    for candidate in kept:
        runs.setdefault(candidate.run_ids or (candidate.where,), []).append(candidate)
    return tuple(msgspec.structs.replace(first, copies=tuple(rest)) for first, *rest in runs.values())


def part_of(candidate: Candidate, parts: int) -> int:
    """Which of so many parts a run belongs to, on every machine and whatever else is there."""
    identity = "\n".join(candidate.run_ids) or candidate.where
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") % parts


# ---------------------------------------------------------------- elsewhere


def _in_store(address: str, places: Places) -> list[Candidate]:
    folders = listing.folders(sources.entries_at(address, places))
    where = sources.root_of(address)
    made = partial(_candidate, where=where, limit=places.reach.max_bytes)
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="qalita-head")
    try:
        return [c for c in pool.map(made, folders) if c is not None]
    finally:
        pool.shutdown(cancel_futures=True)  # a signal does not wait for thousands of heads


# ---------------------------------------------------------------- on disk


def _on_disk(said: str, places: Places, workspace: Path) -> Iterator[Candidate]:
    limit = places.reach.max_bytes
    unread: list[OSError] = []
    for folder, names in _folders(said, workspace, unread):
        for name in names:
            if archives.is_archive(name):
                yield from _in_archive(folder / name, _shown(folder / name, workspace), limit)
        entries = [(name, _blob(folder / name, limit)) for name in names if listing.is_artifact(name)]
        for found in listing.folders(entries):
            candidate = _candidate(found, where=_shown(folder, workspace), limit=limit)
            if candidate is not None:
                yield candidate
    for error in unread:
        yield _closed(error, workspace)


def _closed(error: OSError, workspace: Path) -> Candidate:
    """A folder that cannot be looked into may hold runs: it is one that cannot be read."""
    where = _shown(Path(os.fsdecode(error.filename)), workspace)

    def opened() -> NoReturn:
        raise ArtifactError("artifact-unreadable", f"{where} cannot be read: {error.strerror or error}")

    return Candidate(where=where, at=None, open=opened)


def _in_archive(path: Path, where: str, limit: int) -> Iterator[Candidate]:
    """The runs of an archive, which is opened again for each: what a tar holds is kept in memory. One that
    cannot be read is a run that cannot be."""
    again = partial(archives.runs, path, where, limit=limit, is_elsewhere=True)
    try:
        found = again()
    except ArtifactError:
        yield Candidate(where=where, at=None, open=lambda: again()[0])
        return
    for n, run in enumerate(found):
        at, ids = _told((*run.results, *((run.sources,) if run.sources else ())), limit)
        yield Candidate(where=str(run.directory), at=at, run_ids=ids, open=partial(lambda n: again()[n], n))


def _folders(said: str, workspace: Path, unread: list[OSError]) -> Iterator[tuple[Path, list[str]]]:
    """Every folder at or below what was said, once, with its files' names. A file that a pattern matches
    stands for its own folder. unread: is told those that cannot be looked into."""
    seen: set[Path] = set()
    for root in _roots(said, workspace):
        if root.is_file():
            own = root if archives.is_archive(root.name) else root.parent
            if own not in seen:
                seen.add(own)
                yield root.parent, _beside(root)
            continue
        for at, below, names in os.walk(root, onerror=unread.append):
            folder = Path(at)
            if folder in seen:
                below[:] = []
                continue
            seen.add(folder)
            below[:] = sorted(n for n in below if n not in listing.NOT_OURS and not n.startswith("."))
            yield folder, sorted(names)


def _beside(file: Path) -> list[str]:
    """An archive stands for itself; an artifact is one of its folder's run."""
    if archives.is_archive(file.name):
        return [file.name]
    names = (p.name for p in file.parent.iterdir() if p.is_file())
    return sorted(name for name in names if not archives.is_archive(name))


def _roots(said: str, workspace: Path) -> Iterator[Path]:
    base = Path(said)
    if not any(c in said for c in WILD):
        root = workspace / base
        if not root.exists():
            _nothing(said)
        yield root
        return
    top, pattern = (Path(base.anchor), base.relative_to(base.anchor)) if base.anchor else (workspace, base)
    for path in sorted(top.glob(pattern.as_posix())):
        inside = path.relative_to(top).parts
        if listing.NOT_OURS.isdisjoint(p for p in inside if p not in pattern.parts):
            yield path


def _shown(path: Path, workspace: Path) -> str:
    return path.relative_to(workspace).as_posix() if path.is_relative_to(workspace) else str(path)


def _blob(path: Path, limit: int) -> Blob:
    return Blob(
        where=str(path),
        name=path.name,
        load=partial(read_bytes, path, limit),
        head=partial(_first_bytes, path),
    )


def _first_bytes(path: Path, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as e:
        raise ArtifactError("artifact-unreadable", f"{path} cannot be read: {e.strerror or e}") from None


# ---------------------------------------------------------------- one run


def _candidate(folder: listing.Folder, *, where: str, limit: int) -> Candidate | None:
    """None for a folder without results: nothing says that anything ran there."""
    blobs = (*folder.results, *((folder.sources,) if folder.sources else ()))
    if not blobs:
        return None
    at, ids = _told(blobs, limit)
    place = f"{where.rstrip('/')}/{folder.path}".rstrip("/")
    return Candidate(where=place, at=at, run_ids=ids, open=_opened(folder, where, place))


def _told(artifacts: Iterable[Artifact], limit: int) -> tuple[datetime | None, tuple[str, ...]]:
    """When the run completed, and what its key will be made of, as the heads of its results say."""
    heads = [head_of(blob, limit) for blob in artifacts if isinstance(blob, Blob)]
    moments = [h.generated_at for h in heads if h.generated_at]
    ids = {h.invocation_id for h in heads}
    return max(moments, default=None), () if None in ids else tuple(sorted(i for i in ids if i))


def _opened(folder: listing.Folder, where: str, place: str) -> Callable[[], Found]:
    def opened() -> Found:
        if folder.manifest is None:
            raise ArtifactError(
                "manifest-not-found",
                f"{place} holds results and no manifest.json beside them",
                expected="the manifest.json of the same run: it says what each test is about",
                looked=[str(blob) for blob in folder.results],
            )
        return listing.found_in(folder, where, is_elsewhere=True)

    return opened


def _nothing(said: str) -> NoReturn:
    where = sources.shown(said)
    raise ArtifactError(
        "artifacts-not-found",
        f"{where} holds no run of dbt",
        expected="folders that each hold manifest.json and run_results.json of one run",
        looked=[where],
        todo=["check PATH; quote a pattern, so that the shell does not expand it"],
    )
