"""Environment and files to documents: `--dry-run` stops here. Must not send anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from qalita_action import ci, dbt, mapping, publish, report, workspace
from qalita_action.errors import IngestError, SettingsError, raise_all
from qalita_action.model import Gate
from qalita_action.pipeline import handover
from qalita_action.pipeline.attributing import context_of
from qalita_action.pipeline.world import TOOL, Plan, World
from qalita_action.redact import clean_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qalita_action.model import CIContext, Hint, Ingest, PlannedRequest
    from qalita_action.settings import Resolved, Settings

# Settings that are the user's own word on a field of the context.
CONTEXT_SETTINGS = {name: name for name in ("sha", "branch", "default_branch", "change_id", "job_id")}


def detect(resolved: Resolved, world: World) -> CIContext:
    said = {
        field: (str(getattr(resolved.settings, name)), origin)
        for name, field in CONTEXT_SETTINGS.items()
        if (origin := resolved.origins.get(name))
    }
    context = handover.settled(ci.detect(world.env, world.workspace, said))
    return _named_leg(context, resolved.settings.legs())


def _named_leg(context: CIContext, legs: tuple[str, ...]) -> CIContext:
    """`dbt (1.10, duckdb)`: the environment knows the job's key alone, the same for each leg of a matrix."""
    if not legs or context.ci.job_name is None:
        return context
    name = clean_line(f"{context.ci.job_name} ({', '.join(legs)})", 200)
    return msgspec.structs.replace(context, ci=msgspec.structs.replace(context.ci, job_name=name))


def is_history(settings: Settings) -> bool:
    """Errors: setting-invalid, for a part of one run."""
    if settings.shard and not settings.since:
        raise SettingsError(
            "setting-invalid",
            "--shard is a part of a history, and no --since names one.",
            expected="--since 2026-01-01, or --since all, beside --shard",
            looked=[f"--shard {settings.shard}"],
            todo=["say both, or leave it out"],
        )
    return settings.since is not None


def plan(settings: Settings, context: CIContext, world: World) -> Plan:
    """Every bad file of every project is told at once."""
    handover.check_settings(settings, context)
    places = settings.places(world.env)
    if world.ours is not None:
        places = msgspec.structs.replace(places, needs_results=False)
    found = dbt.locate(places, world.workspace, world.env)
    # One address is one run, and what no service ran is this CI's: the documents have one context.
    ran_by = found[0].ran_by
    context = context_of(ran_by, context, settings.default_branch)
    vetting = _vetting(settings, context, ran_by, world)
    known = workspace.known_dimensions()
    codeowners = workspace.codeowners(world.workspace)
    ingests: list[Ingest] = []
    folders: dict[str, str] = {}
    manifests: dict[str, dbt.Artifact] = {}
    hints: dict[str, dict[str, Hint]] = {}
    states: dict[str, Path] = {}
    errors: list[IngestError] = []
    held: list[dbt.Evidence] = []
    for files in found:
        try:
            evidence = dbt.read(files, vetting)
            handover.hold_artifacts(evidence, settings, context)
            folder = workspace.folder(files, world.workspace)
            policy = settings.policy(TOOL)
            policy = msgspec.structs.replace(
                policy, dimensions={**known, **policy.dimensions}, codeowners=codeowners, folder=folder
            )
            made = mapping.to_ingests(evidence, context, policy)
        except IngestError as e:
            errors.append(e)
            continue
        held.append(evidence)
        for ingest in made:
            ingests.append(ingest)
            folders[ingest.run.key] = folder
            manifests[ingest.run.key] = files.manifest
            hints[ingest.run.key] = mapping.hints(evidence, ingest, folder, str(world.workspace))
            if evidence.state and isinstance(files.directory, Path):  # dbt takes it from the project's folder
                project = files.project_file.parent if files.project_file else files.directory.parent
                states[ingest.run.key] = project / evidence.state
    errors += _one_source(settings, ingests)
    raise_all(errors)
    return Plan(
        ingests=tuple(ingests),
        folders=folders,
        manifests=manifests,
        states=states,
        hints=hints,
        evidence=tuple(held),
        context=context,
    )


def _vetting(settings: Settings, context: CIContext, ran_by: dbt.RanBy | None, world: World) -> dbt.Vetting:
    vetting = msgspec.structs.replace(
        settings.vetting(context, world.now()),
        checked_out_at=workspace.checked_out_at(world.workspace) if context.ci.provider else None,
    )
    if world.ours is not None:
        return msgspec.structs.replace(
            vetting, started_at=world.ours.started_at, is_ours=True, dbt_exit_code=world.ours.exit_code
        )
    if ran_by is not None:  # the service's own word: a run that is red there is never green here
        return msgspec.structs.replace(vetting, dbt_exit_code=1 if ran_by.is_red else None)
    return vetting


def _one_source(settings: Settings, ingests: Sequence[Ingest]) -> list[IngestError]:
    """Two documents in one source would take turns at its score."""
    if not settings.source_id or len(ingests) < 2 or settings.api not in ("auto", "results"):
        return []
    error = SettingsError(
        "source-id-several",
        f"--source-id names one source, and this run has {len(ingests)} documents.",
        expected="one document for one source",
        looked=[i.source.name for i in ingests[:20]],
        todo=["leave --source-id out, or name one project by PATH", "or take meta.qalita.source away"],
    )
    return [error]


def plain(gate: Gate) -> Gate:
    """As judged from the documents alone. The page that the platform gets is drawn from it: what is published
    is the same with and without a base or an allowlist."""
    fail_on = "fail" if gate.fail_on == "new" else gate.fail_on
    return Gate(fail_on=fail_on, require_run=gate.require_run, min_score=gate.min_score)


def planned(resolved: Resolved, ingests: Sequence[Ingest], world: World) -> list[tuple[PlannedRequest, ...]]:
    """What would be sent, request by request, without a call or an account."""
    target = publish.connect(resolved.settings.target(TOOL), now=world.now(), need_account=False)
    verdict = mapping.verdict(tuple(ingests), plain(resolved.settings.gate()))
    return [publish.planned(target, ingest, report.page(ingest, verdict)) for ingest in ingests]
