"""`setup`: the settings and the pack's files to what a platform shall have. Must not print or ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from qalita_action import publish, workspace
from qalita_action.model import Source
from qalita_action.pipeline.world import TOOL

if TYPE_CHECKING:
    from qalita_action.pipeline.world import World
    from qalita_action.publish.setup import Step
    from qalita_action.settings import Resolved, Settings


def set_up(resolved: Resolved, world: World, *, per_dimension: bool, really: bool) -> tuple[Step, ...]:
    """The plan; where really, the plan that was carried out. It always speaks the results API: no other has
    packs."""
    from qalita_action.publish import pack_files, setup  # for this one command

    settings = resolved.settings
    target = msgspec.structs.replace(settings.target(TOOL), api="results")
    connection = publish.connect(target, now=world.now())
    wanted = setup.Wanted(
        packs=pack_files.packs(
            workspace.pack_files(), settings.pack, visibility=settings.visibility, per_dimension=per_dimension
        ),
        source=_source(settings),
    )
    return (setup.apply if really else setup.plan)(connection, wanted)


def _source(settings: Settings) -> Source | None:
    """Named by project and environment; the other parts are what a run of CI would say."""
    if not settings.project or not settings.env:
        return None
    return Source.of(
        project=settings.project,
        environment=settings.env,
        suite=settings.suite,
        visibility=settings.visibility,
    )
