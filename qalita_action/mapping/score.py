"""Scores and ledger: counted over rows, rounded down, None over nothing. Pure.

Data tests and freshness count; unit tests never do, since they check code. 100 % means that all passed.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from qalita_action.model import Ledger, LedgerRow, Scores

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qalita_action.model import Check, Dataset, Policy, Result, Status

COUNTED: frozenset[Status] = frozenset({"passed", "warned", "failed", "errored", "skipped"})
_MILLION = 1_000_000

Pairs = tuple[tuple["Check", "Result"], ...]


class _Tally:
    """Sum of points and number of checks. Exact: a mean of 0.9999999 must not become 1."""

    __slots__ = ("passed", "total", "warned")

    def __init__(self) -> None:
        self.passed = self.warned = self.total = 0

    def add(self, status: Status) -> None:
        self.total += 1
        self.passed += status == "passed"
        self.warned += status == "warned"

    def mean(self, warn: Fraction) -> float | None:
        if not self.total:
            return None
        points = self.passed * warn.denominator + self.warned * warn.numerator
        return points * _MILLION // (self.total * warn.denominator) / _MILLION


def scores(datasets: Iterable[Dataset], pairs: Pairs, policy: Policy) -> Scores:
    warn = Fraction(policy.warn_score)
    overall = _Tally()
    by_dimension: dict[str, _Tally] = {}
    by_dataset: dict[str, _Tally] = {}
    by_column: dict[str, _Tally] = {}
    for check, result in pairs:
        if check.kind == "unit_test" or result.status not in COUNTED:
            continue
        tallies = [overall, by_dimension.setdefault(check.dimension, _Tally())]
        if check.dataset:
            tallies.append(by_dataset.setdefault(check.dataset, _Tally()))
            if check.column:
                tallies.append(by_column.setdefault(f"{check.dataset}.{check.column}", _Tally()))
        for tally in tallies:
            tally.add(result.status)
    broken = {d.key for d in datasets if d.run and d.run.status in ("errored", "partial")}
    reason = _undecided(pairs, policy.max_undecided) or (None if overall.total else "no check was executed")
    return Scores(
        overall=None if reason else overall.mean(warn),
        overall_reason=reason,
        by_dimension={k: v.mean(warn) for k, v in sorted(by_dimension.items())},
        by_dataset={
            **{k: (None if k in broken else v.mean(warn)) for k, v in sorted(by_dataset.items())},
            **dict.fromkeys(sorted(broken - by_dataset.keys())),
        },
        by_column={k: v.mean(warn) for k, v in sorted(by_column.items())},
    )


def _undecided(pairs: Pairs, limit: float) -> str | None:
    """An outage is a gap, neither an alarm nor a green."""
    selected = [r.status for c, r in pairs if c.kind == "data_test" and r.status != "not_run"]
    undecided = sum(s in ("errored", "skipped") for s in selected)
    if not selected or Fraction(undecided, len(selected)) <= Fraction(str(limit)):
        return None
    return f"{undecided} of {len(selected)} data tests errored or were skipped, more than {limit:.0%}"


def ledger(pairs: Pairs) -> Ledger:
    """What the manifest expects against what ran, by kind. Every check stands in exactly one column."""
    counts: dict[str, dict[str, int]] = {k: {} for k in ("data_test", "unit_test", "freshness")}
    for check, result in pairs:
        row = counts[check.kind]
        row["expected"] = row.get("expected", 0) + 1
        column: Status | Literal["vanished"] = result.status
        if result.status == "unknown" and result.reason == "vanished":
            column = "vanished"
        row[column] = row.get(column, 0) + 1
        if column in ("passed", "warned", "failed", "errored"):
            row["executed"] = row.get("executed", 0) + 1
    return Ledger(**{kind: LedgerRow(**row) for kind, row in counts.items()})
