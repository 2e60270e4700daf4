"""What leaves: messages, arguments and SQL with the data taken out. Pure.

dbt's messages may hold SQL text and values of the warehouse; a test's arguments hold the values that it
accepts. Numbers, names and references stay, everything else is counted and withheld.
"""

from __future__ import annotations

import re
from typing import Any

# dbt's own templates: dbt-core `Got N results, configured to fail if !=0`, 2.x words, adapter answers.
_TEMPLATES = re.compile(
    r"Got -?[\d.]+ results?, configured to (?:warn|fail) if\s*(?:not )?(?:[<>!=]{1,2}|between)?"
    r"\s*-?\d+(?:\.\d+)?(?: and -?\d+(?:\.\d+)?)?"
    r"|Pass|Warn|Error|ERROR|OK|Succeeded|Success|SUCCESS|Skipped|Skipped due to upstream failure"
    r"|Skipping due to fail_fast|Statically checked|Compilation Error|NO-OP"
    r"|PARTIAL SUCCESS \(\d+/\d+\)|(?:SELECT|INSERT|UPDATE|DELETE|MERGE)(?: \d+){0,2}"
    r"|(?:CREATE (?:TABLE|VIEW)|SUCCESS)(?: \([\d.]+[kKMGm]? rows(?:, [\d.]+ [A-Za-z]+ processed)?\))?"
)
_REFERENCE = re.compile(
    r"\s*(?:\{\{\s*)?(?:get_where_subquery\()?(?:ref|source)\([^{}()]*\)\)?\s*(?:\}\})?\s*"
)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_.$]*")
# Arguments whose strings are names of columns, models or units, never data.
_NAMES = re.compile(
    r"(?:^|_)(?:columns?|fields?|model|models|table|relation|datepart|interval)(?:_|$)|_columns?$"
)


def message(text: str | None, *, send: bool) -> str | None:
    """Dbt's template with its numbers, or the count of what is withheld."""
    if text is None or send or _TEMPLATES.fullmatch(text.strip()):
        return text
    return f"<database error, {len(text)} characters withheld>"


def sql(text: str | None, *, send: bool) -> str | None:
    if text is None or send:
        return text
    return f"<SQL, {len(text)} characters withheld>"


def arguments(kwargs: dict[str, Any]) -> dict[str, Any]:
    """A test's arguments without its tested model and column, literals replaced by {"literals": count}."""
    told_elsewhere = ("model" in kwargs) + ("column_name" in kwargs)
    if len(kwargs) == told_elsewhere:
        return {}
    return {
        key: _value(value, is_name=bool(_NAMES.search(key)))
        for key, value in sorted(kwargs.items())
        if key not in ("model", "column_name")
    }


def _value(value: Any, *, is_name: bool) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            named = is_name and _IDENTIFIER.fullmatch(value.strip('"`[]'))
            return value if named or _REFERENCE.fullmatch(value) else {"literals": 1}
        case list():
            kept = [_value(v, is_name=is_name) for v in value]
            literals = sum(_literals(k) for k in kept)
            return {"literals": literals} if literals else kept
        case dict():
            # Keys of a nested mapping may be data (a CASE of values): count them all.
            return {"literals": len(value)} if value else {}
        case _:
            return {"literals": 1}


def _literals(kept: Any) -> int:
    return kept["literals"] if isinstance(kept, dict) and "literals" in kept else 0
