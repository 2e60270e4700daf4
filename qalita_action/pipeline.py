"""The stages in order: environment in, documents out. Reads like the README's "how it works".

Only the two ends touch the world, and both get what they need as arguments: no os.environ, no printing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from qalita_action import __version__, ci, dbt, mapping, publish, report, workspace
from qalita_action.errors import ExitCode, IngestError, raise_all
from qalita_action.model import (
    CIContext,
    Finding,
    Ingest,
    Movement,
    PlannedRequest,
    Receipt,
    ReportOptions,
    RunWarning,
    Tool,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from qalita_action.settings import Resolved, Settings

TOOL = Tool(name="qalita-dbt-ingest", version=__version__)
# Settings that are the user's own word on a field of the context.
CONTEXT_SETTINGS = {name: name for name in ("sha", "branch", "default_branch", "change_id", "job_id")}
NO_ACCOUNT = frozenset({"endpoint-missing", "token-missing"})


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What a run gets from outside, as values."""

    env: Mapping[str, str]
    workspace: Path
    now: Callable[[], datetime]
    ours: dbt.child.Finished | None = None  # dbt ran as our child


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to; cli writes the reports and exits."""

    context: CIContext
    ingests: tuple[Ingest, ...]
    folders: dict[str, str]
    movements: dict[str, Movement]
    verdict: Verdict
    receipts: tuple[Receipt, ...]
    exit_code: ExitCode


def detect(resolved: Resolved, world: World) -> CIContext:
    said = {
        field: (str(getattr(resolved.settings, name)), origin)
        for name, field in CONTEXT_SETTINGS.items()
        if (origin := resolved.origins.get(name))
    }
    return ci.detect(world.env, world.workspace, said)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One document per dbt project, sorted by directory; and where each project lies in the repository."""

    ingests: tuple[Ingest, ...]
    folders: dict[str, str]


def plan(settings: Settings, context: CIContext, world: World) -> Plan:
    """Every bad file of every project is told at once."""
    places = settings.places()
    vetting = msgspec.structs.replace(
        settings.vetting(context, world.now()),
        checked_out_at=workspace.checked_out_at(world.workspace) if context.ci.provider else None,
    )
    if world.ours is not None:
        places = msgspec.structs.replace(places, needs_results=False)
        vetting = msgspec.structs.replace(
            vetting, started_at=world.ours.started_at, is_ours=True, dbt_exit_code=world.ours.exit_code
        )
    found = dbt.locate(places, world.workspace, world.env)
    known = workspace.known_dimensions()
    codeowners = workspace.codeowners(world.workspace)
    ingests: list[Ingest] = []
    folders: dict[str, str] = {}
    errors: list[IngestError] = []
    for files in found:
        try:
            evidence = dbt.read(files, vetting)
            folder = workspace.folder(files, world.workspace)
            policy = settings.policy(TOOL)
            policy = msgspec.structs.replace(
                policy, dimensions={**known, **policy.dimensions}, codeowners=codeowners, folder=folder
            )
            ingest = mapping.to_ingest(evidence, context, policy)
        except IngestError as e:
            errors.append(e)
            continue
        ingests.append(ingest)
        folders[ingest.run.key] = folder
    raise_all(errors)
    return Plan(ingests=tuple(ingests), folders=folders)


def _movements(ingests: Sequence[Ingest], base: Sequence[Ingest]) -> dict[str, Movement]:
    """By run key. A base is that of the same project and suite; its environment may be another one."""
    known = {(b.source.project, b.source.suite): b for b in base}
    found = {
        i.run.key: mapping.movement(known[i.source.project, i.source.suite], i)
        for i in ingests
        if (i.source.project, i.source.suite) in known
    }
    return {key: movement for key, movement in found.items() if movement is not None}


def run(resolved: Resolved, context: CIContext, world: World) -> Outcome:
    """Detect, locate, vet, map, judge, keep, publish. Nothing is sent before it is on disk."""
    settings = resolved.settings
    errors: list[IngestError] = []
    target: publish.Connection | None = None
    withheld = _withheld(settings)
    if withheld is None:
        try:
            target = publish.connect(settings.target(TOOL), now=world.now())
        except IngestError as e:
            if _may_do_without(e, context):
                withheld = _no_account(context)
            else:
                errors.append(e)
    planned = Plan(ingests=(), folders={})
    try:
        planned = plan(settings, context, world)
    except IngestError as e:
        errors.append(e)
    base: tuple[Ingest, ...] = ()
    if settings.baseline:
        try:
            base = workspace.baseline(world.workspace / settings.baseline)
        except IngestError as e:
            errors.append(e)
    raise_all(errors)

    ingests = planned.ingests
    verdict = mapping.verdict(ingests, settings.gate())
    if target is None:
        receipts = tuple(_skipped(i, withheld or "") for i in ingests)
    else:
        receipts = _publish(target, ingests, verdict, context, settings, world)
    return Outcome(
        context=context,
        ingests=ingests,
        folders=planned.folders,
        movements=_movements(ingests, base),
        verdict=verdict,
        receipts=receipts,
        exit_code=exit_code(verdict, receipts, settings, context),
    )


def _publish(
    target: publish.Connection,
    ingests: tuple[Ingest, ...],
    verdict: Verdict,
    context: CIContext,
    settings: Settings,
    world: World,
) -> tuple[Receipt, ...]:
    keep = settings.api != "folder"  # a folder has a report of its own, and nothing to keep for later
    pages = [report.page(ingest, verdict) if keep else b"" for ingest in ingests]
    spools = [
        publish.spool.write(ingest, page, world.workspace / settings.spool_dir) if keep else None
        for ingest, page in zip(ingests, pages, strict=True)
    ]
    receipts = publish.send(target, ingests, pages, spools, is_change=context.is_change, now=world.now)
    return tuple(_from_workspace(r, world.workspace) for r in receipts)


def _from_workspace(receipt: Receipt, workspace: Path) -> Receipt:
    """The spool's path as later steps know it: a container's /github/workspace means nothing to them."""
    if receipt.spool is None or not Path(receipt.spool).is_relative_to(workspace):
        return receipt
    return msgspec.structs.replace(receipt, spool=Path(receipt.spool).relative_to(workspace).as_posix())


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


def planned(resolved: Resolved, ingests: Sequence[Ingest], world: World) -> list[tuple[PlannedRequest, ...]]:
    """What would be sent, request by request, without a call or an account."""
    target = publish.connect(resolved.settings.target(TOOL), now=world.now(), need_account=False)
    verdict = mapping.verdict(tuple(ingests), resolved.settings.gate())
    return [publish.planned(target, ingest, report.page(ingest, verdict)) for ingest in ingests]


def check(resolved: Resolved, context: CIContext, world: World) -> list[Finding]:
    """Everything that `dbt` would trip over, without writing anything anywhere."""
    findings: list[Finding] = []
    ingests: tuple[Ingest, ...] = ()
    try:
        ingests = plan(resolved.settings, context, world).ingests
    except IngestError as e:
        findings += [_finding("artifacts", error) for error in _flat(e)]
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
        return [*(_finding("settings", error) for error in _flat(e)), *findings]
    names = [i.source.name for i in ingests]
    return [*publish.check(target, names, now=world.now()), *findings]


def report_options(settings: Settings, outcome: Outcome, world: World, *, color: bool) -> ReportOptions:
    context = outcome.context
    on_github = context.ci.provider in ("github", "gitea", "forgejo")
    return ReportOptions(
        output=settings.output,
        provider=context.ci.provider,
        is_change=context.is_change,
        color=color,
        workspace=str(world.workspace),
        directory=settings.report_dir,
        summary_path=world.env.get("GITHUB_STEP_SUMMARY") or None if on_github else None,
        outputs_path=world.env.get("GITHUB_OUTPUT") or None if on_github else None,
        verbose=settings.verbose,
        folders=outcome.folders,
        movements=outcome.movements,
    )


def exit_code(
    verdict: Verdict, receipts: Sequence[Receipt], settings: Settings, context: CIContext
) -> ExitCode:
    """The gate outranks publishing. `warn` forgives only what passes by itself, and never quietly."""
    if verdict.blocks:
        return ExitCode.GATE
    tolerant = settings.on_publish_failure == "warn" or (
        settings.on_publish_failure == "auto" and context.is_change
    )
    codes = [r.exit_code for r in receipts if r.exit_code and not (tolerant and r.status == "not-delivered")]
    return ExitCode(min(codes, default=0))


def with_warning(context: CIContext, code: str, text: str) -> CIContext:
    return msgspec.structs.replace(context, warnings=(*context.warnings, RunWarning(code=code, text=text)))


def _withheld(settings: Settings) -> str | None:
    return "--publish never" if settings.publish == "never" and settings.api != "folder" else None


def _may_do_without(error: IngestError, context: CIContext) -> bool:
    """Forks and Dependabot get no secrets: the report and the gate work without, only publishing does not."""
    only_missing = {e.code for e in _flat(error)} <= NO_ACCOUNT
    return only_missing and (context.is_change or context.is_dependabot)


def _no_account(context: CIContext) -> str:
    who = "Dependabot's runs" if context.is_dependabot else "this change's run"
    return f"{who} got no QALITA endpoint or token, which is normal for forks: report and gate only"


def _skipped(ingest: Ingest, reason: str) -> Receipt:
    return Receipt(
        run_key=ingest.run.key, api="none", status="skipped", reason=reason, source=ingest.source.name
    )


def _flat(error: IngestError) -> tuple[IngestError, ...]:
    from qalita_action.errors import flatten

    return flatten(error)


def _finding(subject: str, error: IngestError) -> Finding:
    return Finding(subject=subject, ok=False, text=error.what, todo=error.todo[0] if error.todo else "")
