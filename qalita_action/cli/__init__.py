"""The commands. The only place that catches, prints an error, reads os.environ and chooses the exit code: a
module for each, and this table of them.

Imports stay inside the commands: `--help` must not pay for what it does not use. Flags come from knobs.py;
their values are judged by settings, together with inputs, environment and qalita.yml, all at once.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from qalita_action import __version__
from qalita_action.cli.accept import accept_command
from qalita_action.cli.answering import Terminated
from qalita_action.cli.check import check_command
from qalita_action.cli.context import context_command
from qalita_action.cli.dbt import dbt_command, run_command
from qalita_action.cli.dbt_cloud import dbt_cloud
from qalita_action.cli.replay import replay_command
from qalita_action.cli.sandbox import sandbox_command
from qalita_action.cli.setup import setup_command

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["app", "main", "qalita"]

app = typer.Typer(
    name="qalita-ingest",
    help="The step after `dbt build`: what dbt's tests really found, published to QALITA once.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

# dbt's own arguments follow `--`: they are not ours to read.
PASSED_ON = {"allow_interspersed_args": False, "ignore_unknown_options": True}

app.command("dbt")(dbt_command)
app.command("run", context_settings=PASSED_ON)(run_command)
app.command("replay")(replay_command)
app.add_typer(dbt_cloud, name="dbt-cloud")
app.command("context")(context_command)
app.command("check")(check_command)
app.command("accept")(accept_command)
app.command("setup")(setup_command)
app.command("sandbox")(sandbox_command)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(f"qalita-dbt-ingest {__version__}")
        raise typer.Exit


def main() -> None:
    """Console script. Turns SIGTERM into an unwinding, and anything unforeseen into exit 70."""
    # One run, whose rows are trees that live until its end: looking for cycles doubles a large one's time.
    gc.disable()
    # pydantic would look through every installed package for plugins, and run what it finds.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    # Typer makes every command's parameters before it looks which one is asked for.
    if asked := [command for command in app.registered_commands if command.name in sys.argv[1:2]]:
        app.registered_commands, app.registered_groups = asked, []
    try:
        app()
    except SystemExit as end:
        # The sandbox turned the collector on again: a server has a database to close.
        if isinstance(end.code, int) and not gc.isenabled() and threading.active_count() == 1:
            _leave(end.code)
        raise


def qalita() -> None:
    """`qalita ingest dbt ...`, as QALITA's integration page writes it. Made a command in the image alone, so
    that it never hides QALITA's own CLI.
    """
    if sys.argv[1:2] == ["ingest"]:
        del sys.argv[1]
    main()


def _leave(code: int) -> None:
    """End here and now: every file is closed, and to take a large run's rows down one by one costs more than
    to print it. Returns only where a stream cannot be flushed, which Python tells in its own way.
    """
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _stop(number: int, _frame: FrameType | None) -> None:
    """Runners that cancel a job ask twice, SIGINT and seconds later SIGTERM. The second must not cut short
    the closing of a job on the platform, which the first has begun; Ctrl-C twice does."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if number == signal.SIGTERM:
        raise Terminated
    raise KeyboardInterrupt
