"""The allowlist against the run: which failures an entry stands for, and which entries want a person's look.
Pure: today is a value.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from qalita_action.mapping.selectors import selected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qalita_action.model import Allowance, Ingest

WARN_DAYS = 14


def label(entry: Allowance) -> str:
    """`test.shop.x until 2026-03-01: known bug (ana@example.com)`."""
    return f"{entry.check or entry.selector} {terms(entry)}"


def terms(entry: Allowance) -> str:
    who = f" ({entry.owner})" if entry.owner else ""
    why = f": {entry.reason}" if entry.reason else ""
    return f"until {entry.expires}{why}{who}"


class Allowances:
    """The entries of one call, with what each stands for. An entry holds to the end of its day, in UTC."""

    def __init__(self, entries: Sequence[Allowance], ingests: Sequence[Ingest], today: date | None) -> None:
        self._today = today or date.min
        self._valid: dict[str, Allowance] = {}
        self._expired: dict[str, Allowance] = {}
        self.notices: tuple[str, ...] = ()
        if not entries:
            return
        named, good = _index(ingests)
        notices: list[str] = []
        for entry in entries:
            subjects = self._subjects(entry, ingests, named)
            is_over = date.fromisoformat(entry.expires) < self._today
            for subject in subjects:
                (self._expired if is_over else self._valid).setdefault(subject, entry)
            notices += self._notices(entry, subjects, good, is_over=is_over)
        self.notices = tuple(notices)

    def of(self, subject: str) -> Allowance | None:
        return self._valid.get(subject)

    def expired(self, subject: str) -> Allowance | None:
        return None if subject in self._valid else self._expired.get(subject)

    @staticmethod
    def _subjects(entry: Allowance, ingests: Sequence[Ingest], named: dict[str, list[str]]) -> list[str]:
        if entry.check:
            return named.get(entry.check, [])
        found: list[str] = []
        for ingest in ingests:
            datasets = {d.key: d for d in ingest.datasets}
            found += [c.key for c in selected(entry.selector or "", ingest.checks, datasets)]
        return found

    def _notices(
        self, entry: Allowance, subjects: list[str], good: frozenset[str], *, is_over: bool
    ) -> list[str]:
        left = (date.fromisoformat(entry.expires) - self._today).days
        if not subjects:
            return [f"allowed: {label(entry)}: matches nothing"]
        if good.issuperset(subjects):
            return [f"allowed: {label(entry)}: passes again, the entry can go"]
        if is_over:
            return [f"allowed: {label(entry)}: expired"]
        if left <= WARN_DAYS:
            when = "today" if left == 0 else f"in {left} {'day' if left == 1 else 'days'}"
            return [f"allowed: {label(entry)}: expires {when}"]
        return []


def _index(ingests: Sequence[Ingest]) -> tuple[dict[str, list[str]], frozenset[str]]:
    """Keys and names -> keys of checks and of datasets; and the keys of what passed."""
    named: dict[str, list[str]] = {}
    good: set[str] = set()
    bad: set[str] = set()
    for ingest in ingests:
        for check, result in zip(ingest.checks, ingest.results, strict=True):
            for name in {check.key, check.name}:
                named.setdefault(name, []).append(check.key)
            (good if result.status == "passed" else bad).add(check.key)
        for dataset in ingest.datasets:
            if dataset.run is None or dataset.kind == "source":
                continue
            for name in {dataset.key, dataset.name}:
                named.setdefault(name, []).append(dataset.key)
            (good if dataset.run.status == "passed" else bad).add(dataset.key)
    return named, frozenset(good - bad)
