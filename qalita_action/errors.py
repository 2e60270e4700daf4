"""Every way this program says no, and the exit code of each. Must not print, log or exit: cli does.

    IngestError
    ├── SettingsError     2   a setting, a token or an endpoint that cannot work
    ├── ArtifactError     3   dbt's files: missing, unreadable, or no evidence that anything ran
    ├── DeliveryError     4   the platform did not take the run; it waits in the spool
    └── ManyErrors            several of the above, told together; the lowest exit code speaks

Codes are stable, kebab-case, and each is an anchor of docs/errors.md.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCS = "https://github.com/qalita/dbt-ingest/blob/main/docs/errors.md"


class ExitCode(IntEnum):
    """What the process answers. The gate (1) outranks delivery (4): an outage never turns a red gate into
    an allowed failure."""

    OK = 0
    GATE = 1
    SETTINGS = 2
    ARTIFACTS = 3
    NOT_DELIVERED = 4
    BUG = 70
    INTERRUPTED = 130
    TERMINATED = 143


class IngestError(Exception):
    """One problem, told for a tired person at night.

    what      one line: what is wrong, with the name of the thing
    expected  what would have been right
    looked    where it looked or what it saw, one entry a line
    todo      what to do next, one entry a line
    """

    exit_code = ExitCode.BUG

    def __init__(
        self,
        code: str,
        what: str,
        *,
        expected: str = "",
        looked: Sequence[str] = (),
        todo: Sequence[str] = (),
    ) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.expected = expected
        self.looked = tuple(looked)
        self.todo = tuple(todo)

    @property
    def link(self) -> str:
        return f"{DOCS}#{self.code}"

    def lines(self) -> list[str]:
        """The message for people: what, expected, looked, todo, link. Never holds a secret by itself; cli
        redacts before printing."""
        out = [f"{self.what} [{self.code}]"]
        if self.expected:
            out.append(f"  expected: {self.expected}")
        out += [f"  {'looked at:' if i == 0 else '          '} {x}" for i, x in enumerate(self.looked)]
        out += [f"  {'next:' if i == 0 else '     '} {x}" for i, x in enumerate(self.todo)]
        out.append(f"  more: {self.link}")
        return out

    def __str__(self) -> str:
        return "\n".join(self.lines())


class SettingsError(IngestError):
    exit_code = ExitCode.SETTINGS


class ArtifactError(IngestError):
    exit_code = ExitCode.ARTIFACTS


class DeliveryError(IngestError):
    exit_code = ExitCode.NOT_DELIVERED


class ManyErrors(IngestError):
    """All bad inputs at once, so that nobody fixes them one run at a time."""

    def __init__(self, errors: Sequence[IngestError]) -> None:
        self.errors = tuple(sorted(errors, key=lambda e: e.exit_code))
        first = self.errors[0]
        super().__init__(first.code, first.what)
        self.exit_code = first.exit_code

    def lines(self) -> list[str]:
        return [line for e in self.errors for line in e.lines()]


def flatten(error: IngestError) -> tuple[IngestError, ...]:
    return error.errors if isinstance(error, ManyErrors) else (error,)


def raise_all(errors: Sequence[IngestError]) -> None:
    """Raise what there is: nothing, the one, or all of them together."""
    flat = [e for error in errors for e in flatten(error)]
    if len(flat) == 1:
        raise flat[0]
    if flat:
        raise ManyErrors(flat)
