"""Detect, locate, vet, map, judge, keep, publish: a whole run, and its exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from qalita_action import dbt, mapping, publish, report, workspace
from qalita_action.errors import ExitCode, IngestError, flatten, raise_all
from qalita_action.model import Allowance, Comparison, Ingest, Movement, Receipt, ReportOptions, RunWarning
from qalita_action.pipeline import allowances, handover, keeping
from qalita_action.pipeline.basing import Search, bases
from qalita_action.pipeline.planning import plain, plan
from qalita_action.pipeline.world import TOOL, Outcome, Plan, World

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from qalita_action.model import CIContext, Past, Verdict
    from qalita_action.settings import Resolved, Settings

NO_ACCOUNT = frozenset({"endpoint-missing", "token-missing"})
GITHUB_LIKE = frozenset({"github", "gitea", "forgejo"})


def run(resolved: Resolved, context: CIContext, world: World) -> Outcome:
    """Detect, locate, vet, map, judge, keep, publish. Nothing is sent before it is on disk."""
    settings = resolved.settings
    errors: list[IngestError] = []
    target: publish.Connection | None = None
    withheld: str | None = None
    try:
        target, withheld = _account(settings, context, world)
    except IngestError as e:
        errors.append(e)
    planned = Plan(ingests=(), folders={})
    try:
        planned = plan(settings, context, world)
    except IngestError as e:
        errors.append(e)
    allowed: tuple[Allowance, ...] = ()
    try:
        allowed = allowances.read(world.workspace, settings.allow_failures)
    except IngestError as e:
        errors.append(e)
    raise_all(errors)

    ingests, gate, own = planned.ingests, settings.gate(), planned.context
    pages, spools = kept(ingests, own, settings, world, target)
    found = bases(_search(settings, context, world, planned, target))
    comparisons, movements = _compared(ingests, found)
    verdict = mapping.verdict(
        ingests,
        msgspec.structs.replace(gate, allowances=allowed, today=world.now().date(), comparisons=comparisons),
    )
    if target is None:
        receipts = tuple(_skipped(i, withheld or "") for i in ingests)
    else:
        sent = publish.send(target, ingests, pages, spools, is_change=own.is_change, now=world.now)
        receipts = tuple(keeping.told(r, own.ci.provider, world.workspace, world.env) for r in sent)
    return Outcome(
        context=own,
        here=context,
        plan=planned,
        movements=movements,
        comparisons=comparisons,
        verdict=verdict,
        receipts=receipts,
        exit_code=exit_code(verdict, receipts, settings, own),
    )


def ready(settings: Settings, context: CIContext, world: World) -> None:
    """Everything that would stop a run and can be known before there is one, all of it at once."""
    errors: list[IngestError] = []
    for check in (
        lambda: _account(settings, context, world),
        lambda: allowances.read(world.workspace, settings.allow_failures),
        lambda: handover.check_settings(settings, context),
    ):
        try:
            check()
        except IngestError as e:
            errors.append(e)
    raise_all(errors)


def _account(
    settings: Settings, context: CIContext, world: World
) -> tuple[publish.Connection | None, str | None]:
    """Where to publish, or why nowhere."""
    if withheld := _withheld(settings):
        return None, withheld
    try:
        return publish.connect(settings.target(TOOL), now=world.now()), None
    except IngestError as e:
        if _may_do_without(e, context):
            return None, _no_account(context)
        raise


def _search(
    settings: Settings, context: CIContext, world: World, planned: Plan, target: publish.Connection | None
) -> Search:
    """Where a change run has no account, the platform may know a base and cannot be asked: never `none`."""
    asks = settings.publish != "never" and settings.api in ("auto", "ingestion")
    return Search(
        settings=settings,
        context=context,
        workspace=world.workspace,
        planned=planned,
        connection=target if asks else None,
        no_account=_no_account(context) if asks and target is None else None,
    )


def _compared(
    ingests: Sequence[Ingest], found: Mapping[str, Past | Comparison]
) -> tuple[dict[str, Comparison], dict[str, Movement]]:
    comparisons: dict[str, Comparison] = {}
    movements: dict[str, Movement] = {}
    for ingest in ingests:
        base = found[ingest.run.key]
        if isinstance(base, Comparison):
            comparisons[ingest.run.key] = base
            continue
        comparisons[ingest.run.key] = mapping.compare(base, ingest)
        if movement := mapping.movement(base, ingest):
            movements[ingest.run.key] = movement
    return comparisons, movements


def kept(
    ingests: tuple[Ingest, ...],
    context: CIContext,
    settings: Settings,
    world: World,
    target: publish.Connection | None,
) -> tuple[list[bytes], list[Path | None]]:
    """Pages and spools, on disk before the first call, be it only to look for a base. A folder has a report
    of its own, and nothing to keep for later."""
    if target is None or settings.api == "folder":
        return [b""] * len(ingests), [None] * len(ingests)
    drawn = mapping.verdict(ingests, plain(settings.gate()))
    folder = world.workspace / settings.spool_dir
    pages = [report.page(ingest, drawn) for ingest in ingests]
    spools: list[Path | None] = [
        publish.spool.write(ingest, page, folder, is_change=context.is_change)
        for ingest, page in zip(ingests, pages, strict=True)
    ]
    return pages, spools


def run_dbt(resolved: Resolved, command: Sequence[str], world: World) -> tuple[int, Resolved, World]:
    """Run dbt as a child: its exit code, and where its own flags say that it wrote."""
    finished = dbt.child.run(command, world.env, world.workspace)
    said = {
        "path": dbt.child.option(command, "--project-dir"),
        "target_path": dbt.child.option(command, "--target-path"),
    }
    updated = resolved.settings.model_copy(update={k: v for k, v in said.items() if v})
    return (
        finished.exit_code,
        resolved.model_copy(update={"settings": updated}),
        msgspec.structs.replace(world, ours=finished),
    )


def report_options(settings: Settings, outcome: Outcome, world: World, *, color: bool) -> ReportOptions:
    context = outcome.context
    on_github = context.ci.provider in GITHUB_LIKE
    return ReportOptions(
        output=settings.output,
        provider=context.ci.provider,
        is_change=context.is_change,
        color=color,
        workspace=str(world.workspace),
        repository=str(workspace.root(world.workspace)),
        directory=settings.report_dir,
        summary_path=world.env.get("GITHUB_STEP_SUMMARY") or None if on_github else None,
        outputs_path=outputs_path(context, world),
        verbose=settings.verbose,
        folders=outcome.plan.folders,
        hints=outcome.plan.hints,
        movements=outcome.movements,
        comparisons=outcome.comparisons,
        mention_owners=settings.mention_owners,
    )


def outputs_path(context: CIContext, world: World) -> str | None:
    """Where later steps read from."""
    return world.env.get("GITHUB_OUTPUT") or None if context.ci.provider in GITHUB_LIKE else None


def exit_code(
    verdict: Verdict, receipts: Sequence[Receipt], settings: Settings, context: CIContext
) -> ExitCode:
    """The gate outranks publishing."""
    if verdict.blocks:
        return ExitCode.GATE
    codes = [delivery_code(r, settings, is_change=context.is_change) for r in receipts]
    return ExitCode(min((code for code in codes if code), default=0))


def delivery_code(receipt: Receipt, settings: Settings, *, is_change: bool) -> int:
    """`warn` forgives only what passes by itself, and never quietly."""
    tolerant = settings.on_publish_failure == "warn" or (settings.on_publish_failure == "auto" and is_change)
    return 0 if tolerant and receipt.status == "not-delivered" else receipt.exit_code


def is_told_already(error: IngestError, settings: Settings) -> bool:
    """Nothing was found because something before this step broke, and the job is red for that."""
    only_missing = {e.code for e in flatten(error)} == {"artifacts-not-found"}
    return only_missing and settings.job_status in ("failure", "cancelled")


def with_warning(context: CIContext, code: str, text: str) -> CIContext:
    return msgspec.structs.replace(context, warnings=(*context.warnings, RunWarning(code=code, text=text)))


def _withheld(settings: Settings) -> str | None:
    return "--publish never" if settings.publish == "never" and settings.api != "folder" else None


def _may_do_without(error: IngestError, context: CIContext) -> bool:
    """Forks and Dependabot get no secrets: the report and the gate work without, only publishing does not."""
    only_missing = {e.code for e in flatten(error)} <= NO_ACCOUNT
    return only_missing and (context.is_change or context.is_dependabot)


def _no_account(context: CIContext) -> str:
    who = "Dependabot's runs" if context.is_dependabot else "this change's run"
    return f"{who} got no QALITA endpoint or token, which is normal for forks: report and gate only"


def _skipped(ingest: Ingest, reason: str) -> Receipt:
    return Receipt(
        run_key=ingest.run.key, api="none", status="skipped", reason=reason, source=ingest.source.name
    )
