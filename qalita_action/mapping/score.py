"""Scores and ledger: counted over rows, rounded down, None over nothing. Pure.

Data tests and freshness count; unit tests never do, since they check code. 100 % means that all passed.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING

from qalita_action.model import EXECUTED, Ledger, LedgerRow, Scores

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qalita_action.model import Check, Dataset, Policy, Result, Status

_MILLION = 1_000_000

Pairs = tuple[tuple["Check", "Result"], ...]


# How each counted status changes a tally of (passed, warned, total).
_STEP: dict[Status, tuple[int, int]] = {
    "passed": (1, 0),
    "warned": (0, 1),
    "failed": (0, 0),
    "errored": (0, 0),
    "skipped": (0, 0),
}


def _mean(tally: list[int], warn: Fraction) -> float | None:
    """Exact until the last step, and rounded down: a mean of 0.9999999 must not become 1."""
    passed, warned, total = tally
    if not total:
        return None
    points = passed * warn.denominator + warned * warn.numerator
    return points * _MILLION // (total * warn.denominator) / _MILLION


def scores(datasets: Iterable[Dataset], pairs: Pairs, policy: Policy) -> Scores:
    warn = Fraction(policy.warn_score)
    overall = [0, 0, 0]
    by_dimension: dict[str, list[int]] = {}
    by_dataset: dict[str, list[int]] = {}
    by_column: dict[str, list[int]] = {}
    for check, result in pairs:
        step = _STEP.get(result.status)
        if step is None or check.kind == "unit_test":
            continue
        tallies = [overall, by_dimension.setdefault(check.dimension, [0, 0, 0])]
        if check.dataset:
            tallies.append(by_dataset.setdefault(check.dataset, [0, 0, 0]))
            if check.column:
                tallies.append(by_column.setdefault(f"{check.dataset}.{check.column}", [0, 0, 0]))
        passed, warned = step
        for tally in tallies:
            tally[0] += passed
            tally[1] += warned
            tally[2] += 1
    broken = {d.key for d in datasets if d.run and d.run.status in ("errored", "partial")}
    reason = _undecided(pairs, policy.max_undecided) or (None if overall[2] else "no check was executed")
    return Scores(
        overall=None if reason else _mean(overall, warn),
        overall_reason=reason,
        by_dimension={k: _mean(v, warn) for k, v in sorted(by_dimension.items())},
        by_dataset={
            **{k: (None if k in broken else _mean(v, warn)) for k, v in sorted(by_dataset.items())},
            **dict.fromkeys(sorted(broken - by_dataset.keys())),
        },
        by_column={k: _mean(v, warn) for k, v in sorted(by_column.items())},
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
    seen = Counter(
        (c.kind, "vanished" if r.status == "unknown" and r.reason == "vanished" else r.status)
        for c, r in pairs
    )
    rows: dict[str, dict[str, int]] = {k: {} for k in ("data_test", "unit_test", "freshness")}
    for (kind, column), count in seen.items():
        rows[kind][column] = count
    return Ledger(**{kind: _ledger_row(counts) for kind, counts in rows.items()})


def _ledger_row(counts: dict[str, int]) -> LedgerRow:
    executed = sum(counts.get(status, 0) for status in EXECUTED)
    return LedgerRow(expected=sum(counts.values()), executed=executed, **counts)
