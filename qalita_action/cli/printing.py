"""What commands print: every line is cleaned, so that no value from outside can draw on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def table(rows: Sequence[tuple[str, ...]]) -> None:
    """Columns side by side; each cell is cleaned, so that no value of a CI can draw on the terminal."""
    cells = [[harmless(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]) - 1)] if cells else []
    for row in cells:
        typer.echo("  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]).rstrip())


def say(text: str) -> None:
    typer.echo(harmless(text))


def harmless(line: str) -> str:
    """A line that no untrusted text in it can draw with. Its indentation is ours, and tells what belongs
    together.
    """
    from qalita_action import redact

    text = line.lstrip(" ")
    return " " * (len(line) - len(text)) + redact.for_console(text)


def notice(text: str, env: Mapping[str, str]) -> None:
    """On stderr, and where people look for it. stdout may be data."""
    from qalita_action import redact

    typer.echo(harmless(text), err=True)
    if env.get("GITHUB_ACTIONS"):
        typer.echo(f"::notice title=qalita-ingest::{redact.for_workflow_command(text)}", err=True)


def complain(lines: list[str], env: dict[str, str], secrets: list[str]) -> None:
    from qalita_action import redact

    clean = [harmless(redact.mask_tokens(redact.scrub(line, secrets))) for line in lines]
    for line in clean:
        typer.echo(line, err=True)
    if env.get("GITHUB_ACTIONS"):
        message = redact.for_workflow_command("\n".join(clean))
        typer.echo(f"::error title=qalita-ingest::{message}", err=True)
