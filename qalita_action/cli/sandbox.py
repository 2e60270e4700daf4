"""`sandbox`: the stand-in for the platform, served until it is stopped."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated

import typer

from qalita_action.errors import ExitCode


def sandbox_command(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 3080,
    database: Annotated[Path, typer.Option(help="SQLite file.")] = Path("qalita-sandbox.db"),
) -> None:
    """Serve a stand-in for QALITA on this machine. It is not QALITA: it is for trying and for tests."""
    try:
        from qalita_action import sandbox
    except ModuleNotFoundError as e:
        typer.echo(
            f"The sandbox needs its extra: pip install 'qalita-dbt-ingest[sandbox]' ({e.name} is missing)",
            err=True,
        )
        raise typer.Exit(ExitCode.SETTINGS) from None
    gc.enable()  # a server lives on
    sandbox.serve("127.0.0.1", port, database)
