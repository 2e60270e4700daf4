"""The scoring worker: a thread that executes the jobs which complete runs queue. It keeps a source's score
over time from what clients computed, and recomputes nothing."""

from __future__ import annotations

import logging
import threading

from sqlalchemy import Connection, insert, select, update

from qalita_action.sandbox import tables
from qalita_action.sandbox.store import Store

_log = logging.getLogger(__name__)


class ScoringWorker:
    """start(), wake() after each queued job, stop(). Jobs that an earlier process left are done first."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._work = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._loop, name="scoring", daemon=True)

    def start(self) -> None:
        self._work.set()
        self._thread.start()

    def wake(self) -> None:
        self._work.set()

    def stop(self) -> None:
        self._stopping = True
        self._work.set()
        self._thread.join()

    def _loop(self) -> None:
        while True:
            self._work.wait()
            self._work.clear()
            while not self._stopping and self._next():
                pass
            if self._stopping:
                return

    def _next(self) -> bool:
        c = tables.jobs.c
        with self._store.read() as tx:
            # `running` too: one process owns the file, so a running job is one that a crash cut short.
            due = select(c.id).where(c.kind == "scoring", c.status.in_(("pending", "running")))
            job_id = tx.execute(due.order_by(c.id).limit(1)).scalar()
        if job_id is None:
            return False
        try:
            with self._store.write() as tx:
                begun = self._store.now()
                note = score(tx, job_id)
                end = self._store.now()
                _mark(tx, job_id, status="succeeded", start_date=begun, end_date=end, note=note)
        except Exception as error:  # noqa: BLE001 - a job that cannot be done is closed and told, and the next one is done
            _log.exception("scoring job %s", job_id)
            with self._store.write() as tx:
                _mark(tx, job_id, status="failed", end_date=self._store.now(), error_message=str(error))
        return True


def _mark(tx: Connection, job_id: int, **values: str) -> None:
    tx.execute(update(tables.jobs).where(tables.jobs.c.id == job_id).values(values))


def score(tx: Connection, job_id: int) -> str:
    """Keep the run's score as a point of its source's course, and as the current one where the run is the
    newest by its own time. Says what was done."""
    r, s = tables.runs.c, tables.scores.c
    run = tx.execute(
        select(tables.runs).join(tables.jobs, tables.jobs.c.run_id == r.id).where(tables.jobs.c.id == job_id)
    ).one()
    if run.is_change:
        return "a change run moves no score"
    if run.extent == "partial":
        return "a partial run moves no score"
    if not tx.execute(select(s.run_id).where(s.source_id == run.source_id, s.run_id == run.id)).first():
        tx.execute(
            insert(tables.scores).values(
                source_id=run.source_id,
                run_id=run.id,
                run_key=run.key,
                completed_at=run.completed_at,
                completed_us=run.completed_us,
                overall=run.scores["overall"],
                overall_reason=run.scores["overall_reason"],
                by_dimension=run.scores["by_dimension"],
            )
        )
    course = select(tables.scores).where(s.source_id == run.source_id)
    newest = tx.execute(course.order_by(s.completed_us.desc(), s.run_key.desc()).limit(1)).one()
    tx.execute(
        update(tables.sources)
        .where(tables.sources.c.id == run.source_id)
        .values(
            score=newest.overall,
            score_reason=newest.overall_reason,
            score_run=newest.run_key,
            score_at=newest.completed_at,
        )
    )
    return "the newest run: current score kept" if newest.run_id == run.id else "a late run: history alone"
