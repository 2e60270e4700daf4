"""`setup`: pack and source, made or put right by an administrator. The plan is shown first."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qalita_action.cli.answering import answering
from qalita_action.cli.flags import also, flags_of
from qalita_action.cli.printing import say, table

if TYPE_CHECKING:
    from qalita_action.publish.setup import Step

SETUP_FLAGS = (
    "endpoint",
    "token",
    "pack",
    "visibility",
    "project",
    "env",
    "suite",
    "publish_timeout",
    "ca_bundle",
    "client_cert",
    "client_key",
    "skip_ssl_verify",
)
YES = Annotated[
    bool, typer.Option("--yes", help="Do what the plan says, without asking.", show_default=False)
]
PER_DIMENSION = Annotated[
    bool,
    typer.Option(
        "--per-dimension",
        help="A pack for each dimension too, for runs with --pack-per-dimension.",
        show_default=False,
    ),
]
SIGNS = {"create": "+", "update": "~", "leave": "="}


@also("yes", YES)
@also("per_dimension", PER_DIMENSION)
@flags_of(*SETUP_FLAGS)
def setup_command(flags: dict[str, Any]) -> None:
    """Make the pack on the platform, and a source where --project and --env name one. An administrator
    runs it once; it may be run again."""
    yes, per_dimension = flags.pop("yes"), flags.pop("per_dimension")
    with answering(flags) as (resolved, world):
        from qalita_action import pipeline

        steps = pipeline.set_up(resolved, world, per_dimension=per_dimension, really=False)
        _show(steps)
        if all(step.action == "leave" for step in steps):
            say("nothing to do")
            return
        if not yes and not (sys.stdin.isatty() and sys.stdout.isatty()):
            say("nothing was changed; add --yes")
            return
        if not yes and not typer.confirm("Do it?"):
            say("nothing was changed")
            return
        done = pipeline.set_up(resolved, world, per_dimension=per_dimension, really=True)
        say(f"done: {sum(step.action != 'leave' for step in done)} of {len(done)} changed")


def _show(steps: tuple[Step, ...]) -> None:
    table([(SIGNS[s.action], s.action, f"{s.what} {s.name}", s.text) for s in steps])
    if not any(step.what == "source" for step in steps):
        say("sources are left as they are: the first run makes its own; --project and --env name one to make")
