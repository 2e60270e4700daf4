"""The last words of the cause of a run that this program started, written and read back: which order it is
of, and whether a change request asked. dbt Cloud knows of no change behind a call of its API. Whoever reads
the run later must not take it for production's.
"""

from __future__ import annotations

import re

_CHANGE = re.compile(r"\[qalita-[0-9a-f]{10}, change(?: ([A-Za-z0-9_.-]{1,40}))?\]$")
_ID = re.compile(r"[A-Za-z0-9_.-]{1,40}")


def last_words(marker: str, *, is_change: bool, change_id: str | None) -> str:
    """marker: qalita- and ten hex digits."""
    if not is_change:
        return f"[{marker}]"
    number = f" {change_id}" if change_id and _ID.fullmatch(change_id) else ""
    return f"[{marker}, change{number}]"


def change_of(cause: str | None) -> tuple[str, str | None] | None:
    """As the other kinds of change: a word, and the number where it is known."""
    found = _CHANGE.search(cause or "")
    return ("change", found[1]) if found else None
