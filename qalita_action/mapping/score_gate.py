"""`--min-score` and `--max-score-drop`: a score that is too low, fell too far, or is not there. Pure.

No score is no pass: where nothing was decided the gate says so, unless dbt's selection matched nothing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from qalita_action.model import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qalita_action.model import Comparison, Gate, Ingest


def reasons(ingest: Ingest, gate: Gate) -> Iterator[Reason]:
    if ingest.run.verdict == "nothing_selected":
        return
    now = _points(ingest.scores.overall)
    if gate.min_score is not None:
        if now is None:
            yield _reason(
                "min-score", ingest, f"there is no score to hold against --min-score: {_why(ingest)}"
            )
        elif now < Decimal(gate.min_score):
            said = f"the score {_shown(now)} is below --min-score {gate.min_score}"
            yield _reason("min-score", ingest, said + _worst(ingest))
    comparison = gate.comparisons.get(ingest.run.key)
    if gate.max_score_drop is not None and comparison is not None:
        yield from _drop(ingest, now, Decimal(gate.max_score_drop), comparison)


def _drop(ingest: Ingest, now: Decimal | None, most: Decimal, comparison: Comparison) -> Iterator[Reason]:
    before = _points(comparison.base.score) if comparison.base else None
    if comparison.state == "unreadable":
        text = f"--max-score-drop cannot be judged, the base cannot be read: {comparison.reason}"
        yield _reason("max-score-drop", ingest, text)
    elif before is not None and now is None:
        text = f"there is no score to hold against the base's {_shown(before)}: {_why(ingest)}"
        yield _reason("max-score-drop", ingest, text)
    elif before is not None and now is not None and before - now > most:
        fell = f"the score fell from {_shown(before)} to {_shown(now)}, more than --max-score-drop {most}"
        yield _reason("max-score-drop", ingest, fell + _worst(ingest))


def _points(score: float | None) -> Decimal | None:
    """In points of a hundred, exactly: the document keeps 6 decimals."""
    return None if score is None else Decimal(repr(score)) * 100


def _shown(points: Decimal) -> str:
    return f"{points:.4f}".rstrip("0").rstrip(".") + " %"


def _why(ingest: Ingest) -> str:
    return ingest.scores.overall_reason or "no data test was decided"


def _worst(ingest: Ingest) -> str:
    return f"; worst: {ingest.causes[0].title}" if ingest.causes else ""


def _reason(code: str, ingest: Ingest, text: str) -> Reason:
    return Reason(code=code, subject=None, text=f"{ingest.source.name}: {text}")
