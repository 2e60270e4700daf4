"""Completing a run, in one transaction: all batches are there, references hold, the source is there, issues
are opened and resolved, the scoring job is queued, and only then the run is visible. Computes no score."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Table, bindparam, delete, insert, select, tuple_, update

from qalita_action.sandbox import issues, tables
from qalita_action.sandbox.documents import KINDS, Kind
from qalita_action.sandbox.intake import Answer, Write
from qalita_action.sandbox.problems import Problem
from qalita_action.sandbox.writing import rejection, run_row


def complete(tx: Connection, write: Write, *, base: str, now: str) -> Answer:
    """202 the first time, 200 afterwards. Raises Problem run-unknown, batches-missing."""
    run = run_row(tx, write.account.partner, write.run_key)
    if run is None:
        raise Problem("run-unknown")
    url = f"{base}/runs/{run.id}"
    if run.state == "complete":
        return Answer(200, {"job": str(run.job_id), "url": url, "rejected": run.rejected or []})
    missing = missing_batches(tx, run)
    if missing:
        raise Problem("batches-missing", missing=missing)
    rejected = _checked(tx, run.id)
    source_id = _source(tx, run, now)
    job = tx.execute(
        insert(tables.jobs),
        {
            "partner": run.partner,
            "account_id": run.account_id,
            "kind": "scoring",
            "type": "scoring",
            "status": "pending",
            "name": f"score {run.source['name']} after run {run.key}",
            "source_id": source_id,
            "run_id": run.id,
            "created_at": now,
            "updated_at": now,
        },
    ).inserted_primary_key
    job_id = job[0] if job else None
    tx.execute(
        update(tables.runs).where(tables.runs.c.id == bindparam("of")),
        {
            "of": run.id,
            "state": "complete",
            "source_id": source_id,
            "recorded_at": now,
            "rejected": rejected,
            "job_id": job_id,
        },
    )
    if run.extent != "partial" and not run.is_change:
        issues.settle(tx, run, source_id, now)
    return Answer(202, {"job": str(job_id), "url": url, "rejected": rejected})


def received_batches(tx: Connection, run_id: int) -> dict[Kind, list[int]]:
    c = tables.batches.c
    out: dict[Kind, list[int]] = {kind: [] for kind in KINDS}
    for kind, n in tx.execute(select(c.kind, c.n).where(c.run_id == run_id).order_by(c.n)):
        out[kind].append(n)
    return out


def missing_batches(tx: Connection, run: Row[Any]) -> dict[Kind, list[int]]:
    """The numbers that never came, by kind; kinds that are whole are left out."""
    received = received_batches(tx, run.id)
    gaps = {kind: sorted(set(range(run.expected[kind])) - set(received[kind])) for kind in KINDS}
    return {kind: numbers for kind, numbers in gaps.items() if numbers}


# ---------------------------------------------------------------- references


def _checked(tx: Connection, run_id: int) -> list[dict[str, Any]]:
    """Drop what points nowhere, in the order in which one loss causes the next, and tell of a check without
    a result: it stays, and nobody can take it for a pass."""
    d, k, r = tables.datasets.c, tables.checks.c, tables.results.c
    known = set(tx.execute(select(d.key).where(d.run_id == run_id)).scalars())
    found = tx.execute(select(k.key, k.dataset).where(k.run_id == run_id).order_by(k.batch, k.position))
    lost = {key: dataset for key, dataset in found if dataset is not None and dataset not in known}
    _drop(tx, tables.checks, "key", run_id, list(lost))
    rejected = [
        rejection("checks", key, "dataset-unknown", f"No dataset {dataset} in this run.")
        for key, dataset in lost.items()
    ]
    checks = list(tx.execute(select(k.key).where(k.run_id == run_id).order_by(k.batch, k.position)).scalars())
    held = set(checks)
    results = set(tx.execute(select(r.check).where(r.run_id == run_id)).scalars())
    homeless = sorted(results - held)
    _drop(tx, tables.results, "check", run_id, homeless)
    rejected += [rejection("results", key, "check-unknown", "No such check in this run.") for key in homeless]
    rejected += [
        rejection("checks", key, "result-missing", "The check has no result.")
        for key in checks
        if key not in results
    ]
    c = tables.causes.c
    named = tx.execute(select(c.key, c.checks).where(c.run_id == run_id).order_by(c.batch, c.position)).all()
    wrong = {key: [name for name in names if name not in held] for key, names in named}
    wrong = {key: names for key, names in wrong.items() if names}
    _drop(tx, tables.causes, "key", run_id, list(wrong))
    return rejected + [
        rejection("causes", key, "check-unknown", f"No check {names[0]} in this run.")
        for key, names in wrong.items()
    ]


def _drop(tx: Connection, table: Table, column: str, run_id: int, keys: list[str]) -> None:
    for start in range(0, len(keys), 1000):
        part = keys[start : start + 1000]
        tx.execute(delete(table).where(table.c.run_id == run_id, table.c[column].in_(part)))


# ---------------------------------------------------------------- source and order


def _source(tx: Connection, run: Row[Any], now: str) -> int:
    """The source of this name and type, made now if it is new: without a complete run it is invisible. It is
    described as its newest run does."""
    c = tables.sources.c
    document = run.source
    found = tx.execute(
        select(c.id)
        .where(c.partner == run.partner, c.name == document["name"], c.type == document["type"])
        .order_by(c.id)
    ).scalar()
    names = ("project", "environment", "suite", "adapter", "description", "visibility")
    values = {name: document[name] for name in names} | {"updated_at": now}
    if found is not None:
        if _is_newest(tx, run, found):
            tx.execute(update(tables.sources).where(c.id == bindparam("of")), values | {"of": found})
        return int(found)
    values |= {"name": document["name"], "type": document["type"], "partner": run.partner}
    values |= {"owner_id": run.account_id, "created_at": now}
    new = tx.execute(insert(tables.sources).values(values)).inserted_primary_key
    return int(new[0]) if new else 0


def _is_newest(tx: Connection, run: Row[Any], source_id: int) -> bool:
    """By the run's own time, never by arrival; the key decides between equals, so that order never does."""
    c = tables.runs.c
    newer = select(c.id).where(
        c.source_id == source_id, tuple_(c.completed_us, c.key) > tuple_(run.completed_us, run.key)
    )
    return tx.execute(newer.limit(1)).first() is None
