"""A section against its base, in words and numbers, the same in every dialect. Must not compare or judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal

from qalita_action.model import Comparison, Difference, Excuse, Novelty, Status
from qalita_action.report import words
from qalita_action.report.view import DatasetRow, Excused, Row, Section

FAILING: frozenset[Status] = frozenset({"failed", "errored", "unknown"})
_ORDER: tuple[Novelty, ...] = ("new", "known", "fixed", "untested")
_WORD: dict[Novelty, str] = {"untested": "not run this time"}


def tag(differences: Sequence[Difference | None]) -> str:
    """`new`, `worse` or `known`, the gravest of what a cause is made of; empty where nothing was compared."""
    found = [d for d in differences if d is not None]
    if any(d.novelty == "new" for d in found):
        return "new"
    if any(d.is_worse for d in found):
        return "worse"
    return "known" if any(d.novelty == "known" for d in found) else ""


def why_worse(difference: Difference) -> str:
    """Empty where it is not worse."""
    if not difference.is_worse:
        return ""
    changed = difference.definition == "changed" or difference.is_model_changed
    return "the test or the model changed" if changed else "the data got worse"


def sentence(comparison: Comparison | None, *, is_gated: bool) -> str:
    """`main@1a2b3c4, 2026-03-04: 2 new, 3 known (1 worse), 1 fixed`. is_gated: the gate asks what is new."""
    if comparison is None:
        return ""
    match comparison.state:
        case "compared":
            return f"{name(comparison)}: {_counts(comparison)}"
        case "none":
            why = f": {comparison.reason}" if comparison.reason else ""
            return f"what is new is not computed, there is no base{why}" if is_gated else ""
        case "unreadable":
            return f"the base cannot be read, so that nothing counts as known: {comparison.reason}"


def name(comparison: Comparison) -> str:
    base = comparison.base
    if base is None:
        return ""
    commit = f"@{base.sha[:7]}" if base.sha else ""
    lead = f"{base.branch}{commit}" if base.branch else f"{base.where}{commit}"
    return words.listed([lead, (base.completed_at or "")[:10]])


def _counts(comparison: Comparison) -> str:
    tally = Counter(d.novelty for d in comparison.differences.values())
    worse = sum(d.is_worse for d in comparison.differences.values())
    parts = []
    for novelty in _ORDER:
        if tally[novelty]:
            more = f" ({worse:,} worse)" if novelty == "known" and worse else ""
            parts.append(f"{tally[novelty]:,} {_WORD.get(novelty, novelty)}{more}")
    if comparison.removed:
        parts.append(f"{words.plural(len(comparison.removed), 'check')} removed")
    return words.listed(parts) or "nothing is new, and nothing was bad"


def new_failures(section: Section) -> int | None:
    """Failing checks and broken datasets that the base did not have, without what was skipped because of
    them; None where nothing was compared."""
    if section.comparison is None or section.comparison.state != "compared":
        return None
    rows = sum(_is_new(row.difference) for row in section.rows if row.status in FAILING)
    return rows + sum(_is_new(d.difference) for d in section.datasets if d.broken)


def _is_new(difference: Difference | None) -> bool:
    return difference is not None and difference.novelty == "new"


def score_change(section: Section) -> str:
    """Points of a hundred with their sign, one decimal, rounded down, so that no loss is hidden; empty where
    one of the two has no score."""
    base = section.comparison.base if section.comparison else None
    if base is None or base.score is None or section.score is None:
        return ""
    points = (Decimal(repr(section.score)) - Decimal(repr(base.score))) * 100
    return f"{points.quantize(Decimal('0.1'), ROUND_FLOOR):+}"


def removed_and_red(comparison: Comparison | None) -> list[str]:
    """Checks that were bad in the base and are gone: a test that was taken out is no test that passed."""
    return [r.name for r in comparison.removed if r.status_before in FAILING] if comparison else []


def by_excuse(excused: Sequence[Excused]) -> dict[Excuse, list[Excused]]:
    """What the gate set aside, without what was skipped because of it."""
    found: dict[Excuse, list[Excused]] = {}
    for one in excused:
        if not one.is_consequence:
            found.setdefault(one.excuse, []).append(one)
    return found


def told(row: Row | DatasetRow) -> str:
    """`new`, `known since 2026-03-01, the data got worse`, for a line about one check or dataset."""
    d = row.difference
    if d is None or d.novelty not in ("new", "known"):
        return ""
    since = f"known since {d.since[:10]}" if d.since and d.novelty == "known" else d.novelty
    return words.listed([since, why_worse(d)])
