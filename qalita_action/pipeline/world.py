"""What a run gets from outside and what it comes to, as values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from qalita_action import __version__, dbt
from qalita_action.errors import ExitCode
from qalita_action.model import CIContext, Comparison, Hint, Ingest, Movement, Receipt, Tool, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

TOOL = Tool(name="qalita-dbt-ingest", version=__version__)


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What a run gets from outside, as values."""

    env: Mapping[str, str]
    workspace: Path
    now: Callable[[], datetime]
    ours: dbt.child.Finished | None = None  # dbt ran as our child


class CaughtUp(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an older run of a window. receipts: of its documents, none where it was not read; why:
    it was not, could not be, or is nothing to be calm about."""

    where: str
    receipts: tuple[Receipt, ...] = ()
    why: str | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to; cli writes the reports and exits. context: of the documents; here: of the CI that
    this program runs in, which may merely fetch. caught_up: older runs of a window that was polled."""

    context: CIContext
    here: CIContext
    plan: Plan
    movements: dict[str, Movement]
    comparisons: dict[str, Comparison]
    verdict: Verdict
    receipts: tuple[Receipt, ...]
    exit_code: ExitCode
    caught_up: tuple[CaughtUp, ...] = ()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One document per dbt project, sorted by directory; and by run key where each project lies in the
    repository, its manifest, the folder of dbt's --state, and hints where to look on. evidence: what the
    documents were made of, held to the end, since taking a large manifest's rows down costs more than keeping
    them. context: the documents' own."""

    ingests: tuple[Ingest, ...]
    folders: dict[str, str]
    manifests: dict[str, dbt.Artifact] = msgspec.field(default_factory=dict)
    states: dict[str, Path] = msgspec.field(default_factory=dict)
    evidence: tuple[dbt.Evidence, ...] = ()
    hints: dict[str, dict[str, Hint]] = msgspec.field(default_factory=dict)
    context: CIContext = CIContext()
