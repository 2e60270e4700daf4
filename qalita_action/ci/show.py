"""The context for people (a table) and for programs (a document). Must not decide anything."""

from __future__ import annotations

from typing import Any

import msgspec

from qalita_action.model import SCHEMA_VERSION, CIContext


def _values(context: CIContext) -> dict[str, Any]:
    """Every field of run.git and run.ci by its name; no name is in both."""
    return {**msgspec.to_builtins(context.git), **msgspec.to_builtins(context.ci)}


def rows(context: CIContext) -> list[tuple[str, str, str]]:
    """(field, value, source) in the order of the document; unknown is an empty text. The last two rows are
    what follows from the fields and have no source of their own."""
    table = [
        (name, _text(value), context.sources.get(name) or "") for name, value in _values(context).items()
    ]
    return [
        *table,
        ("environment", _text(context.environment), ""),
        ("is_change", _text(context.is_change), ""),
    ]


def to_document(context: CIContext) -> dict[str, Any]:
    """What `qalita-ingest context --output json` prints: `{schemaVersion, fields: {name: {value, source}},
    orchestrator, warnings: [{code, text}]}`."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        "fields": {
            name: {"value": value, "source": context.sources.get(name)}
            for name, value in _values(context).items()
        },
        "orchestrator": msgspec.to_builtins(context.orchestrator),
        "warnings": [msgspec.to_builtins(warning) for warning in context.warnings],
    }


def _text(value: str | int | bool | None) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)
