"""`context`: what is known of the commit, the change and the job, and where each fact came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from qalita_action.cli.answering import answering
from qalita_action.cli.flags import also, flags_of
from qalita_action.cli.printing import say, table

if TYPE_CHECKING:
    from qalita_action.model import CIContext

CONTEXT_FLAGS = ("output", "sha", "branch", "default_branch", "change_id", "job_id", "matrix")
DOCKER_ARGS = Annotated[
    bool,
    typer.Option(
        "--docker-args",
        help="Print what `docker run` must be given to know the same: names and mounts, no value.",
        show_default=False,
    ),
]


@also("docker_args", DOCKER_ARGS)
@flags_of(*CONTEXT_FLAGS)
def context_command(flags: dict[str, Any]) -> None:
    """Show what is known of the commit, branch, change, job and run, and where each fact came from."""
    docker_args = flags.pop("docker_args")
    if docker_args:
        flags["output"] = "json"  # stdout goes onto a command line: masks belong to stderr
    with answering(flags) as (resolved, world):
        from qalita_action import ci, pipeline

        context = pipeline.detect(resolved, world)
        if docker_args:
            ours = [name for name in world.env if name.startswith("QALITA_")]
            typer.echo(ci.docker_args(world.env, world.workspace, ours))
            for line in _not_forwarded(context):
                typer.echo(line, err=True)
            return
        if resolved.settings.output == "json":
            import json

            say(json.dumps(ci.to_document(context), ensure_ascii=False))
            return
        table([(name, value or "-", source) for name, value, source in ci.rows(context)])
        for warning in context.warnings:
            say(f"! {warning.text}")
        if context.ci.provider is None:
            say(f"! {' '.join(_not_forwarded(context))}")


def _not_forwarded(context: CIContext) -> list[str]:
    """For who sees no CI where one is: said by this command alone, a run on a laptop need not hear it."""
    from qalita_action import ci

    if context.ci.provider is None:
        text = "No CI is recognised. On a laptop that is so; a container was not handed the CI's variables"
        return [f"{text}: {ci.HAND_ON}."]
    return [w.text for w in context.warnings if w.code == "ci-unread"]
