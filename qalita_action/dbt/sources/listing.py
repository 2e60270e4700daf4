"""Artifacts among the entries of a listing, a bucket's or an archive's: one run a folder. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from qalita_action.dbt.found import Blob, Found
from qalita_action.dbt.packed import SUFFIXES
from qalita_action.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterable

# Folders of a workspace that hold other people's projects, or another run than this one.
NOT_OURS = frozenset(
    {"dbt_packages", "dbt_modules", "node_modules", "site-packages", "state", "public", "site"}
    | {"integration_tests", "logs", "__pycache__", "qalita-report", "qalita-spool"}
)


class Folder(msgspec.Struct, kw_only=True):
    """What dbt wrote into one folder."""

    path: str
    manifest: Blob | None = None
    results: list[Blob] = []
    sources: Blob | None = None
    catalog: Blob | None = None


def plain_name(name: str) -> str:
    """manifest.json.gz is a manifest.json."""
    return next((name.removesuffix(s) for s in SUFFIXES if name.endswith(s)), name)


def is_artifact(name: str) -> bool:
    plain = plain_name(name)
    return plain in {"manifest.json", "sources.json", "catalog.json"} or is_results(plain)


def is_results(plain: str) -> bool:
    return plain.startswith("run_results") and plain.endswith(".json")


def folders(entries: Iterable[tuple[str, Blob]]) -> tuple[Folder, ...]:
    """entries: path below the listing's root, with forward slashes, and its blob. Sorted by path."""
    found: dict[str, Folder] = {}
    for path, blob in sorted(entries, key=lambda e: e[0]):
        at = PurePosixPath(path)
        if not is_artifact(at.name) or not NOT_OURS.isdisjoint(at.parts[:-1]):
            continue
        where = at.parent.as_posix().removeprefix(".")
        folder = found.setdefault(where, Folder(path=where))
        match plain_name(at.name):
            case "manifest.json":
                folder.manifest = folder.manifest or blob
            case "sources.json":
                folder.sources = folder.sources or blob
            case "catalog.json":
                folder.catalog = folder.catalog or blob
            case _:
                folder.results.append(blob)
    return tuple(found[path] for path in sorted(found))


def runs(entries: Iterable[tuple[str, Blob]], where: str, *, is_elsewhere: bool) -> tuple[Found, ...]:
    """One Found a folder that holds a manifest and results.

    where  the archive or prefix, for people; is_elsewhere: it was fetched

    Errors: artifacts-not-found, results-not-found, manifest-not-found, each with what was there.
    """
    held = folders(entries)
    whole = [f for f in held if f.manifest and (f.results or f.sources)]
    if not whole:
        raise incomplete(held, where)
    return tuple(found_in(f, where, is_elsewhere=is_elsewhere) for f in whole)


def found_in(folder: Folder, where: str, *, is_elsewhere: bool) -> Found:
    assert folder.manifest is not None
    return Found(
        directory=f"{where.rstrip('/')}/{folder.path}".rstrip("/"),
        manifest=folder.manifest,
        results=tuple(folder.results),
        sources=folder.sources,
        catalog=folder.catalog,
        named=True,
        is_elsewhere=is_elsewhere,
    )


def incomplete(held: tuple[Folder, ...], where: str) -> ArtifactError:
    manifests = [f.path or "." for f in held if f.manifest]
    results = [f.path or "." for f in held if f.results or f.sources]
    if manifests:
        return ArtifactError(
            "results-not-found",
            f"{where} holds a manifest.json and no results: nothing says that a test ran",
            expected="run_results.json or sources.json in the same folder",
            looked=[f"{where}: {path}" for path in manifests[:10]],
            todo=["keep all of target/*.json of dbt build or dbt test"],
        )
    if results:
        return ArtifactError(
            "manifest-not-found",
            f"{where} holds results and no manifest.json beside them",
            expected="the manifest.json of the same run: it says what each test is about",
            looked=[f"{where}: {path}" for path in results[:10]],
            todo=["keep all of target/*.json", "or name it: --manifest FILE --results FILE"],
        )
    return ArtifactError(
        "artifacts-not-found",
        f"{where} holds no dbt artifacts",
        expected="manifest.json and run_results.json in one folder",
        looked=[where],
        todo=["check the address; a prefix ends with a slash or a pattern: s3://bucket/target/"],
    )
