"""One job under one pack: opened or adopted, filled, closed on every path. Must not know what fills it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from qalita_action.publish import job as jobs
from qalita_action.publish.opening import open_job
from qalita_action.publish.uploads import Uploader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from qalita_action.http import Budget, Client
    from qalita_action.model import Ingest
    from qalita_action.publish.job import Place
    from qalita_action.publish.spool import Journal

    Work = Callable[[Uploader, bool], None]  # the bool: a newer run of the source is recorded


class Filed(msgspec.Struct, frozen=True):
    """What was taken; was_there: the job had succeeded before."""

    job: str
    counts: dict[str, int]
    notes: tuple[str, ...]
    was_there: bool = False


class Filing:
    """What every job of one document needs."""

    def __init__(
        self,
        client: Client,
        ingest: Ingest,
        journal: Journal,
        budget: Budget,
        server_time: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._ingest = ingest
        self._journal = journal
        self._budget = budget
        self._server_time = server_time

    def under(self, place: Place, work: Work, tag: str = "") -> Filed:
        """tag: of a pack that is not the main one."""
        client, budget = self._client, self._budget
        found = jobs.history(client, place, self._ingest, budget)
        job = open_job(client, place, self._ingest, found, self._server_time(), budget)
        if job.is_done:
            return Filed(job.id, {}, (), was_there=True)
        uploader = Uploader(client, place, job, self._journal, budget, tag)
        try:
            work(uploader, found.is_late)
        except BaseException as e:
            # Also on Ctrl-C and on SystemExit from a signal: an open job blocks the platform's routines.
            jobs.close_failed(client, job, self._server_time(), e)
            raise
        jobs.close_succeeded(client, job, self._server_time(), budget)
        return Filed(job.id, uploader.counts, tuple(uploader.notes))


def counted(done: Iterable[Filed]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in done:
        for kind, count in one.counts.items():
            total[kind] = total.get(kind, 0) + count
    return total
