"""Many runs to one platform, over the ingestion API alone: asked once what it has and which runs it knows,
then run by run, from several threads. Must not decide which runs are sent.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from qalita_action.errors import DeliveryError, IngestError, SettingsError
from qalita_action.http import Budget
from qalita_action.publish import ingestion_api, spool
from qalita_action.publish.answers import parse
from qalita_action.publish.choose import INGEST, choose
from qalita_action.publish.sending import failed, noted, settled
from qalita_action.wire import Capabilities, Page, PastRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from qalita_action.http import Client
    from qalita_action.model import Ingest, Receipt
    from qalita_action.publish.connect import Connection

PAGE = "50"  # each item holds its scores by column: a large project's are half a megabyte
LEEWAY = timedelta(days=2)  # a service says when a run was over, dbt when it wrote its results


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A run that the platform holds complete."""

    key: str
    source: str | None
    project: str | None
    environment: str | None
    suite: str | None
    url: str | None


class Recorded(msgspec.Struct, frozen=True):
    """The platform's complete runs by the invocations of dbt that they are made of, and by the address that
    the run has at the service that ran dbt."""

    by_ids: dict[frozenset[str], list[Known]]

    def of(self, run_ids: Iterable[str]) -> tuple[Known, ...]:
        return tuple(self.by_ids.get(frozenset(run_ids), ()))


class Feed:
    """Threads may share it."""

    def __init__(self, connection: Connection, client: Client, capabilities: Capabilities) -> None:
        self._connection = connection
        self._client = client
        self._capabilities = capabilities
        self._lock = threading.Lock()
        self._running: set[Budget] = set()
        self._is_stopped = False
        self._is_listed = False
        self._complete: set[str] = set()
        # Worker threads read journals: a type's first decoding must not meet another thread's.
        msgspec.json.decode(b'{"call":"","digest":"","status":200}', type=spool.Entry)

    def recorded(
        self, *, project: str | None, environment: str | None, suite: str | None, since: datetime | None
    ) -> Recorded:
        """What is not said is not asked for.

        Errors: DeliveryError, SettingsError: the platform could not be asked.
        """
        found: dict[frozenset[str], list[Known]] = {}
        wanted = [("project", project), ("environment", environment), ("limit", PAGE)]
        for run in self._runs([(name, value) for name, value in wanted if value is not None], since):
            source, facts = run.source, run.run
            self._complete.add(run.key)
            if (source.suite or None) != (suite or None):
                continue
            known = Known(
                key=run.key,
                source=source.name,
                project=source.project,
                environment=source.environment,
                suite=source.suite,
                url=run.url,
            )
            service = facts.orchestrator.url if facts.orchestrator else None
            for ids in (facts.invocation_ids, (service,) if service else ()):
                if ids:
                    found.setdefault(frozenset(ids), []).append(known)
        self._is_listed = True
        return Recorded(found)

    def _runs(self, params: list[tuple[str, str]], since: datetime | None) -> Iterator[PastRun]:
        """Newest first: the first one before `since` ends it."""
        least = (since - LEEWAY).strftime("%Y-%m-%dT%H:%M:%S") if since else ""
        before: str | None = None
        while True:
            more = [("before", before)] if before else []
            budget = Budget(self._connection.target.timeout_s)
            answer = self._client.request("GET", f"{INGEST}/runs", params=[*params, *more], budget=budget)
            page = parse(self._client, answer, Page)
            for item in page.items:
                run = PastRun.model_validate(item)
                if (run.run.completed_at or least) < least:
                    return
                yield run
            before = page.next
            if before is None:
                return

    def send(self, ingest: Ingest, path: Path) -> Receipt:
        """A receipt, whatever happens. A complete one deletes its spool."""
        budget = Budget(self._connection.target.timeout_s)
        with self._lock:
            self._running.add(budget)
            if self._is_stopped:
                budget.stop()
        journal = spool.Journal(path)
        try:
            receipt = ingestion_api.send(
                self._client,
                ingest,
                self._capabilities,
                journal,
                budget,
                may_be_known=ingest.run.key in self._complete or not self._is_listed,
            )
        except IngestError as e:
            if self._is_stopped and e.code == "timeout":
                e = _stopped(e)
            return noted(failed(ingest, "ingestion", e, path), self._connection, journal.notes)
        finally:
            with self._lock:
                self._running.discard(budget)
        return noted(settled(receipt, path), self._connection, journal.notes)

    def lacks_rows(self, folder: Path, run_key: str) -> bool:
        """Whether an attempt was told here that the platform recorded the run without some of its rows."""
        path = folder / f"{run_key}{spool.SUFFIX}"
        return spool.Journal(path).find(ingestion_api.REJECTED, "") is not None

    def stop(self) -> None:
        """What is under way ends with the call that it waits for; nothing more is begun."""
        with self._lock:
            self._is_stopped = True
            for budget in self._running:
                budget.stop()


def _stopped(error: IngestError) -> DeliveryError:
    """Its time was taken away, and more of it would not have helped."""
    return DeliveryError(
        "timeout",
        "It was not waited for: publishing was stopped.",
        expected="a platform that takes the runs before it",
        looked=error.looked,
        todo=["run the same command again: it sends what is not there, and nothing twice"],
    )


@contextmanager
def feeding(connection: Connection) -> Iterator[Feed]:
    """Errors: backfill-needs-ingestion-api, and those of choose."""
    with connection.client() as client:
        chosen = choose(connection, client, Budget(connection.target.timeout_s))
        if chosen.api != "ingestion":
            raise needs_ingestion_api(f"the platform offers {chosen.why}")
        yield Feed(connection, client, chosen.capabilities or Capabilities(version="1"))


def needs_ingestion_api(saw: str) -> SettingsError:
    return SettingsError(
        "backfill-needs-ingestion-api",
        "A history can only be published over the ingestion API.",
        expected="a platform with the ingestion API, and --api auto or ingestion",
        looked=[saw],
        todo=[
            "the results API would date every old run now, and e-mail people about low scores of the past",
            "`--dry-run` lists the runs without a platform",
        ],
    )
