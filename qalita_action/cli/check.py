"""`check`: everything that `dbt` needs is tried, and nothing is written."""

from __future__ import annotations

from typing import Any

import typer

from qalita_action.cli.answering import answering
from qalita_action.cli.flags import flags_of
from qalita_action.cli.printing import table
from qalita_action.errors import ExitCode
from qalita_action.knobs import KNOBS


@flags_of(*(name for name in KNOBS if name not in ("dry_run", "output")))
def check_command(flags: dict[str, Any]) -> None:
    """Try everything that `dbt` needs, write nothing, and say what is missing."""
    with answering(flags) as (resolved, world):
        from qalita_action import pipeline

        findings = pipeline.check(resolved, pipeline.detect(resolved, world), world)
        sign = {True: "ok", False: "NO", None: "-"}
        rows = []
        for finding in findings:
            rows.append((sign[finding.ok], finding.subject, finding.text))
            if finding.todo:
                rows.append(("", "", f"next: {finding.todo}"))
        table(rows)
        if any(f.ok is False for f in findings):
            raise typer.Exit(ExitCode.SETTINGS)
