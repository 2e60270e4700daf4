"""The time that a piece of work may take in all, retries and waiting included. Must not sleep."""

from __future__ import annotations

import time


class Budget:
    """Counts down from `seconds` on the monotonic clock, from the moment it is made."""

    __slots__ = ("_end", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, never below zero."""
        return max(0.0, self._end - time.monotonic())

    def stop(self) -> None:
        """Spend what is left: whoever shares the budget begins nothing more."""
        self._end = 0.0

    @property
    def is_spent(self) -> bool:
        return self.left() <= 0.0
