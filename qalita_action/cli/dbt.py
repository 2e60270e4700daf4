"""`dbt` and `run`: the whole of it, from dbt's artifacts or from dbt as our child."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO

import typer

from qalita_action.cli.answering import answering
from qalita_action.cli.flags import Rest, flags_of
from qalita_action.cli.printing import complain, harmless, notice, say, table
from qalita_action.cli.secrets import secrets_of
from qalita_action.errors import IngestError
from qalita_action.knobs import KNOBS

if TYPE_CHECKING:
    from qalita_action.model import CIContext
    from qalita_action.pipeline import Outcome, World
    from qalita_action.settings import Resolved

# `run` knows these from dbt itself.
NOT_FOR_RUN = frozenset(
    {
        "path",
        "manifest",
        "results",
        "sources",
        "catalog",
        "target_path",
        "dry_run",
        "artifacts_since",
        "max_age",
        "since",
        "shard",
    }
    | {"dbt_outcome", "dbt_exit_code", "job_status"}
)
NOTHING_LEFT = "dbt left no artifacts, and the job had failed before this step: nothing was published"
COMMAND = Rest("command", "dbt and its arguments.", "-- dbt ...")
DBT_COULD_NOT_RUN = 2  # dbt's own exit codes: 0 good, 1 something failed, 2 and above it could not run


@flags_of(*KNOBS)
def dbt_command(flags: dict[str, Any]) -> None:
    """Find dbt's artifacts, vet them, judge them, publish them once, and tell what broke."""
    with answering(flags) as (resolved, world):
        from qalita_action import pipeline

        context = pipeline.detect(resolved, world)
        if pipeline.is_history(resolved.settings):
            from qalita_action.cli.backfill import backfill

            raise typer.Exit(backfill(resolved, context, world))
        if resolved.settings.dry_run:
            _dry_run(resolved, context, world)
            return
        try:
            outcome = pipeline.poll(resolved, context, world)
        except IngestError as e:
            if not pipeline.is_told_already(e, resolved.settings):
                raise
            notice(NOTHING_LEFT, world.env)
            return
        report_run(outcome, resolved, world)
        raise typer.Exit(outcome.exit_code)


@flags_of(*(name for name in KNOBS if name not in NOT_FOR_RUN), rest=COMMAND)
def run_command(flags: dict[str, Any]) -> None:
    """Run dbt and publish what it did: qalita-ingest run -- dbt build. Nothing stale can slip in."""
    command = flags.pop("command") or []
    with answering(flags) as (given, outside):
        from qalita_action import pipeline

        dbts, resolved, world = pipeline.run_dbt(given, command, outside)
        try:
            outcome = pipeline.run(resolved, pipeline.detect(resolved, world), world)
        except IngestError as e:
            complain(e.lines(), dict(world.env), secrets_of(flags, dict(world.env)))
            raise typer.Exit(dbts if dbts >= DBT_COULD_NOT_RUN else e.exit_code) from None
        report_run(outcome, resolved, world)
        raise typer.Exit(dbts if dbts >= DBT_COULD_NOT_RUN else outcome.exit_code)


def _dry_run(resolved: Resolved, context: CIContext, world: World) -> None:
    from qalita_action import pipeline
    from qalita_action.model import to_json

    ingests = pipeline.plan(resolved.settings, context, world).ingests
    if resolved.settings.output == "json":
        for ingest in ingests:
            sys.stdout.buffer.writelines((to_json(ingest), b"\n"))
        sys.stdout.buffer.flush()
        return
    for ingest, requests in zip(ingests, pipeline.planned(resolved, ingests, world), strict=True):
        run = ingest.run
        say(f"{ingest.source.name}: run {run.key}, {run.verdict}, {run.extent}")
        table([(f"  {r.method}", f"{r.size:>12,} B", r.path, r.note) for r in requests])
    say("nothing was sent")


def report_run(outcome: Any, resolved: Resolved, world: World) -> None:
    from qalita_action import pipeline, report

    color = sys.stdout.isatty() and "NO_COLOR" not in world.env
    options = pipeline.report_options(resolved.settings, outcome, world, color=color)
    rendered = report.render(outcome.plan.ingests, outcome.verdict, outcome.receipts, options)
    report.write(rendered, options, sys.stdout, sys.stderr)
    _caught_up(outcome, sys.stderr if options.output == "json" else sys.stdout)
    # Last: a forge that hangs holds back no report.
    if commented := pipeline.comment(resolved.settings, outcome, rendered, world):
        stream = sys.stderr if options.output == "json" else sys.stdout
        stream.write("".join(f"{line}\n" for line in report.comment_lines(commented, options)))
        stream.flush()


def _caught_up(outcome: Outcome, stream: TextIO) -> None:
    """The older runs of a window that was polled, a line each."""
    from qalita_action import report

    for older in outcome.caught_up:
        lines = [f"{older.where}: {older.why}" if older.why else older.where]
        lines += [f"  {line}" for receipt in older.receipts for line in report.receipt_lines(receipt)]
        stream.writelines(f"{harmless(line)}\n" for line in lines)
    stream.flush()
