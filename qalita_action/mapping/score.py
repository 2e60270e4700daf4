"""Scores and ledger: counted over rows, rounded down, None over nothing. Pure.

Data tests and freshness count; unit tests never do, since they check code. 100 % means that all passed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from qalita_action.model import EXECUTED, Ledger, LedgerRow, Scores

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qalita_action.model import Check, Dataset, Policy, Result, Status

_MILLION = 1_000_000

Pairs = tuple[tuple["Check", "Result"], ...]


# Where a counted status stands in a tally: [passed, warned, neither].
_PLACE: dict[Status, int] = {"passed": 0, "warned": 1, "failed": 2, "errored": 2, "skipped": 2}


def scores(datasets: Iterable[Dataset], pairs: Pairs, counted: Ledger, policy: Policy) -> Scores:
    by_dimension, by_dataset, by_column = _tallies(), _tallies(), _tallies()
    for check, result in pairs:
        place = _PLACE.get(result.status)
        if place is None or check.kind == "unit_test":
            continue
        by_dimension[check.dimension][place] += 1
        if check.dataset:
            by_dataset[check.dataset][place] += 1
            if check.column:
                by_column[f"{check.dataset}.{check.column}"][place] += 1
    overall = [sum(c) for c in zip(*by_dimension.values(), strict=True)] or [0, 0, 0]
    warn = Fraction(policy.warn_score).as_integer_ratio()
    broken = {d.key for d in datasets if d.run and d.run.status in ("errored", "partial")}
    undecided = _undecided(counted.data_test, policy.max_undecided)
    reason = undecided or (None if any(overall) else "no check was executed")
    return Scores(
        overall=None if reason else _mean(*overall, warn),
        overall_reason=reason,
        by_dimension=_means(by_dimension, warn),
        by_dataset={
            **_means(by_dataset, warn),
            **dict.fromkeys(broken & by_dataset.keys()),
            **dict.fromkeys(sorted(broken - by_dataset.keys())),
        },
        by_column=_means(by_column, warn),
    )


def _tallies() -> defaultdict[str, list[int]]:
    return defaultdict([0, 0, 0].copy)


def _means(tallies: dict[str, list[int]], warn: tuple[int, int]) -> dict[str, float | None]:
    return {key: _mean(*tallies[key], warn) for key in sorted(tallies)}


@lru_cache(maxsize=4096)  # most columns of a large project have one of a few tallies
def _mean(passed: int, warned: int, neither: int, warn: tuple[int, int]) -> float | None:
    """Exact until the last step, and rounded down: a mean of 0.9999999 must not become 1."""
    total = passed + warned + neither
    if not total:
        return None
    points, whole = warn
    return (passed * whole + warned * points) * _MILLION // (total * whole) / _MILLION


def _undecided(row: LedgerRow, limit: float) -> str | None:
    """An outage is a gap, neither an alarm nor a green."""
    selected, undecided = row.expected - row.not_run, row.errored + row.skipped
    if not selected or Fraction(undecided, selected) <= Fraction(str(limit)):
        return None
    return f"{undecided} of {selected} data tests errored or were skipped, more than {limit:.0%}"


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
