"""`accept`: today's failures into the allowlist, so that a team with red tests can begin to gate."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from qalita_action.cli.answering import answering
from qalita_action.cli.flags import also, flags_of
from qalita_action.cli.printing import say

ACCEPT_FLAGS = (
    *("path", "config", "manifest", "results", "sources", "target_path", "project", "env", "fail_on"),
    *("allow_failures", "artifacts_since", "max_age", "dbt_exit_code", "on_empty"),
    *("dbt_cloud_host", "dbt_cloud_token", "wait", "wait_timeout"),
)
EXPIRES = Annotated[
    str, typer.Option("--expires", help="When the new entries end: 90d, 12w, or a day.", metavar="AGE")
]
REASON = Annotated[str | None, typer.Option("--reason", help="Why, for the new entries.", metavar="TEXT")]
OWNER = Annotated[
    str | None,
    typer.Option("--owner", help="Who mends them. [default: the check's owner]", metavar="NAME"),
]
SHOWN = 100


@also("owner", OWNER, None)
@also("reason", REASON, None)
@also("expires", EXPIRES, "90d")
@flags_of(*ACCEPT_FLAGS)
def accept_command(flags: dict[str, Any]) -> None:
    """Write what fails today into the allowlist, each entry with a day on which it ends. Nothing is sent."""
    expires, reason, owner = flags.pop("expires"), flags.pop("reason"), flags.pop("owner")
    with answering(flags) as (resolved, world):
        from qalita_action import pipeline

        context = pipeline.detect(resolved, world)
        done = pipeline.accept(resolved, context, world, expires=expires, reason=reason, owner=owner)
        until = f" until {done.added[0].expires}" if done.added else ""
        say(f"{done.path}: {len(done.added)} added{until}, {done.kept} were there")
        for entry in done.added[:SHOWN]:
            say(f"  + {entry.check}" + (f" ({entry.owner})" if entry.owner else ""))
        if (more := len(done.added) - SHOWN) > 0:
            say(f"  + and {more} more")
        for text in done.notices:
            say(f"  ! {text}")
        for text in done.left:
            say(f"  ! still blocks: {text}")
