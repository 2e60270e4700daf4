"""A window of a dbt Cloud job: the newest run is fetched, judged and published as any other, and then those
before it which the platform does not have, oldest first. The gate is the newest run's alone.

The newest one goes first, so that what is older arrives late: no API lets a late run move a current score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from qalita_action import mapping, publish
from qalita_action.dbt import sources
from qalita_action.errors import ExitCode, IngestError, SettingsError
from qalita_action.pipeline import keeping
from qalita_action.pipeline.attributing import context_of
from qalita_action.pipeline.planning import plain, plan
from qalita_action.pipeline.running import delivery_code, kept, run
from qalita_action.pipeline.world import TOOL, CaughtUp, Outcome, World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qalita_action.dbt.found import Candidate
    from qalita_action.model import CIContext, Ingest
    from qalita_action.publish.recorded import Sought
    from qalita_action.settings import Resolved, Settings


def poll(resolved: Resolved, context: CIContext, world: World) -> Outcome:
    """As `run`; and where PATH is a window, what else of it is missing. Error: dbt-cloud-window."""
    settings = resolved.settings
    if not sources.is_window(settings.path):
        return run(resolved, context, world)
    if settings.run_id:
        raise SettingsError(
            "dbt-cloud-window",
            "--run-id names one run, and since= many: they would all have one key.",
            expected="a window without --run-id",
            looked=[str(settings.path)],
            todo=["leave --run-id out: dbt Cloud's own number tells its runs apart"],
        )
    outcome = run(resolved, context, world)
    if settings.publish == "never" or settings.api == "folder":
        return outcome
    try:
        target = publish.connect(settings.target(TOOL), now=world.now())
        older = _older(settings, outcome, world)
        known = _known(settings, context, target, older, outcome.plan.ingests)
    except IngestError as e:
        if _may_not_publish(outcome):
            return outcome
        missed = CaughtUp(
            where=str(settings.path), why=f"older runs were not looked for: {e.what} [{e.code}]"
        )
        return msgspec.structs.replace(outcome, caught_up=(missed,))
    caught, codes = [], [int(outcome.exit_code)]
    for candidate in older:
        if candidate.where in known:
            caught.append(CaughtUp(where=candidate.where, why=known[candidate.where]))
            continue
        made, code = _published(settings, context, world, target, candidate.where)
        caught.append(made)
        codes.append(code)
    code = ExitCode(min((c for c in codes if c), default=0))
    return msgspec.structs.replace(outcome, caught_up=tuple(caught), exit_code=code)


def _may_not_publish(outcome: Outcome) -> bool:
    return all(receipt.api == "none" for receipt in outcome.receipts)


def _older(settings: Settings, outcome: Outcome, world: World) -> list[Candidate]:
    """Those that began before the one that was judged, whenever they finished: no later poll would look at
    them. What began after it is the next poll's: it has to be judged."""
    judged = {i.run.orchestrator.run_id for i in outcome.plan.ingests if i.run.orchestrator}
    found = sources.history_at(settings.path or "", settings.places(world.env), None)
    newest = max((int(run) for run in judged if run), default=0)
    return [c for c in found if c.ran_by and int(c.ran_by.run) < newest]


def _known(
    settings: Settings,
    here: CIContext,
    target: publish.Connection,
    older: Sequence[Candidate],
    judged: Sequence[Ingest],
) -> dict[str, str]:
    """By place: why a run need not be read, which holds for all its documents or for none. They are taken to
    be named as those of the run that was judged: where they are not, the run is read, and recorded once."""
    from qalita_action.publish.recorded import settled_ahead

    sought = {c.where: list(_sought(settings, here, c, judged)) for c in older}
    settled = settled_ahead(target, [s for documents in sought.values() for s in documents])
    return {
        where: settled[documents[0].key]
        for where, documents in sought.items()
        if documents and all(document.key in settled for document in documents)
    }


def _sought(
    settings: Settings, here: CIContext, candidate: Candidate, judged: Sequence[Ingest]
) -> Iterator[Sought]:
    from qalita_action.publish.recorded import Sought

    context = context_of(candidate.ran_by, here, settings.default_branch)
    for ingest in judged:
        source = ingest.source
        key = mapping.key_ahead(
            source.project,
            context,
            settings.policy(TOOL),
            ",".join(candidate.run_ids),
            None if context.is_change else source.environment,
        )
        if key is not None:
            yield Sought(key=key, source=source.name, type=source.type, is_change=context.is_change)


def _published(
    settings: Settings, context: CIContext, world: World, target: publish.Connection, where: str
) -> tuple[CaughtUp, int]:
    """A run that cannot be read is said, and is no failure: the newest one is what the job is judged by."""
    try:
        planned = plan(settings.model_copy(update={"path": where, "wait": False}), context, world)
        ingests, own = planned.ingests, planned.context
        drawn = mapping.verdict(ingests, plain(settings.gate()))
    except IngestError as e:
        return CaughtUp(where=where, why=f"cannot be read: {e.what} [{e.code}]"), 0
    try:
        pages, spools = kept(ingests, own, settings, world, target)
    except IngestError as e:
        return CaughtUp(where=where, why=f"not published: {e.what} [{e.code}]"), int(e.exit_code)
    sent = publish.send(target, ingests, pages, spools, is_change=own.is_change, now=world.now)
    receipts = tuple(keeping.told(r, own.ci.provider, world.workspace, world.env) for r in sent)
    codes = [delivery_code(r, settings, is_change=own.is_change) for r in receipts]
    against = len(drawn.reasons)
    why = f"its gate would say no, by {against} reason{'s' * (against != 1)}" if drawn.blocks else None
    return CaughtUp(where=where, receipts=receipts, why=why), min((c for c in codes if c), default=0)
