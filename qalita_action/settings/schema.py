"""The JSON Schema of qalita.yml, from the settings themselves."""

from __future__ import annotations

import json
from typing import Any

from qalita_action.knobs import LISTS, NOT_FROM_FILE, ONE_RUN
from qalita_action.model import DIMENSIONS
from qalita_action.settings.fields import Settings


def json_schema() -> str:
    """The JSON Schema of qalita.yml: everything but endpoint, token, TLS and facts of one run."""
    schema = Settings.model_json_schema()
    properties = {}
    for name, rule in sorted(schema["properties"].items()):
        if name in NOT_FROM_FILE | ONE_RUN:
            continue
        kept = {k: v for k, v in rule.items() if k != "title"}
        if name in LISTS:
            several: list[dict[str, Any]] = [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}},
            ]
            if name == "dimensions":
                several.append({"type": "object", "additionalProperties": {"enum": list(DIMENSIONS)}})
            kept["anyOf"] = several
            del kept["type"], kept["items"]
        properties[name.replace("_", "-")] = kept
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://raw.githubusercontent.com/qalita/dbt-ingest/main/docs/qalita.schema.json",
        "title": "qalita.yml: settings of qalita/dbt-ingest, beside dbt_project.yml",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
