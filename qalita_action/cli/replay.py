"""`replay`: what waits in the spool, sent."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from qalita_action.cli.answering import answering
from qalita_action.cli.flags import Rest, also, flags_of
from qalita_action.cli.printing import complain
from qalita_action.cli.secrets import secrets_of
from qalita_action.knobs import KNOBS

# A document is made already: nothing that makes or judges one is asked again.
NOT_FOR_REPLAY = frozenset(
    {"path", "manifest", "results", "sources", "catalog", "target_path", "run_id", "dry_run", "fail_on"}
    | {"on_empty", "baseline", "require_run", "artifacts_since", "max_age", "dbt_outcome", "dbt_exit_code"}
    | {"dimensions", "warn_score", "max_undecided", "visibility", "send_messages", "send_sql", "spool_dir"}
    | {"verbose", "job_id", "job_status", "matrix", "sha", "baseline_env", "since", "shard"}
)
TRUST = Annotated[
    bool,
    typer.Option(
        "--trust-spool",
        help="Send runs of another project or environment than the settings name, too.",
        show_default=False,
    ),
]
PATHS = Rest("paths", "Spool files, or folders of them.", "PATH...")


@also("trust_spool", TRUST)
@flags_of(*(name for name in KNOBS if name not in NOT_FOR_REPLAY), rest=PATHS)
def replay_command(flags: dict[str, Any]) -> None:
    """Send the runs that wait in spool files: oldest first, each once, from any machine."""
    paths, trust = flags.pop("paths"), flags.pop("trust_spool")
    with answering(flags) as (resolved, world):
        from qalita_action import pipeline, report
        from qalita_action.model import to_json

        context = pipeline.detect(resolved, world)
        done = pipeline.replay(resolved, context, world, paths, trust=trust)
        is_json = resolved.settings.output == "json"
        for receipt in done.receipts:
            for line in report.receipt_lines(receipt):
                typer.echo(line, err=is_json)
            if is_json:
                typer.echo(to_json(receipt).decode())
            command = report.undelivered(receipt) if world.env.get("GITHUB_ACTIONS") else None
            if command:
                typer.echo(command, err=is_json)
        for error in done.errors:
            complain(error.lines(), dict(world.env), secrets_of(flags, dict(world.env)))
        if not done.receipts and not done.errors:
            typer.echo("nothing waits", err=is_json)
        raise typer.Exit(done.exit_code)
