"""figures.json: tests by status, score by dimension and by table. Aggregates only. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Any

from qalita_action.model import Ingest, Status
from qalita_action.publish.results_scopes import Json, Scopes, ScoresSent, fraction

MAX_FIGURE_ROWS = 5000
# The platform colours pass and fail; the others are dbt's words.
FIGURE_WORDS: dict[Status, str] = {
    "passed": "pass",
    "warned": "warn",
    "failed": "fail",
    "errored": "error",
    "skipped": "skipped",
    "reused": "reused",
    "not_run": "not run",
    "unknown": "unknown",
}


def figures(ingest: Ingest, scopes: Scopes, sent: ScoresSent) -> Json:
    statuses = Counter(result.status for result in ingest.results)
    made = [
        _figure(
            "tests_by_status",
            "composition",
            "dbt tests by status",
            "status",
            "tests",
            [[word, statuses[status]] for status, word in FIGURE_WORDS.items() if statuses[status]],
            scopes.source,
        )
    ]
    if sent.of_source:
        rows = [
            [k, float(fraction(v))] for k, v in sorted(ingest.scores.by_dimension.items()) if v is not None
        ]
        made.append(
            _figure(
                "score_by_dimension",
                "breakdown",
                "Score by dimension",
                "dimension",
                "score",
                rows,
                scopes.source,
            )
        )
    if sent.of_tables:
        scores = {scopes.names[k]: v for k, v in ingest.scores.by_dataset.items() if k in scopes.names}
        rows = [[k, float(fraction(v))] for k, v in sorted(scores.items()) if v is not None]
        made.append(
            _figure("score_by_table", "breakdown", "Score by table", "table", "score", rows, scopes.source)
        )
    return {
        "version": 1,
        "measures": {
            "score": {"unit": "ratio", "direction": "higher_is_better", "target": 1.0},
            "tests": {"unit": "count"},
        },
        "figures": [figure for figure in made if figure["rows"]],
    }


def _figure(
    key: str, intent: str, title: str, dim: str, measure: str, rows: list[list[Any]], scope: Json
) -> Json:
    return {
        "key": key,
        "intent": intent,
        "of": "score",
        "scope": scope,
        "title": title,
        "dims": [{"name": dim, "type": "nominal"}],
        "measures": [measure],
        "rows": rows[:MAX_FIGURE_ROWS],
        "truncated": len(rows) > MAX_FIGURE_ROWS,
    }
