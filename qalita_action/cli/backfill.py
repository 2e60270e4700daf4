"""`dbt --since`: a history, and how far it is. stdout holds the receipts alone under `--output json`."""

from __future__ import annotations

import gc
import json
import sys
import time
from typing import TYPE_CHECKING

from qalita_action.cli.printing import complain, harmless, say, table
from qalita_action.cli.secrets import secrets_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qalita_action.dbt import Candidate
    from qalita_action.model import CIContext
    from qalita_action.pipeline import Step, Tally, World
    from qalita_action.settings import Resolved

EVERY_S = 30.0
ON_TERMINAL_S = 0.2
SHOWN = 40  # letters of a run's place that stand on a terminal's line
CLEAR = "\r\x1b[K"
UNKNOWN = "-"


def backfill(resolved: Resolved, context: CIContext, world: World) -> int:
    """The exit code: 0 where every run is recorded, 3 where some could not be read, 4 where some were not
    delivered. The gate judges no history."""
    from qalita_action import pipeline

    gc.enable()  # off for one run, whose rows live to its end; here thousands come and go
    if resolved.settings.dry_run:
        _list(pipeline.candidates(resolved, context, world), is_json=resolved.settings.output == "json")
        return 0
    progress = Progress(is_json=resolved.settings.output == "json", secrets=secrets_of({}, world.env))
    try:
        tally = pipeline.backfill(resolved, context, world, begun=progress.begun, heard=progress.heard)
    finally:
        progress.ended(dict(world.env))
    return tally.code


def _list(found: Sequence[Candidate], *, is_json: bool) -> None:
    if is_json:
        for c in found:
            told = {"run": c.where, "completed_at": c.at and c.at.isoformat(), "run_ids": c.run_ids}
            sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        return
    table([(f"{c.at:%Y-%m-%d %H:%M:%S}" if c.at else UNKNOWN, c.where) for c in found])
    say(f"{_runs(len(found))}{_without_time(found)}; which are recorded, a platform would tell")
    say("nothing was sent")


def _runs(count: int) -> str:
    return f"{count:,} run{'' if count == 1 else 's'}"


def _without_time(found: Sequence[Candidate]) -> str:
    unknown = sum(c.at is None for c in found)
    return f", {unknown:,} of them of an unknown time, which --since does not cut" if unknown else ""


class Progress:
    """A line that is written over on a terminal, else one now and then; whatever went wrong, at once."""

    def __init__(self, *, is_json: bool, secrets: list[str]) -> None:
        self._is_json = is_json
        self._secrets = secrets
        self._out = sys.stderr if is_json else sys.stdout
        self._is_terminal = self._out.isatty()
        self._began = self._said = time.monotonic()
        self._tally: Tally | None = None

    def begun(self, tally: Tally, found: Sequence[Candidate]) -> None:
        self._tally = tally
        self._began = self._said = time.monotonic()
        self._line(f"{_runs(tally.total)} to publish{_without_time(found)}; the gate judges no history")

    def heard(self, step: Step) -> None:
        from qalita_action import report
        from qalita_action.model import to_json

        if self._is_json:
            for receipt in step.receipts:
                sys.stdout.write(to_json(receipt).decode() + "\n")
            sys.stdout.flush()
        if step.error is not None:
            self._line(f"✗ {step.candidate.where}: {step.error.what} [{step.error.code}]")
        for receipt in step.receipts:
            if receipt.error_code:
                self._line(f"✗ {step.candidate.where}")
                for line in report.receipt_lines(receipt):
                    self._line(f"    {line}")
        self._tell(step)

    def _tell(self, step: Step) -> None:
        tally, now = self._tally, time.monotonic()
        if tally is None or now - self._said < (ON_TERMINAL_S if self._is_terminal else EVERY_S):
            return
        self._said = now
        rate = tally.done / max(now - self._began, 0.001)
        text = (
            f"{tally.done:,} of {tally.total:,} · {rate:.1f} a second · {_time(tally.left / rate)} to go"
            f" · {step.candidate.where[-SHOWN:]}"
        )
        if self._is_terminal:
            self._out.write(f"{CLEAR}{harmless(text)}")
            self._out.flush()
        else:
            self._line(text)

    def ended(self, env: dict[str, str]) -> None:
        """Also where it was interrupted: how far it came."""
        tally = self._tally
        if tally is None:
            return
        took = _time(time.monotonic() - self._began)
        self._line(
            f"published {tally.published:,} · already there {tally.recorded:,}"
            f" · unreadable {tally.unreadable:,} · not delivered {tally.undelivered:,} · {took}"
        )
        bad = []
        if tally.unreadable:
            bad.append(f"{_runs(tally.unreadable)} could not be read: each is named above, with its reason")
        if tally.undelivered:
            bad.append(f"{_runs(tally.undelivered)} not delivered: each waits in the file named above")
        if tally.is_down:
            bad.append("stopped: the platform took none of the last runs")
        if tally.left:
            bad.append(f"{_runs(tally.left)} left")
        if tally.left or tally.undelivered:
            bad.append("the same command goes on with them, and sends nothing twice")
        if bad:
            complain(bad, env, self._secrets)

    def _line(self, text: str) -> None:
        self._out.write(f"{CLEAR if self._is_terminal else ''}{harmless(text)}\n")
        self._out.flush()


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
