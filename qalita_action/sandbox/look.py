"""How values look on a page: scores, times, and a course of scores as the path of a small line. Pure; makes
no markup."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

WIDTH = 240.0
HEIGHT = 44.0
_PAD = 4.0


class Course(msgspec.Struct, frozen=True):
    """A sparkline: its line (a path, broken where a score is missing), its points, and the last one."""

    line: str
    points: tuple[tuple[float, float], ...]
    last: tuple[float, float] | None
    width: float = WIDTH
    height: float = HEIGHT


def percent(score: float | None) -> str:
    """Rounded down, so that 100 % means that all passed."""
    if score is None:
        return "no score"
    tenths = math.floor(round(score * 1000, 6))
    return f"{tenths // 10}.{tenths % 10} %" if tenths % 10 else f"{tenths // 10} %"


def grade(score: float | None) -> str:
    """The colour's name. No score is a gap: neither good nor bad."""
    if score is None:
        return "gap"
    return "good" if score >= 1 else "fair" if score >= 0.9 else "poor"


def when(time: str | None) -> str:
    """An RFC 3339 time in UTC for people, to the minute."""
    return "unknown time" if time is None else f"{time[:10]} {time[11:16]}Z"


def short(text: str | None, length: int = 8) -> str:
    return "" if text is None else text[:length]


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def failures(number: float | None) -> str:
    """Failing rows; a fraction where the test averages."""
    if number is None:
        return ""
    return f"{int(number):,}" if number == int(number) else f"{number:,.4g}"


def place(scope: Any) -> str:
    """A metric's scope in words; clients may send any JSON."""
    if isinstance(scope, dict):
        return " ".join(str(scope[name]) for name in ("perimeter", "value") if name in scope)
    return "" if scope is None else str(scope)


def course(scores: Sequence[float | None]) -> Course:
    """The line through the scores, oldest first, on a scale that shows the smallest dip: from a little under
    the lowest score to 1."""
    known = [score for score in scores if score is not None]
    low = min(known, default=0.0)
    floor = max(0.0, min(low - 0.02, 0.9))
    step = (WIDTH - 2 * _PAD) / max(1, len(scores) - 1)
    start = _PAD if len(scores) > 1 else WIDTH - _PAD  # now is at the right
    line: list[str] = []
    points: list[tuple[float, float]] = []
    is_drawing = False
    for index, score in enumerate(scores):
        if score is None:
            is_drawing = False
            continue
        x = round(start + index * step, 1)
        y = round(_PAD + (1 - (score - floor) / (1 - floor)) * (HEIGHT - 2 * _PAD), 1)
        line.append(f"{'L' if is_drawing else 'M'}{x} {y}")
        points.append((x, y))
        is_drawing = True
    return Course(" ".join(line), tuple(points), points[-1] if points else None)
