"""A history published: every run of it that the platform does not have, oldest first, each once. A run that
cannot be read costs itself alone. The gate judges no history. Must not print.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from qalita_action import dbt, mapping, publish, workspace
from qalita_action.dbt.history import history, part_of
from qalita_action.errors import IngestError, SettingsError, raise_all
from qalita_action.model import CIContext
from qalita_action.pipeline import attributing, keeping
from qalita_action.pipeline.conveying import Line, Step, Tally
from qalita_action.pipeline.world import TOOL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qalita_action.dbt import Candidate
    from qalita_action.model import Ingest, Policy
    from qalita_action.pipeline.world import World
    from qalita_action.settings import Resolved, Settings

ONE_RUN = ("run_id", "manifest", "results", "sources", "catalog")


def candidates(resolved: Resolved, context: CIContext, world: World) -> tuple[Candidate, ...]:
    """This part of the history, none of it read. Errors: backfill-in-change, backfill-one-run,
    backfill-needs-ingestion-api, and those of the listing."""
    settings = resolved.settings
    _check(settings, context)
    since = dbt.moment(settings.since) if settings.since != "all" else None
    part, _, parts = (settings.shard or "0/1").partition("/")
    found = history(settings.places(world.env), world.workspace, since)
    return tuple(c for c in found if part_of(c, int(parts)) == int(part))


def backfill(
    resolved: Resolved,
    context: CIContext,
    world: World,
    *,
    begun: Callable[[Tally, Sequence[Candidate]], None],
    heard: Callable[[Step], None],
) -> Tally:
    """begun: once, before anything is sent; heard: once for each run, as it is settled, on this thread.

    Raises SettingsError, DeliveryError, or all of them, where nothing can be sent at all.
    """
    from qalita_action.publish.feeding import feeding, needs_ingestion_api

    settings = resolved.settings
    _check(settings, context)
    if settings.publish == "never":
        raise needs_ingestion_api("--publish never")
    connection = publish.connect(settings.target(TOOL), now=world.now())
    with feeding(connection) as feed:
        found = candidates(resolved, context, world)
        ours = _ours(context)
        is_cut = settings.since != "all" and all(c.at is not None for c in found)
        by_service = any(c.ran_by is not None for c in found)  # each run says its own environment
        recorded = feed.recorded(
            project=settings.project,
            environment=None if by_service else settings.env or ours.environment,
            suite=settings.suite,
            since=dbt.moment(settings.since or "") if is_cut else None,
        )
        tally = Tally(total=len(found))
        begun(tally, found)
        line = Line(
            feed=feed,
            recorded=recorded,
            documents=_reader(settings, ours, world),
            settings=settings,
            spools=world.workspace / settings.spool_dir,
            tally=tally,
        )
        with closing(line.steps(found)) as steps:
            for step in steps:
                heard(_told(step, context, world))
    return tally


def _told(step: Step, context: CIContext, world: World) -> Step:
    receipts = tuple(keeping.told(r, context.ci.provider, world.workspace, world.env) for r in step.receipts)
    return msgspec.structs.replace(step, receipts=receipts)


# ---------------------------------------------------------------- what may be


def _check(settings: Settings, context: CIContext) -> None:
    from qalita_action.publish.feeding import needs_ingestion_api

    errors: list[IngestError] = []
    if settings.api in ("results", "folder"):
        errors.append(needs_ingestion_api(f"--api {settings.api}"))
    named = [f"--{name.replace('_', '-')}" for name in ONE_RUN if getattr(settings, name)]
    if named:
        errors.append(
            SettingsError(
                "backfill-one-run",
                "--since publishes many runs, and other settings name one.",
                expected="PATH alone: a folder, a pattern or an address of runs",
                looked=named,
                todo=["leave them out, or leave --since out"],
            )
        )
    if context.is_change and (context.ci.provider or context.ci.change_id):  # a laptop's branch is no matter
        errors.append(
            SettingsError(
                "backfill-in-change",
                "A history is not published from a change's pipeline.",
                expected="a pipeline of the default branch, a schedule, or a machine of yours",
                looked=[f"this is a change run of {context.ci.provider or 'yours'}"],
                todo=["run it there: what was is no part of a change, and a change may not write it"],
            )
        )
    raise_all(errors)


def _ours(context: CIContext) -> CIContext:
    """Nothing here ran these runs: neither this checkout nor this job says anything about them, so that each
    is the same whoever publishes it."""
    return CIContext(environment=context.environment)


def _reader(settings: Settings, context: CIContext, world: World) -> Callable[[Candidate], list[Ingest]]:
    vetting = msgspec.structs.replace(
        settings.vetting(context, world.now()),
        started_at=None,
        not_before=None,
        dbt_exit_code=None,
        on_empty="fail" if settings.on_empty == "fail" else "pass",
    )
    policy: Policy = settings.policy(TOOL)
    dimensions = {**workspace.known_dimensions(), **policy.dimensions}
    policy = msgspec.structs.replace(policy, dimensions=dimensions)

    def documents(candidate: Candidate) -> list[Ingest]:
        """The main one last: where it is recorded, so are those that were split off."""
        found = msgspec.structs.replace(candidate.open(), is_elsewhere=True, named=True)
        own, judged = attributing.context_of(found.ran_by, context, settings.default_branch), vetting
        if found.ran_by is not None and found.ran_by.is_red:  # what is red there is never green here
            judged = msgspec.structs.replace(vetting, dbt_exit_code=1)
        main, *parts = mapping.to_ingests(dbt.read(found, judged), own, policy)
        return [*parts, main]

    return documents
