"""Object stores and plain web servers: buckets, prefixes, patterns, single objects, as what is found there.
Listings are read a page at a time, and no object before it is wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qalita_action.dbt.found import Blob, Found
from qalita_action.dbt.packed import SUFFIXES
from qalita_action.dbt.sources import listing, store_errors, store_listing
from qalita_action.dbt.sources.store_address import Address, is_below, matches, parse
from qalita_action.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from qalita_action.dbt.found import Places, Reach
    from qalita_action.dbt.sources.store_reading import Source

MAX_RUNS = 100
ZIP = b"PK\x03\x04"


def found_at(address: str, places: Places) -> tuple[Found, ...]:
    """The runs behind PATH: of a prefix or a pattern, of one archive, or beside one artifact.

    Errors: too-many-runs, store-*, those of listing.runs and of archives.
    """
    at, reach = parse(address), places.reach
    if not at.is_folder and (_is_archive(at.name) or _holds_archive(at, reach)):
        return tuple(run for blob in blobs_at(address, places) for run in _unpacked(blob, reach))
    if not at.is_folder and not at.is_pattern:
        return (_beside(at, reach),)
    held = list(_counted(entries(address, places), str(at)))
    if held:
        return listing.runs(held, f"{at.root}/{at.literal}", is_elsewhere=True)
    if not address.endswith("/") and not at.is_pattern and _exists(at, reach):
        return (_beside(at, reach),)
    if store_listing.is_empty(at, reach):
        raise store_errors.not_found(at, is_prefix=True)
    return listing.runs((), str(at), is_elsewhere=True)


def entries(address: str, places: Places) -> Iterator[tuple[str, Blob]]:
    """The artifacts below an address, a page of the listing at a time: each one's path there, and its bytes.
    Of a pattern they are what it matches, with what lies beside it."""
    at, reach = parse(address), places.reach
    for source in store_listing.listed(at, reach, is_deep=at.is_folder or at.is_pattern):
        key = source.at.key
        if listing.is_artifact(key.rpartition("/")[2]) and _is_wanted(key, at):
            yield key.removeprefix(at.prefix), source.blob()


def root_of(address: str) -> str:
    """What the paths of `entries` are below, for people."""
    at = parse(address)
    return f"{at.root}/{at.literal}"


def blobs_at(address: str, places: Places) -> tuple[Blob, ...]:
    """One object, which nobody asks for yet, or what a pattern matches, sorted; never none.

    Errors: results-not-found, artifact-unreadable, store-*
    """
    at, reach = parse(address), places.reach
    if at.is_folder:
        raise ArtifactError(
            "artifact-unreadable",
            f"{at} is a prefix, and no object",
            expected="an object that dbt wrote",
            todo=["give the object itself, or give the prefix as PATH and let it be searched"],
        )
    if not at.is_pattern:
        return (store_listing.single(at, reach).blob(),)
    found = [s for s in store_listing.listed(at, reach, is_deep=True) if matches(s.at.key, at.key)]
    if not found:
        raise ArtifactError(
            "results-not-found",
            f"no object matches {at}",
            expected="run_results.json files of one run",
            looked=[f"{at.root}/{at.literal}"],
            todo=["check the pattern; quote it, so that the shell does not expand it"],
        )
    return tuple(source.blob() for source in sorted(found, key=lambda s: s.at.key))


def manifest_beside(address: str, places: Places) -> Blob:
    """The manifest in the folder of an object. Errors: manifest-not-found, store-*"""
    at, reach = parse(address), places.reach
    if at.is_pattern:
        at = parse(blobs_at(address, places)[0].where + at.query)
    return _manifest(_folder(at, reach), at)


# ---------------------------------------------------------------- one object, and what lies beside it


def _beside(at: Address, reach: Reach) -> Found:
    """PATH is one artifact: the others of its run lie beside it, as on a disk."""
    named, folder = store_listing.single(at, reach).blob(), _folder(at, reach)
    plain = listing.plain_name(at.name)
    if plain.startswith("manifest"):
        folder.manifest = named
        if not folder.results and not folder.sources:
            raise listing.incomplete((folder,), f"{at.root}/{at.folder}")
        return listing.found_in(folder, f"{at.root}/{at.folder}", is_elsewhere=True)
    manifest = _manifest(folder, at)
    is_sources = plain.startswith("sources")
    return Found(
        directory=f"{at.root}/{at.folder}".rstrip("/"),
        manifest=manifest,
        results=() if is_sources else (named,),
        sources=named if is_sources else folder.sources,
        named=True,
        is_elsewhere=True,
    )


def _manifest(folder: listing.Folder, at: Address) -> Blob:
    if folder.manifest is None:
        raise ArtifactError(
            "manifest-not-found",
            f"there is no manifest.json beside {at}",
            expected="the manifest.json of the same run: it says what each test is about",
            looked=[f"{at.root}/{at.folder}manifest.json"],
            todo=["give it with --manifest"],
        )
    return folder.manifest


def _folder(at: Address, reach: Reach) -> listing.Folder:
    """What lies in the folder of an object. A web server is asked for each name, with the same query."""
    if at.kind == "web":
        suffix = next((s for s in SUFFIXES if at.name.endswith(s)), "")
        names = [f"{name}{end}" for name in store_listing.KNOWN for end in dict.fromkeys((suffix, ""))]
        sources: Iterable[Source] = store_listing.named(at, names, reach)
    else:
        sources = store_listing.listed(at, reach, is_deep=False)
    blobs = [(blob.name, blob) for blob in (source.blob() for source in sources)]
    return next(iter(listing.folders(blobs)), listing.Folder(path=""))


def _exists(at: Address, reach: Reach) -> bool:
    return store_listing.present(store_listing.single(at, reach)) is not None


# ---------------------------------------------------------------- archives


def _is_archive(name: str) -> bool:
    from qalita_action.dbt.sources import archives

    return archives.is_archive(name)


def _holds_archive(at: Address, reach: Reach) -> bool:
    """A download's address often has no suffix: what came says what it is."""
    if at.kind != "web" or at.is_pattern or "." in at.name:
        return False
    return store_listing.single(at, reach).blob().head_of(len(ZIP)).startswith(ZIP)


def _unpacked(blob: Blob, reach: Reach) -> tuple[Found, ...]:
    from qalita_action.dbt.sources import archives

    return archives.runs(blob.load(), blob.where, limit=reach.max_bytes, is_elsewhere=True)


# ---------------------------------------------------------------- what a listing holds


def _is_wanted(key: str, at: Address) -> bool:
    if at.is_folder:
        return is_below(key, at.key.rstrip("/"))
    folder, _, name = key.rpartition("/")
    wanted, _, pattern = at.key.rpartition("/")
    if not matches(folder, wanted):
        return False
    return matches(name, pattern) or not listing.is_results(listing.plain_name(name))


def _counted(found: Iterable[tuple[str, Blob]], where: str) -> Iterator[tuple[str, Blob]]:
    """Stops at more runs than one build has, before a long listing is held."""
    folders: set[str] = set()
    for path, blob in found:
        if listing.is_results(listing.plain_name(blob.name)):
            folders.add(path.rpartition("/")[0])
            if len(folders) > MAX_RUNS:
                raise store_errors.too_many(where, MAX_RUNS)
        yield path, blob
