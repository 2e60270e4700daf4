"""Why a score moved: the checks that changed, in points of a hundred. Pure.

A score is a mean, so each check's change moves it by the same measure; what checks that came or went moved is
one part of its own. Which check is which is `pairing`'s to say.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from qalita_action.mapping.pairing import pairs
from qalita_action.model import Movement, MovementPart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qalita_action.model import Ingest, Past, Status

_POINTS: dict[Status, int] = {"passed": 2, "warned": 1, "failed": 0, "errored": 0, "skipped": 0}  # halves


def movement(before: Past, after: Ingest) -> Movement | None:
    """None where one of the two has no score: a gap does not move."""
    if before.base.score is None or after.scores.overall is None:
        return None
    old = _counted((c.kind, c.key, c.status) for c in before.checks)
    new = _counted((c.kind, c.key, r.status) for c, r in zip(after.checks, after.results, strict=True))
    matched = pairs(after.checks, before.checks)
    names = {c.key: c.name for c in after.checks}
    parts: list[MovementPart] = []
    explained = Fraction(0)
    for key, points in new.items():
        match = matched.get(key)
        if match is None or match.key not in old:
            continue
        moved = Fraction(points - old[match.key], 2 * len(new)) * 100
        if moved:
            explained += moved
            parts.append(MovementPart(what=names[key], points=_rounded(moved)))
    total = _mean(new) - _mean(old)
    if rest := total - explained:
        parts.append(MovementPart(what="checks that came or went", points=_rounded(rest)))
    parts.sort(key=lambda p: (-abs(p.points), p.what))
    return Movement(before=before.base.score, after=after.scores.overall, parts=tuple(parts))


def _counted(rows: Iterable[tuple[str, str, Status]]) -> dict[str, int]:
    return {key: _POINTS[status] for kind, key, status in rows if kind != "unit_test" and status in _POINTS}


def _mean(counted: dict[str, int]) -> Fraction:
    return Fraction(sum(counted.values()), 2 * len(counted)) * 100


def _rounded(points: Fraction) -> float:
    return round(float(points), 1)
