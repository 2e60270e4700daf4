"""Issues: opened by a cause, resolved by evidence. Must not decide whether a run counts: completing does."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from qalita_action.sandbox import tables


def settle(tx: Connection, run: Row[Any], source_id: int, now: str) -> None:
    """Open an issue for each cause of the run, and resolve those that the run shows to be gone."""
    c = tables.issues.c
    known = {row.key: row for row in tx.execute(select(tables.issues).where(c.source_id == source_id))}
    named = tx.execute(select(tables.causes).where(tables.causes.c.run_id == run.id)).all()
    for cause in named:
        _open(tx, run, source_id, cause, known.get(cause.key), now)
    still = {cause.key for cause in named}
    r = tables.results.c
    passed = set(tx.execute(select(r.check).where(r.run_id == run.id, r.status == "passed")).scalars())
    for issue in known.values():
        if issue.status == "open" and issue.key not in still and _is_gone(tx, run, issue, passed):
            gone = {"status": "resolved", "resolved_run": run.key, "resolved_at": run.completed_at}
            tx.execute(update(tables.issues).where(c.id == issue.id).values(**gone, updated_at=now))


def _open(
    tx: Connection, run: Row[Any], source_id: int, cause: Row[Any], issue: Row[Any] | None, now: str
) -> None:
    seen = {name: getattr(cause, name) for name in ("level", "title", "body", "dataset", "checks", "owner")}
    seen |= {"last_seen_run": run.key, "last_seen_at": run.completed_at, "updated_at": now, "status": "open"}
    opened = {"opened_run": run.key, "opened_at": run.completed_at, "resolved_run": None, "resolved_at": None}
    if issue is None:
        first = {"partner": run.partner, "source_id": source_id, "key": cause.key, "created_at": now}
        tx.execute(insert(tables.issues).values(seen | opened | first | {"times_opened": 1}))
        return
    if issue.status != "open":
        seen |= opened | {"times_opened": issue.times_opened + 1}
    tx.execute(update(tables.issues).where(tables.issues.c.id == issue.id).values(seen))


def _is_gone(tx: Connection, run: Row[Any], issue: Row[Any], passed: set[str]) -> bool:
    """Whether the run shows it: all checks of the issue executed and passed. "All of none" shows nothing, so
    an issue without checks needs its dataset built; one without either, a complete run that does not name
    it."""
    if issue.checks:
        return passed.issuperset(issue.checks)
    if issue.dataset is not None:
        d = tables.datasets.c
        built = tx.execute(select(d.run).where(d.run_id == run.id, d.key == issue.dataset)).scalar()
        return built is not None and built["status"] == "passed"
    return bool(run.verdict == "executed" and run.extent == "complete")
