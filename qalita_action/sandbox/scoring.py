"""The scoring worker: a thread that executes the jobs which complete runs queue. It keeps a source's score
over time from what clients computed, and recomputes nothing."""

from __future__ import annotations

import logging
import threading

from sqlalchemy import Connection, bindparam, insert, select, update

from qalita_action.sandbox import tables
from qalita_action.sandbox.store import Store

_log = logging.getLogger(__name__)

# Made once: to make a statement costs more than to run it.
RUN, JOB, SCORE = tables.runs.c, tables.jobs.c, tables.scores.c
# `running` too: one process owns the file, so a running job is one that a crash cut short.
DUE = (
    select(JOB.id)
    .where(JOB.kind == "scoring", JOB.status.in_(("pending", "running")))
    .order_by(JOB.id)
    .limit(1)
)
SCORED = (
    select(RUN.id, RUN.key, RUN.source_id, RUN.is_change, RUN.extent, RUN.scores)
    .add_columns(RUN.completed_at, RUN.completed_us)
    .join(tables.jobs, JOB.run_id == RUN.id)
    .where(JOB.id == bindparam("job"))
)
POINT = select(SCORE.run_id).where(SCORE.source_id == bindparam("source"), SCORE.run_id == bindparam("run"))
NEWEST = (
    select(SCORE.run_id, SCORE.run_key, SCORE.completed_at, SCORE.overall, SCORE.overall_reason)
    .where(SCORE.source_id == bindparam("source"))
    .order_by(SCORE.completed_us.desc(), SCORE.run_key.desc())
    .limit(1)
)
CURRENT = update(tables.sources).where(tables.sources.c.id == bindparam("of"))


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
        job_id: int | None = None
        try:
            with self._store.write() as tx:
                job_id = tx.execute(DUE).scalar()
                if job_id is None:
                    return False
                begun = self._store.now()
                note = score(tx, job_id)
                end = self._store.now()
                _mark(tx, job_id, status="succeeded", start_date=begun, end_date=end, note=note)
        except Exception as error:
            if job_id is None:
                raise
            _log.exception("scoring job %s", job_id)
            with self._store.write() as tx:
                _mark(tx, job_id, status="failed", end_date=self._store.now(), error_message=str(error))
        return True


def _mark(tx: Connection, job_id: int, **values: str) -> None:
    tx.execute(update(tables.jobs).where(JOB.id == bindparam("of")), {**values, "of": job_id})


def score(tx: Connection, job_id: int) -> str:
    """Keep the run's score as a point of its source's course, and as the current one where the run is the
    newest by its own time. Says what was done."""
    run = tx.execute(SCORED, {"job": job_id}).one()
    if run.is_change:
        return "a change run moves no score"
    if run.extent == "partial":
        return "a partial run moves no score"
    here = {"source": run.source_id, "run": run.id}
    if not tx.execute(POINT, here).first():
        said = {name: run.scores[name] for name in ("overall", "overall_reason", "by_dimension")}
        of = {"source_id": run.source_id, "run_id": run.id, "run_key": run.key}
        when = {"completed_at": run.completed_at, "completed_us": run.completed_us}
        tx.execute(insert(tables.scores), said | of | when)
    newest = tx.execute(NEWEST, {"source": run.source_id}).one()
    current = {
        "score": newest.overall,
        "score_reason": newest.overall_reason,
        "score_run": newest.run_key,
        "score_at": newest.completed_at,
    }
    tx.execute(CURRENT, current | {"of": run.source_id})
    return "the newest run: current score kept" if newest.run_id == run.id else "a late run: history alone"
