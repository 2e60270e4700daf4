"""What each document is compared with, first found: --baseline, the ingestion API, dbt's --state folder, the
workspace's .qalita/base.json. A base that cannot be read is a value and ends nothing: the gate judges it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from qalita_action import dbt, mapping, publish, workspace
from qalita_action.errors import IngestError
from qalita_action.model import Base, CIContext, Comparison, Ingest, Past
from qalita_action.pipeline.world import TOOL
from qalita_action.redact import mask_url

if TYPE_CHECKING:
    from qalita_action.model import BaseOrigin
    from qalita_action.pipeline.world import Plan
    from qalita_action.settings import Settings

KEPT = Path(".qalita", "base.json")
MANIFESTS = ("manifest.json", "manifest.json.gz")
SOURCES = ("sources.json", "sources.json.gz")
ADDRESSED = ("manifest.json", "sources.json")
RESULTS = ("run_results.json", "run_results.json.gz")


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """Where to look, as values. connection: None where no platform is asked; no_account: why one that may
    well know the base cannot be asked."""

    settings: Settings
    context: CIContext
    workspace: Path
    planned: Plan
    connection: publish.Connection | None
    no_account: str | None = None


def bases(search: Search) -> dict[str, Past | Comparison]:
    """By run key; a Comparison says that there is none, or why it cannot be read."""
    if search.settings.baseline:
        return _named(search, search.settings.baseline)
    return {ingest.run.key: _first(search, ingest) for ingest in search.planned.ingests}


def _first(search: Search, ingest: Ingest) -> Past | Comparison:
    unreadable: list[str] = []
    absent: list[str] = []
    for look in (_on_platform, _in_state, _kept):
        try:
            found, why = look(search, ingest)
        except IngestError as e:
            unreadable.append(f"{e.what} [{e.code}]")
            continue
        if found is not None:
            return found
        absent += [why] if why else []
    if unreadable:
        return Comparison(state="unreadable", reason="; ".join(unreadable))
    return Comparison(state="none", reason="; ".join(absent) or None)


# ---------------------------------------------------------------- the places


def _named(search: Search, place: str) -> dict[str, Past | Comparison]:
    """--baseline alone is looked at. A file that holds nothing of a project is no base that never was."""
    ingests = search.planned.ingests
    try:
        with tempfile.TemporaryDirectory() as folder:
            if workspace.is_address(place):
                path, where = workspace.fetched(place, Path(folder), ADDRESSED), mask_url(place)
            else:
                path, where = search.workspace / place, place
            return {i.run.key: _of_file(search, i, path, Base(origin="file", where=where)) for i in ingests}
    except IngestError as e:
        failed = Comparison(state="unreadable", reason=f"{e.what} [{e.code}]")
        return {i.run.key: failed for i in ingests}


def _of_file(search: Search, ingest: Ingest, path: Path, base: Base) -> Past | Comparison:
    found = _matching(_documents(search, ingest, path), ingest)
    if found is None:
        why = f"{base.where} holds no run of {ingest.source.project} [baseline-unreadable]"
        return Comparison(state="unreadable", reason=why)
    return mapping.past(found, base)


def _on_platform(search: Search, ingest: Ingest) -> tuple[Past | None, str]:
    if search.no_account:
        raise workspace.unreadable_base("the platform's run of the base", search.no_account)
    if search.connection is None:
        return None, ""
    from qalita_action.publish.baseline import baseline  # the answers' models, for those who ask

    # The CI's word, since artifacts that came from elsewhere know no branch.
    git, settings = search.context.git, search.settings
    branch = git.base_branch or git.default_branch or ingest.run.git.default_branch
    environment = settings.baseline_env or (
        settings.env if search.planned.context.is_change else ingest.source.environment
    )
    return baseline(search.connection, ingest, branch=branch, environment=environment)


def _in_state(search: Search, ingest: Ingest) -> tuple[Past | None, str]:
    state = search.planned.states.get(ingest.run.key)
    path = next((p for n in RESULTS if state and (p := state / n).is_file()), None)
    if path is None:
        return None, f"{state} holds no run_results.json" if state else ""
    return _in_workspace(search, ingest, path, "state")


def _kept(search: Search, ingest: Ingest) -> tuple[Past | None, str]:
    path = search.workspace / KEPT
    if not path.is_file():
        return None, f"there is no {KEPT.as_posix()}"
    return _in_workspace(search, ingest, path, "workspace")


def _in_workspace(search: Search, ingest: Ingest, path: Path, origin: BaseOrigin) -> tuple[Past | None, str]:
    found = _matching(_documents(search, ingest, path), ingest)
    shown = path.relative_to(search.workspace) if path.is_relative_to(search.workspace) else path
    where = shown.as_posix()
    if found is None:
        return None, f"{where} holds no run of {ingest.source.project}"
    if found.run.key == ingest.run.key:
        raise workspace.unreadable_base(where, "it is this very run")
    return mapping.past(found, Base(origin=origin, where=where)), ""


# ---------------------------------------------------------------- files


def _documents(search: Search, ingest: Ingest, path: Path) -> tuple[Ingest, ...]:
    """An ingest.json, or dbt's own results with the manifest beside them, else with this run's."""
    documents = workspace.documents(path)
    if documents is not None:
        return documents
    beside = _beside(path, MANIFESTS)
    found = dbt.Found(
        directory=path.parent,
        manifest=beside or search.planned.manifests[ingest.run.key],
        results=(path,),
        sources=_beside(path, SOURCES),
        named=True,
    )
    evidence = dbt.read(found, dbt.Vetting(on_empty="pass", is_borrowed=beside is None))
    policy = msgspec.structs.replace(
        search.settings.policy(TOOL), project=None if beside else ingest.source.project
    )
    return (mapping.to_ingest(evidence, CIContext(), policy),)


def _beside(path: Path, names: tuple[str, ...]) -> Path | None:
    return next((p for n in names if (p := path.parent / n).is_file()), None)


def _matching(documents: tuple[Ingest, ...], ingest: Ingest) -> Ingest | None:
    """Of this project and suite, whatever its environment; of several the newest."""
    wanted = (ingest.source.project, ingest.source.suite)
    ours = [d for d in documents if (d.source.project, d.source.suite) == wanted]
    return max(ours, key=lambda d: d.run.completed_at or "", default=None)
