"""Runs dbt as a child: output and signals pass through, our secrets do not. Must not read artifacts."""

from __future__ import annotations

import os
import signal
import subprocess
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import msgspec

from qalita_action.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import FrameType

# Ours, tokens included: dbt and its packages have no business with them.
NOT_FOR_DBT = ("QALITA_", "INPUT_", "DBT_CLOUD_API_")
PASSED_ON = tuple(getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n))
# A group of its own, where the system has groups.
IN_ITS_OWN_GROUP = getattr(os, "setpgrp", None)


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """exit_code: dbt's own, 128 + N where signal N ended it; started_at: just before it began."""

    exit_code: int
    started_at: datetime


def run(command: Sequence[str], env: Mapping[str, str], folder: Path) -> Finished:
    """Wait for the command. A signal that reaches us reaches it, once: it has a process group of its own, so
    that a terminal's Ctrl-C does not arrive twice. Error: command-missing.
    """
    clean = {k: v for k, v in env.items() if not k.startswith(NOT_FOR_DBT)}
    started_at = datetime.now(timezone.utc)
    try:
        child = subprocess.Popen(list(command), env=clean, cwd=folder, preexec_fn=IN_ITS_OWN_GROUP)  # noqa: PLW1509, S603
    except OSError as e:
        raise SettingsError(
            "command-missing",
            f"{command[0]} cannot be run: {e.strerror}",
            expected="a command after `--`, such as: qalita-ingest run -- dbt build",
            looked=[f"PATH={clean.get('PATH', '')}"],
            todo=["install it in this job, or give its full path"],
        ) from None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in PASSED_ON}
    try:
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return Finished(exit_code=128 - code if code < 0 else code, started_at=started_at)


def option(command: Sequence[str], name: str) -> str | None:
    """The value of `--name value` or `--name=value` in dbt's own command line; the last one counts."""
    found = None
    for i, word in enumerate(command):
        if word == name and i + 1 < len(command):
            found = command[i + 1]
        elif word.startswith(f"{name}="):
            found = word.partition("=")[2]
    return found
