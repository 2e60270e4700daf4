"""Why a score moved: the checks that changed, in points of a hundred. Pure.

A score is a mean, so each check's change moves it by the same measure; what checks that came or went moved is
one part of its own. Checks are matched by key, then by alias (the same test under another name).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from qalita_action.model import Movement, MovementPart

if TYPE_CHECKING:
    from qalita_action.model import Check, Ingest, Status

_POINTS: dict[Status, int] = {"passed": 2, "warned": 1, "failed": 0, "errored": 0, "skipped": 0}  # halves


def movement(before: Ingest, after: Ingest) -> Movement | None:
    """None where one of the two has no score: a gap does not move."""
    if before.scores.overall is None or after.scores.overall is None:
        return None
    old, new = _counted(before), _counted(after)
    by_alias = {check.alias: key for key, (check, _) in old.items()}
    parts: list[MovementPart] = []
    explained = Fraction(0)
    for key, (check, points) in new.items():
        match = key if key in old else by_alias.get(check.alias)
        if match is None:
            continue
        moved = Fraction(points - old[match][1], 2 * len(new)) * 100
        if moved:
            explained += moved
            parts.append(MovementPart(what=check.name, points=_rounded(moved)))
    total = _mean(new) - _mean(old)
    if rest := total - explained:
        parts.append(MovementPart(what="checks that came or went", points=_rounded(rest)))
    parts.sort(key=lambda p: (-abs(p.points), p.what))
    return Movement(before=before.scores.overall, after=after.scores.overall, parts=tuple(parts))


def _counted(ingest: Ingest) -> dict[str, tuple[Check, int]]:
    return {
        f"{check.kind} {check.key}": (check, _POINTS[result.status])
        for check, result in zip(ingest.checks, ingest.results, strict=True)
        if check.kind != "unit_test" and result.status in _POINTS
    }


def _mean(counted: dict[str, tuple[Check, int]]) -> Fraction:
    return Fraction(sum(points for _, points in counted.values()), 2 * len(counted)) * 100


def _rounded(points: Fraction) -> float:
    return round(float(points), 1)
