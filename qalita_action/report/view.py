"""What every dialect reads: numbers, rows worst first, causes with what followed, the verdict, the receipt.

All text in it is cleaned and masked; none of it is escaped: that is the dialect's duty. Must not know a
dialect.
"""

from __future__ import annotations

from qalita_action.model import (
    CheckKind,
    Comparison,
    Difference,
    Excuse,
    GateState,
    LedgerRow,
    Level,
    Receipt,
    Status,
    Value,
)
from qalita_action.report.words import Tone


class Place(Value, frozen=True, kw_only=True):
    path: str
    line: int | None
    link: str | None


class Fact(Value, frozen=True, kw_only=True):
    label: str
    text: str
    link: str | None = None


class Row(Value, frozen=True, kw_only=True):
    """One check and its result. amount is worded (`4 rows`), failures is the number. hints: where to look on,
    dbt's compiled SQL and the failing rows."""

    key: str
    name: str
    kind: CheckKind
    type: str
    dimension: str
    status: Status
    amount: str
    failures: float
    message: str
    reason: str
    dataset: str
    column: str
    owner: str
    place: Place | None
    duration_s: float | None
    caused_by: tuple[str, ...]
    command: str
    difference: Difference | None = None
    hints: tuple[Fact, ...] = ()


class Brief(Value, frozen=True, kw_only=True):
    """A check that passed or was reused and has no row, for the dialects that list every check."""

    key: str
    name: str
    dataset: str
    is_reused: bool
    duration_s: float | None


class DatasetRow(Value, frozen=True, kw_only=True):
    """A table: what its own run gave, and its checks by status. score in 0..1."""

    key: str
    name: str
    kind: str
    run: str
    message: str
    broken: bool
    score: float | None
    counts: dict[Status, int]
    owner: str
    place: Place | None
    command: str
    difference: Difference | None = None


class CauseView(Value, frozen=True, kw_only=True):
    """What broke. subject is the name to look for; fact says in a word or two what it did. checks holds the
    first 20 of check_count. followed words what was skipped because of it."""

    level: Level
    subject: str
    fact: str
    title: str
    body: str
    message: str
    dataset: str
    owner: str
    place: Place | None
    checks: tuple[Row, ...]
    check_count: int
    followed: str
    followed_count: int
    command: str
    tag: str = ""  # new, worse or known, against the base; empty where nothing was compared
    hints: tuple[Fact, ...] = ()


class Excused(Value, frozen=True, kw_only=True):
    """A failure that the gate set aside, and a failure still. by: the allowlist's entry, or since when.
    is_consequence: it was skipped because of another."""

    text: str
    excuse: Excuse
    by: str
    is_consequence: bool


class Section(Value, frozen=True, kw_only=True):
    """One document. rows are all checks, worst first; ledger has one entry per kind of check that exists."""

    name: str
    project: str
    source: str
    state: GateState
    tone: Tone
    headline: str
    score: float | None
    score_reason: str
    movement: str
    comparison: Comparison | None
    against: str  # the comparison in a line; empty where there is nothing to say
    extent: str
    why_nothing: str
    facts: tuple[Fact, ...]
    total: LedgerRow
    ledger: tuple[tuple[CheckKind, LedgerRow], ...]
    dimensions: tuple[tuple[str, float | None], ...]
    datasets: tuple[DatasetRow, ...]
    datasets_left: int  # tested ones without a row, all of them good
    causes: tuple[CauseView, ...]
    rows: tuple[Row, ...]  # worst first: all that did not pass, and as many of the others as anybody reads
    passed_left: int  # those that passed and have no row
    passed: tuple[Brief, ...]  # the same, where a dialect asks for them
    warnings: tuple[str, ...]
    run_key: str
    completed_at: str
    tool: str
    receipt: Receipt | None


class View(Value, frozen=True, kw_only=True):
    """All documents under one verdict. state and tone are the worst of the verdict and of the sections,
    which stand worst first."""

    state: GateState
    tone: Tone
    headline: str
    blocks: bool
    reasons: tuple[str, ...]
    total: LedgerRow
    sections: tuple[Section, ...]
    excused: tuple[Excused, ...] = ()
    notices: tuple[str, ...] = ()
    allowed: frozenset[str] = frozenset()  # keys that the allowlist sets aside
    blocking: frozenset[str] = frozenset()  # keys that the gate says no for
