"""`dbt-cloud trigger`: a dbt Cloud job is started, and with --wait its run is published as `dbt` would."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qalita_action.cli.answering import Terminated, answering
from qalita_action.cli.dbt import report_run
from qalita_action.cli.flags import also, flags_of
from qalita_action.cli.printing import complain, say
from qalita_action.cli.secrets import secrets_of
from qalita_action.knobs import KNOBS

if TYPE_CHECKING:
    from qalita_action.dbt.sources.cloud_trigger import Order, Started
    from qalita_action.pipeline import Asked

# The run is the one that was started: what finds artifacts, or speaks of a dbt that ran here, has no say.
NOT_FOR_TRIGGER = frozenset(
    {"path", "manifest", "results", "sources", "catalog", "target_path", "since", "shard", "artifacts_since"}
    | {"max_age", "dbt_outcome", "dbt_exit_code", "job_status", "sha", "branch"}
)
JOB = Annotated[
    str, typer.Argument(help="The job: dbtcloud://ACCOUNT/jobs/JOB, or ACCOUNT/JOB.", metavar="JOB")
]
CAUSE = Annotated[
    str | None,
    typer.Option(
        "--cause",
        help="Why, for dbt Cloud's pages. [default: the change or branch, and the CI's job]",
        metavar="TEXT",
    ),
]
GIT_SHA = Annotated[
    str | None,
    typer.Option(
        "--git-sha", help="The commit that dbt Cloud checks out. [default: the job's own]", metavar="SHA"
    ),
]
GIT_BRANCH = Annotated[
    str | None,
    typer.Option(
        "--git-branch", help="The branch that dbt Cloud checks out. [default: the job's own]", metavar="NAME"
    ),
]
SCHEMA = Annotated[
    str | None,
    typer.Option(
        "--schema-override", help="The schema that dbt builds into. [default: the job's own]", metavar="NAME"
    ),
]
STEPS = Annotated[
    list[str] | None,
    typer.Option(
        "--steps-override",
        help="A command in place of the job's steps, such as 'dbt build --select tag:x'; may be repeated.",
        metavar="COMMAND",
    ),
]
dbt_cloud = typer.Typer(
    help="dbt Cloud: start a job, and publish its run.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@dbt_cloud.callback()
def _group() -> None:
    """A group, though it has one command."""


@dbt_cloud.command("trigger")
@also("steps_override", STEPS, None)
@also("schema_override", SCHEMA, None)
@also("git_branch", GIT_BRANCH, None)
@also("git_sha", GIT_SHA, None)
@also("cause", CAUSE, None)
@also("job", JOB, inspect.Parameter.empty)
@flags_of(*(name for name in KNOBS if name not in NOT_FOR_TRIGGER))
def trigger_command(flags: dict[str, Any]) -> None:
    """Start a dbt Cloud job once; with --wait, publish and judge its run as `dbt` would."""
    asked = _asked(flags)
    with answering(flags) as (resolved, world):
        from qalita_action import pipeline

        context = pipeline.detect(resolved, world)
        order = pipeline.order(asked, resolved, context, world)
        settings = resolved.settings
        if settings.dry_run:
            _dry_run(order)
            return
        left = _maybe(order)
        try:
            run = pipeline.started(order, resolved, context, world)
            _tell(run, is_json=settings.output == "json", waits=settings.wait)
            if not settings.wait:
                return
            left = _goes_on(run)
            waiting = pipeline.of_run(resolved, run)
            outcome = pipeline.run(waiting, context, world)
        except (KeyboardInterrupt, Terminated):
            complain(left, dict(world.env), secrets_of(flags, dict(world.env)))
            raise
        report_run(outcome, waiting, world)
        raise typer.Exit(outcome.exit_code)


def _asked(flags: dict[str, Any]) -> Asked:
    from qalita_action.pipeline import Asked

    return Asked(
        job=flags.pop("job"),
        cause=flags.pop("cause"),
        git_sha=flags.pop("git_sha"),
        git_branch=flags.pop("git_branch"),
        schema_override=flags.pop("schema_override"),
        steps_override=tuple(flags.pop("steps_override") or ()),
    )


def _maybe(order: Order) -> list[str]:
    return [
        f"{order.address}: nobody knows whether dbt Cloud has started a run",
        f"  next: look there for the cause {order.cause}",
    ]


def _goes_on(run: Started) -> list[str]:
    return [
        f"{run.address} is not stopped by this: the run goes on at dbt Cloud"
        + (f" ({run.url})" if run.url else ""),
        f"  next: qalita-ingest dbt {run.address} --wait",
    ]


def _dry_run(order: Order) -> None:
    import json

    say(f"POST {order.path}")
    say(json.dumps(order.body(), ensure_ascii=False))
    say("nothing was started")


def _tell(run: Started, *, is_json: bool, waits: bool) -> None:
    """With --output json stdout is one document: this one, or the run's where it is waited for."""
    if is_json and not waits:
        import json

        told = {"address": run.address, "account": run.account, "job": run.job, "run": run.run}
        say(json.dumps({**told, "url": run.url, "cause": run.cause}, ensure_ascii=False))
        return
    for line in (run.address, run.url):
        if line:
            typer.echo(line, err=is_json)
