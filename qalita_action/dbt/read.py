"""Files of one run to Evidence: decoded, vetted, merged per node. Pure but for reading the files."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import msgspec

from qalita_action.dbt import facts, merging, vet
from qalita_action.dbt.decode import decode, decode_bytes, read_bytes
from qalita_action.dbt.found import RanBy
from qalita_action.dbt.shapes import (
    Catalog,
    CatalogTable,
    FreshnessRow,
    Manifest,
    Metadata,
    Row,
    RunResults,
    Sources,
)
from qalita_action.errors import ArtifactError, IngestError, raise_all

if TYPE_CHECKING:
    from qalita_action.dbt.found import Artifact, Found


# pipeline: written after this pipeline began; workspace: found where dbt writes, and nothing tells when;
# elsewhere: named by the user, and perhaps another day's or another machine's
Origin = Literal["pipeline", "workspace", "elsewhere"]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of dbt left, and how far it can be believed. Values are dbt's words, not the domain's.

    rows       unique_id -> the row that counts
    discarded  unique_id of a test -> `compiled` or `empty`: a row that looked like an outcome and is none
    freshness  source's unique_id -> its row; None where no sources.json belongs to this run
    run_ids    what the run is told apart by: invocation ids, or a file's SHA-256 where it has none
    notes      (code, text) for people
    """

    directory: str
    manifest: Manifest
    project_name: str | None
    rows: dict[str, Row]
    discarded: dict[str, str]
    freshness: dict[str, FreshnessRow] | None
    catalog: dict[str, CatalogTable]
    verdict: Literal["executed", "nothing_selected"]
    runs_tests: bool
    selection: facts.Selection
    partial: str | None
    run_ids: tuple[str, ...]
    invocation_ids: tuple[str, ...]
    commands: tuple[str, ...]
    dbt_version: str | None
    adapter_type: str | None
    dbt_target: str | None
    dbt_exit_code: int | None
    stamped_sha: str | None
    origin: Origin
    started_at: datetime | None
    completed_at: datetime | None
    elapsed_s: float | None
    notes: tuple[tuple[str, str], ...]
    ran_by: RanBy | None = None
    state: str | None = None  # the folder of `--state`, as dbt was given it


def read(found: Found, vetting: vet.Vetting) -> Evidence:
    """Errors: every code of `decode` and `vet`, all bad files of the run at once."""
    limit = vetting.max_bytes
    notes: list[str] = []
    errors: list[IngestError] = []
    manifest: Manifest | None = None
    files: list[vet.File] = []
    sources: tuple[Sources, str] | None = None
    try:
        manifest = _manifest(found.manifest, limit, notes)
    except IngestError as e:
        errors.append(e)
    for path in found.results:
        try:
            files.append(_results(path, limit, notes))
        except IngestError as e:
            errors.append(e)
    if found.sources:
        try:
            sources = _sources(found.sources, limit, notes)
        except IngestError as e:
            errors.append(e)
    raise_all(errors)
    assert manifest is not None
    evidence = _evidence(found, vetting, manifest, files, sources, notes)
    return _with_catalog(evidence, found.catalog, limit) if found.catalog else evidence


def _with_catalog(evidence: Evidence, path: Artifact, limit: int) -> Evidence:
    """Column types are not worth a run: a catalog that cannot be read is left out, and said."""
    try:
        catalog, odd = decode(path, Catalog, limit)
    except IngestError as e:
        note = ("catalog-left-out", f"{e.what}: columns have no types")
        return msgspec.structs.replace(evidence, notes=(*evidence.notes, note))
    notes = (*evidence.notes, *(("odd-value", text) for text in odd[:5]))
    return msgspec.structs.replace(evidence, catalog={**catalog.nodes, **catalog.sources}, notes=notes)


def _manifest(path: Artifact, limit: int, notes: list[str]) -> Manifest:
    manifest, odd = decode(path, Manifest, limit)
    notes += odd
    if manifest.disabled:  # only its ids matter
        manifest = msgspec.structs.replace(manifest, disabled=dict.fromkeys(manifest.disabled))
    return manifest


def _results(path: Artifact, limit: int, notes: list[str]) -> vet.File:
    data = read_bytes(path, limit)
    results, odd = decode_bytes(data, RunResults, path)
    notes += odd
    sha256 = hashlib.sha256(data).hexdigest() if not _invocation(results.metadata) else ""
    return vet.File(path=path, sha256=sha256, results=results, verdict=vet.judge(results))


def _sources(path: Artifact, limit: int, notes: list[str]) -> tuple[Sources, str]:
    data = read_bytes(path, limit)
    sources, odd = decode_bytes(data, Sources, path)
    notes += odd
    return sources, _invocation(sources.metadata) or hashlib.sha256(data).hexdigest()


def _invocation(metadata: Metadata | None) -> str | None:
    return metadata.invocation_id if metadata else None


def _evidence(
    found: Found,
    vetting: vet.Vetting,
    manifest: Manifest,
    files: list[vet.File],
    sources: tuple[Sources, str] | None,
    odd: list[str],
) -> Evidence:
    notes = [*found.notes, *(("odd-value", text) for text in odd[:20])]
    if len(odd) > 20:
        notes.append(("odd-value", f"and {len(odd) - 20} more odd values"))
    _same_project(found, manifest)
    files, sources = merging.drop_stale(found, vetting, manifest, files, sources, notes)
    used = sorted((f for f in files if f.verdict in ("executed", "nothing_selected")), key=merging.age)
    # 2.x writes a run_results.json for `source freshness` too: beside sources.json it is no stub of tests.
    stubs = [f for f in files if not (sources and f.command == "freshness" and f.verdict == "compile_only")]
    if stubs and not used:
        worst = next(v for v in vet.REFUSALS if any(f.verdict == v for f in stubs))
        raise vet.refuse(worst, stubs)
    verdict: Literal["executed", "nothing_selected"] = "executed"
    if used and all(f.verdict == "nothing_selected" for f in used) and sources is None:
        if vetting.on_empty == "fail":
            raise vet.refuse("nothing_selected", used)
        verdict = "nothing_selected"
        notes.append(("nothing-selected", "dbt's selection matched nothing: no check was executed"))

    rows, discarded = merging.merge(manifest, files, used, notes)
    freshness = {r.unique_id: r for r in sources[0].results} if sources else None
    if vetting.is_borrowed:
        rows = vet.known_rows(manifest, rows)
    vet.check_known(
        manifest, {*rows, *(freshness or ())}, ", ".join(str(f.path) for f in used) or str(found.sources)
    )
    _check_exit_code(vetting, rows, freshness, used)

    metas = [f.results.metadata for f in used] + ([sources[0].metadata] if sources else [])
    ids = {i for m in metas if (i := _invocation(m))}
    run_ids = {i for f in used if (i := _invocation(f.results.metadata) or f.sha256)}
    commands = [c for f in used if (c := f.command)] + (["source freshness"] if sources else [])
    moments = [m for f in used if (m := f.generated_at)]
    if sources and (m := vet.moment(sources[0].metadata.generated_at if sources[0].metadata else None)):
        moments.append(m)
    elapsed = [e for f in used if (e := facts.seconds(f.results.elapsed_time)) is not None]
    if sources and (e := facts.seconds(sources[0].elapsed_time)) is not None:
        elapsed.append(e)
    meta = manifest.metadata or Metadata()
    return Evidence(
        directory=str(found.directory),
        manifest=manifest,
        project_name=facts.project_name(manifest, found.project_name),
        rows=rows,
        discarded=discarded,
        freshness=freshness,
        catalog={},
        verdict=verdict,
        runs_tests=any((f.args.which or f.args.command) in vet.RUNS_TESTS for f in used if f.args),
        selection=facts.selection(manifest, used),
        partial=found.unfinished or facts.partial(used)
        if used or sources
        else "dbt ended before it wrote any results",
        run_ids=(found.ran_by.run_id,) if found.ran_by else _run_ids(run_ids, sources, meta),
        invocation_ids=tuple(sorted(ids)),
        commands=tuple(dict.fromkeys(commands)),
        dbt_version=next((m.dbt_version for m in reversed(metas) if m and m.dbt_version), meta.dbt_version),
        adapter_type=meta.adapter_type,
        dbt_target=next((f.args.target for f in reversed(used) if f.args and f.args.target), None),
        dbt_exit_code=vetting.dbt_exit_code,
        stamped_sha=facts.stamped_sha(metas),
        origin=_origin(found, vetting, moments),
        started_at=min(moments) - timedelta(seconds=elapsed[0]) if moments and elapsed else None,
        completed_at=max(moments, default=None),
        elapsed_s=round(sum(elapsed), 6) if elapsed else None,
        notes=tuple(notes),
        ran_by=found.ran_by,
        state=next((f.args.state for f in reversed(used) if f.args and f.args.state), None),
    )


def _run_ids(of_files: set[str], sources: tuple[Sources, str] | None, manifest: Metadata) -> tuple[str, ...]:
    ids = of_files | ({sources[1]} if sources else set())
    return tuple(sorted(ids or {manifest.invocation_id or ""}))


def _same_project(found: Found, manifest: Manifest) -> None:
    written = manifest.metadata.project_name if manifest.metadata else None
    if found.project_name and written and found.project_name != written:
        raise ArtifactError(
            "artifacts-foreign",
            f"the artifacts are those of project {written!r}, in the folder of {found.project_name!r}",
            expected=f"artifacts of {found.project_name!r}",
            looked=[str(found.manifest), str(found.project_file)],
            todo=[
                "a cache or a download may have restored another project's target/: check its key and path"
            ],
        )


def _check_exit_code(
    vetting: vet.Vetting,
    rows: dict[str, Row],
    freshness: dict[str, FreshnessRow] | None,
    used: list[vet.File],
) -> None:
    """Dbt's own exit code may prove that these rows are not its last run's (parse errors write nothing)."""
    code = vetting.dbt_exit_code
    if code is None or vetting.is_ours:
        return
    red = {"fail", "error", "runtime error", "partial success"}
    failed = any((r.status or "").lower() in red for r in rows.values())
    broken = failed or any((r.status or "").lower() in red for r in (freshness or {}).values())
    if code >= 2 and not broken:
        raise vet.refuse("stale", used, f"dbt exited with {code}, and every row of these files is green")
    if code == 0 and failed and len(used) == 1:  # of several commands it may be another one's code
        raise vet.refuse("stale", used, "dbt exited with 0, and these files hold failures")


def _origin(found: Found, vetting: vet.Vetting, moments: list[datetime]) -> Origin:
    if found.is_elsewhere:
        return "elsewhere"
    if vetting.started_at is not None and moments and min(moments) >= vetting.started_at:
        return "pipeline"
    return "elsewhere" if found.named else "workspace"
