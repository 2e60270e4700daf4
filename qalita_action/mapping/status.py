"""dbt's word to the document's status: the contract's table. Pure. Words are compared case-folded.

An unknown word is `unknown`, never a pass; `success` on a test never reaches this module (it was compiled).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qalita_action.mapping import masking
from qalita_action.model import EXECUTED, DatasetRun, Result, RunStatus, Status

if TYPE_CHECKING:
    from qalita_action.dbt.shapes import FreshnessRow, Node, Row, Timing

TEST_WORDS: dict[str, Status] = {
    "pass": "passed",
    "warn": "warned",
    "fail": "failed",
    "error": "errored",
    "runtime error": "errored",
    "skipped": "skipped",
    "reused": "reused",
}
FRESHNESS_WORDS: dict[str, Status] = {
    "pass": "passed",
    "warn": "warned",
    "error": "failed",  # the data is too old
    "runtime error": "errored",  # its query failed
    "skipped": "skipped",
}
# no-op (exposures, saved queries) built nothing: no outcome.
NODE_WORDS: dict[str, RunStatus | None] = {
    "success": "passed",
    "warn": "passed",  # 2.x: built, with a warning
    "reused": "passed",
    "error": "errored",
    "fail": "errored",
    "runtime error": "errored",
    "partial success": "partial",
    "skipped": "skipped",
    "no-op": None,
}
STATICALLY_CHECKED = "statically checked"  # 2.x: a pass that never ran
FAIL_FAST = "skipping due to fail_fast"


def test_result(key: str, row: Row, *, completed_at: str | None, send_messages: bool) -> Result:
    """completed_at: of the run, for a row that tells no time of its own."""
    word, said = row.status, row.message
    status = TEST_WORDS.get(word or "") or TEST_WORDS.get(_word(word), "unknown")
    reason = None
    if status == "passed" and said and _word(said) == STATICALLY_CHECKED:
        status, reason = "reused", "statically-checked"
    elif status == "unknown":
        reason = f"dbt said {_word(word)[:40]!r}" if _word(word) else "dbt said nothing"
    elif status == "skipped" and _word(said) == FAIL_FAST:
        reason = "fail_fast"
    if status not in EXECUTED:
        return Result(
            check=key, status=status, reason=reason, message=masking.message(said, send=send_messages)
        )
    seconds = duration(row.execution_time)
    return Result(
        check=key,
        status=status,
        failures=number(row.failures),
        message=masking.message(said, send=send_messages),
        executed_at=(utc(row.timing[-1].completed_at) if row.timing else None)
        or (completed_at if seconds is not None else None),
        duration_s=seconds,
    )


def _word(text: str | None) -> str:
    return text.strip().casefold() if text else ""


def freshness_result(key: str, row: FreshnessRow, *, send_messages: bool) -> Result:
    word = (row.status or "").strip().casefold()
    status = FRESHNESS_WORDS.get(word, "unknown")
    if status == "failed" and (row.error or not row.max_loaded_at):
        status = "errored"
    error = row.error if isinstance(row.error, str) else None
    ran = status in ("passed", "warned", "failed", "errored")
    return Result(
        check=key,
        status=status,
        reason=None if status != "unknown" else f"dbt said {word[:40]!r}",
        failures=None,
        message=masking.message(error, send=send_messages),
        executed_at=(utc(row.snapshotted_at) or _completed(row.timing)) if ran else None,
        duration_s=duration(row.execution_time) if ran else None,
    )


def node_run(node: Node, row: Row, *, send_messages: bool) -> DatasetRun | None:
    """How the building of a model, seed, snapshot... went; None where nothing was built."""
    word = (row.status or "").strip().casefold()
    ephemeral = node.settings.materialized == "ephemeral"
    if word == "skipped" and ephemeral:
        return None  # 2.x lists them so, and nothing is wrong
    if word not in NODE_WORDS:
        return DatasetRun(status="errored", message=f"dbt said {word[:40]!r}, which is no known status")
    status = NODE_WORDS[word]
    if status is None:
        return None
    return DatasetRun(
        status=status,
        duration_s=duration(row.execution_time) if status != "skipped" else None,
        message=masking.message(row.message, send=send_messages),
    )


def number(value: Any) -> int | float | None:
    """A count, or the value of a fail_calc that averages; None where it is no number."""
    if value is None or type(value) is int:
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    return None


def duration(value: Any) -> float | None:
    """Seconds with 6 decimals."""
    seconds = value if type(value) is float and math.isfinite(value) else number(value)
    return None if seconds is None else round(float(seconds), 6)


def utc(text: str | None) -> str | None:
    """Dbt's UTC times, all with a `Z`."""
    if not text:
        return None
    return text[:-6] + "Z" if text.endswith("+00:00") else text


def _completed(timing: list[Timing] | None) -> str | None:
    return utc(timing[-1].completed_at) if timing else None
