"""`check`: everything that `dbt` would trip over, without writing anything anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qalita_action import publish
from qalita_action.errors import IngestError, flatten
from qalita_action.model import Finding
from qalita_action.pipeline.planning import plan
from qalita_action.pipeline.world import TOOL

if TYPE_CHECKING:
    from qalita_action.model import CIContext, Ingest
    from qalita_action.pipeline.world import World
    from qalita_action.settings import Resolved


def check(resolved: Resolved, context: CIContext, world: World) -> list[Finding]:
    """Everything that `dbt` would trip over, without writing anything anywhere."""
    findings: list[Finding] = []
    ingests: tuple[Ingest, ...] = ()
    try:
        ingests = plan(resolved.settings, context, world).ingests
    except IngestError as e:
        findings += [_finding("artifacts", error) for error in flatten(e)]
    for ingest in ingests:
        counted = len(ingest.checks)
        findings.append(
            Finding(
                subject="artifacts",
                ok=True,
                text=f"{ingest.source.project}: {ingest.run.verdict}, {ingest.run.extent}, {counted} checks",
            )
        )
    try:
        target = publish.connect(resolved.settings.target(TOOL), now=world.now())
    except IngestError as e:
        return [*(_finding("settings", error) for error in flatten(e)), *findings]
    names = [i.source.name for i in ingests]
    from qalita_action.publish.checking import check as asked  # for this one command

    return [*asked(target, names, now=world.now()), *findings]


def _finding(subject: str, error: IngestError) -> Finding:
    return Finding(subject=subject, ok=False, text=error.what, todo=error.todo[0] if error.todo else "")
