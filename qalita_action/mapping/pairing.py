"""Which check of this run is which of its base. Pure, and the same from either side.

By key; then by alias (the same test under another name); then the same name on the same dataset, or the only
check of its dataset, column and type on both sides: one test whose definition changed, never a new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from qalita_action.model import Check, PastCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

C = TypeVar("C", Check, PastCheck)
Either = Check | PastCheck


def pairs(now: Sequence[Check], before: Sequence[PastCheck]) -> dict[str, PastCheck]:
    """This run's key -> the base's check. Each check of either side is in one pair at most."""
    old = {(c.kind, c.key): c for c in before}
    found = {c.key: match for c in now if (match := old.get((c.kind, c.key)))}
    ours = [c for c in now if c.key not in found]
    theirs = [c for c in before if c.key not in found]
    if not ours or not theirs:  # nearly always, and looking for more costs a large project a second
        return found
    alone_now, alone_before = _alone(now, _slot), _alone(before, _slot)

    def only(check: Either) -> Hashable:
        slot = _slot(check)
        return slot if slot in alone_now and slot in alone_before else None

    taken: set[str] = set()
    for told_by in (lambda c: (c.kind, c.alias), _named, only):
        left = _by(told_by, (c for c in theirs if c.key not in taken))
        for name, checks in _by(told_by, (c for c in ours if c.key not in found)).items():
            for check, match in zip(checks, left.get(name, ()), strict=False):
                found[check.key] = match
                taken.add(match.key)
    return found


def _by(told_by: Callable[[Either], Hashable], checks: Iterable[C]) -> dict[Hashable, list[C]]:
    """In the order of their keys, so that twins are told apart the same way every time."""
    found: dict[Hashable, list[C]] = {}
    for check in checks:
        name = told_by(check)
        if name is not None:
            found.setdefault(name, []).append(check)
    for twins in found.values():
        if len(twins) > 1:
            twins.sort(key=lambda c: c.key)
    return found


def _named(check: Either) -> Hashable:
    return (check.kind, check.dataset, check.name)


def _slot(check: Either) -> Hashable:
    """None for a test of no single dataset: nothing says that two of them are the same."""
    if check.dataset is None:
        return None
    return (check.kind, check.dataset, check.column, check.namespace, check.type)


def _alone(checks: Iterable[Either], told_by: Callable[[Either], Hashable]) -> set[Hashable]:
    counts: dict[Hashable, int] = {}
    for check in checks:
        name = told_by(check)
        counts[name] = counts.get(name, 0) + 1
    return {name for name, count in counts.items() if count == 1 and name is not None}
