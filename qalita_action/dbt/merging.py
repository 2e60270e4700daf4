"""Which files of a run count, and the one row of each node: ages, stubs, and tables without data. Pure.

Files of commands that run no tests, and files of --empty runs, are excluded whole; of the rest the newest row
wins, `skipped` included, so that an older pass never outlives a broken rebuild. A test of what was last built
with --empty, or from it, saw no data, whatever its own file says.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from qalita_action.dbt import vet

if TYPE_CHECKING:
    from qalita_action.dbt.found import Found
    from qalita_action.dbt.shapes import Manifest, Row, Sources


def _crashed(vetting: vet.Vetting, manifest: Manifest) -> bool:
    """Did our own dbt write a manifest and then no results? That is a run to be told of."""
    written = vet.moment(manifest.metadata.generated_at if manifest.metadata else None)
    start = vetting.started_at
    return vetting.is_ours and start is not None and written is not None and written >= start


def drop_stale(
    found: Found,
    vetting: vet.Vetting,
    manifest: Manifest,
    files: list[vet.File],
    sources: tuple[Sources, str] | None,
    notes: list[tuple[str, str]],
) -> tuple[list[vet.File], tuple[Sources, str] | None]:
    """Files that were discovered are judged by the pipeline's start; files that were named are meant, and
    only --max-age speaks of them.
    """
    limits = [vetting.not_before, None if found.named else vetting.started_at]
    start = max((limit for limit in limits if limit), default=None)
    if start is None:
        _suspect(found, vetting, files, notes)
        return files, sources

    def is_stale(at: datetime | None) -> bool:
        return at is not None and at < start

    fresh = [f for f in files if not is_stale(f.generated_at)]
    kept = sources
    if sources and is_stale(vet.moment(sources[0].metadata.generated_at if sources[0].metadata else None)):
        kept = None
        notes.append(("stale-file", f"{found.sources} is older than {start.isoformat()} and was left out"))
    if not fresh and kept is None and not _crashed(vetting, manifest):
        raise vet.refuse("stale", files, f"nothing older than {start.isoformat()} is taken here")
    notes += [
        ("stale-file", f"{f.path} is older than {start.isoformat()} and was left out")
        for f in files
        if f not in fresh
    ]
    return fresh, kept


def _suspect(found: Found, vetting: vet.Vetting, files: list[vet.File], notes: list[tuple[str, str]]) -> None:
    """Nothing proves the age. Results older than the checkout may be a cache's: said, not refused."""
    made = vetting.checked_out_at
    if found.named or made is None:
        return
    notes += [
        ("maybe-stale", f"{f.path} is older than the checkout: a cache may have restored it")
        for f in files
        if f.generated_at and f.generated_at < made
    ]


def merge(
    manifest: Manifest, files: list[vet.File], used: list[vet.File], notes: list[tuple[str, str]]
) -> tuple[dict[str, Row], dict[str, str]]:
    discarded: dict[str, str] = {}
    for f in files:
        if f in used:
            continue
        reason = "empty" if f.verdict == "empty" else "compiled"
        notes.append(("file-ignored", f"{f.path.name}: dbt {f.command}, no evidence ({f.verdict})"))
        discarded.update((r.unique_id, reason) for r in f.results.results if _is_test(r))
    rows: dict[str, Row] = {}
    lost = 0
    without_data: set[str] = set()
    for f in sorted((f for f in files if f in used or f.verdict == "empty"), key=age):
        if f.verdict == "empty":
            without_data.update(r.unique_id for r in f.results.results)
            continue
        fresh = {row.unique_id: row for row in f.results.results}
        lost += sum(not row.unique_id for row in f.results.results) if "" in fresh else 0
        fresh.pop("", None)
        compiled = [k for k, r in fresh.items() if (r.status or "").lower() == "success" and _is_test(r)]
        discarded.update(dict.fromkeys(compiled, "compiled"))
        for key in compiled:
            del fresh[key]
        rows.update(fresh)
        for key in _saw_no_data(manifest, f, without_data):
            discarded[key] = "empty"
            rows.pop(key, None)
    if lost:
        notes.append(("rows-lost", f"{lost} rows of the results name no node"))
    return rows, {k: v for k, v in discarded.items() if k not in rows}


def _saw_no_data(manifest: Manifest, file: vet.File, without_data: set[str]) -> list[str]:
    """Data tests of this file that read what was last built without data. Updates `without_data`: what is
    built from it has none either, and what is built anew from data has some.
    """
    found: list[str] = []
    if not without_data:
        return found
    for row in file.results.results:
        node = manifest.nodes.get(row.unique_id)
        if node is not None and not without_data.isdisjoint(node.parents):
            without_data.add(row.unique_id)
            if row.unique_id.startswith("test."):
                found.append(row.unique_id)
        else:
            without_data.discard(row.unique_id)
    return found


def age(file: vet.File) -> tuple[datetime, str]:
    return file.generated_at or datetime.min.replace(tzinfo=timezone.utc), file.path.name


def _is_test(row: Row) -> bool:
    return row.unique_id.startswith(("test.", "unit_test."))
