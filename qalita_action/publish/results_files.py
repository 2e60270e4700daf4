"""A document as the platform's own files: metrics, recommendations, schemas, figures. Pure: plain JSON values
in, plain JSON values out, the same for the same document.

Formats: QALITA's result files. A metric is known by its key and scope, so neither holds a commit, a run or a
date. Fractions are text with at most 4 decimals, rounded down: 1.0 means that everything passed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from qalita_action.model import Cause, Check, Ingest, Result, Status
from qalita_action.publish.results_figures import figures
from qalita_action.publish.results_scopes import Json, Scopes, ScoresSent, coverage_of, fraction, scores_sent

Pairs = list[tuple[Check, Result]]
Detail = Literal["source", "table", "column", "check"]
COUNTED: dict[Status, str] = {
    status: f"tests_{status}" for status in ("passed", "warned", "failed", "errored", "skipped", "not_run")
}


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """The four files, each a JSON value."""

    metrics: list[Json]
    recommendations: list[Json]
    schemas: list[Json]
    figures: Json


def files(ingest: Ingest, *, detail: Detail = "column") -> Files:
    """Everything of one document that the results API takes."""
    sent = scores_sent(ingest)
    scopes = Scopes(ingest)
    pairs = _pairs(ingest)
    found = _metrics(ingest, pairs, scopes, detail, sent)
    named = {key for cause in ingest.causes for key in cause.checks}
    by_key = {check.key: (check, result) for check, result in pairs if check.key in named}
    advice = [_recommendation(cause, by_key, ingest, scopes) for cause in ingest.causes]
    return Files(
        metrics=found,
        recommendations=advice,
        # The platform draws a source's tree from these alone: every table and column that a row names.
        schemas=[_metric(scope["perimeter"], scope["value"], scope) for scope in scopes.asked_for()],
        figures=figures(ingest, scopes, sent),
    )


# ---------------------------------------------------------------- metrics


def _metrics(ingest: Ingest, pairs: Pairs, scopes: Scopes, detail: Detail, sent: ScoresSent) -> list[Json]:
    found = _of_source(ingest, pairs, scopes.source, sent)
    if detail != "source":
        found += _of_tables(ingest, pairs, scopes, sent)
    if detail in ("column", "check") and sent.of_tables:
        found += _of_columns(ingest, scopes)
    if detail == "check":
        found += _of_checks(pairs, scopes)
    return found


def _pairs(ingest: Ingest) -> Pairs:
    return list(zip(ingest.checks, ingest.results, strict=True))


def _of_source(ingest: Ingest, pairs: Pairs, scope: Json, sent: ScoresSent) -> list[Json]:
    found: list[Json] = []
    scores = ingest.scores
    if sent.of_source and scores.overall is not None:
        found.append(_metric("score", fraction(scores.overall), scope))
    found += _tallies(Counter(result.status for _, result in pairs), scope)
    coverage = coverage_of(ingest)
    if coverage is not None:
        found.append(_metric("coverage", fraction(coverage), scope))
    if sent.of_source:
        found += [
            _metric(f"score_{_snake(name)}", fraction(score), scope)
            for name, score in sorted(scores.by_dimension.items())
            if score is not None
        ]
    return found


def _of_tables(ingest: Ingest, pairs: Pairs, scopes: Scopes, sent: ScoresSent) -> list[Json]:
    by_table: dict[str, dict[Status, int]] = {}
    for (dataset, status), count in Counter((c.dataset, r.status) for c, r in pairs).items():
        if dataset in scopes.names:
            by_table.setdefault(dataset or "", {})[status] = count
    found: list[Json] = []
    for key, mine in by_table.items():
        scope = scopes.table(scopes.names[key])
        score = ingest.scores.by_dataset.get(key)
        if sent.of_tables and score is not None:
            found.append(_metric("score", fraction(score), scope))
        found += _tallies(mine, scope)
    return found


def _of_columns(ingest: Ingest, scopes: Scopes) -> list[Json]:
    tested = {f"{c.dataset}.{c.column}": c for c in ingest.checks if c.column and c.dataset in scopes.names}
    return [
        _metric("score", fraction(score), scopes.of(check.dataset, check.column))
        for key, score in ingest.scores.by_column.items()
        if score is not None and (check := tested.get(key))
    ]


def _of_checks(pairs: Pairs, scopes: Scopes) -> list[Json]:
    """Failures of each check where not zero. Two checks that share an identity share a metric: the worse."""
    worst: dict[tuple[str, str], Json] = {}
    for check, result in pairs:
        if not result.failures:
            continue
        is_plain = not check.arguments and check.where is None and check.type != "singular"
        name = _snake(check.type)
        key = f"{name}_failures" if is_plain else f"{name}_failures_{check.alias[:8]}"
        row = _metric(key, result.failures, scopes.of(check.dataset, check.column))
        place = (key, str(row["scope"]["value"]))
        if place not in worst or worst[place]["value"] < result.failures:
            worst[place] = row
    return list(worst.values())


def _tallies(counts: Mapping[Status, int], scope: Json) -> list[Json]:
    found = [_metric("tests_total", sum(counts.values()), scope)]
    found += [{"key": key, "value": counts.get(status, 0), "scope": scope} for status, key in COUNTED.items()]
    return found


def _metric(key: str, value: Any, scope: Json) -> Json:
    return {"key": key, "value": value, "scope": scope}


def _snake(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "other"


# ---------------------------------------------------------------- recommendations


def _recommendation(
    cause: Cause, by_key: dict[str, tuple[Check, Result]], ingest: Ingest, scopes: Scopes
) -> Json:
    named = [by_key[key] for key in cause.checks if key in by_key]
    columns = {check.column for check, _ in named}
    column = next(iter(columns)) if len(columns) == 1 else None
    return {
        "content": "\n".join(_told(cause, named, ingest)),
        "type": _type(named),
        "level": cause.level,
        "scope": scopes.of(cause.dataset, column),
    }


def _told(cause: Cause, named: Pairs, ingest: Ingest) -> list[str]:
    lines = [cause.title]
    if cause.body and cause.body != cause.title:
        lines.append(cause.body)
    if cause.consequences:
        lines.append(f"Skipped because of it: {len(cause.consequences)}")
    if cause.owner:
        lines.append(f"Owner: {cause.owner}")
    place = next((check for check, _ in named if check.path), None)
    if place is not None:
        lines.append(f"File: {place.path}" + (f":{place.line}" if place.line else ""))
    link = ingest.run.ci.job_url or ingest.run.ci.pipeline_url
    if link:
        lines.append(f"CI: {link}")
    return lines


def _type(named: Pairs) -> str:
    statuses = {result.status for _, result in named}
    for status, words in (
        ("failed", "dbt test failed"),
        ("errored", "dbt test not evaluated"),
        ("warned", "dbt test warned"),
        ("not_run", "dbt test not run"),
    ):
        if status in statuses:
            return words
    return "dbt test not evaluated" if named else "dbt build failed"
