"""Runs on their way to the platform: read and mapped one after the other, sent by a few at once, each kept on
disk before. What the platform has is not read; a platform that takes none ends it. Must not print, nor know
where the runs come from.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Literal

import msgspec

from qalita_action import publish
from qalita_action.dbt.heads import project_of
from qalita_action.errors import IngestError
from qalita_action.model import CIContext, Ingest, Receipt
from qalita_action.pipeline import attributing
from qalita_action.pipeline.running import delivery_code

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from pathlib import Path

    from qalita_action.dbt import Candidate
    from qalita_action.publish.feeding import Feed, Recorded
    from qalita_action.settings import Settings

SENDERS = 4
WAITING = 4  # runs that are read while the senders are busy: what memory holds
IN_A_ROW = 5  # so many failures one after the other are the platform's, not a run's
LOST = frozenset({"not-delivered", "refused"})
OF_ONE_RUN = frozenset({"request-refused", "run-differs"})  # another run may well be taken

Became = Literal["published", "recorded", "unreadable", "undelivered"]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one run. recorded: the platform had it. receipts: of its documents, none where it was
    never read."""

    candidate: Candidate
    became: Became
    receipts: tuple[Receipt, ...] = ()
    error: IngestError | None = None
    code: int = 0


class Tally(msgspec.Struct, kw_only=True):
    """What became of a history so far. total: the runs of this part of it; is_down: stopped early."""

    total: int
    published: int = 0
    recorded: int = 0
    unreadable: int = 0
    undelivered: int = 0
    is_down: bool = False
    code: int = 0
    failures: int = 0  # in a row

    @property
    def done(self) -> int:
        return self.published + self.recorded + self.unreadable + self.undelivered

    @property
    def left(self) -> int:
        return self.total - self.done

    def count(self, step: Step) -> None:
        setattr(self, step.became, getattr(self, step.became) + 1)
        if step.code:
            self.code = min(self.code or step.code, step.code)
        match step.became:
            case "published":
                self.failures = 0
            case "undelivered":
                self.failures += all(r.error_code not in OF_ONE_RUN for r in step.receipts)
            case "recorded" | "unreadable":
                pass


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Runs on their way: one is read and mapped here while others are sent by threads.

    projects  by the service's job, as the runs that were read say: a job has one
    """

    feed: Feed
    recorded: Recorded
    documents: Callable[[Candidate], list[Ingest]]
    settings: Settings
    spools: Path
    tally: Tally
    projects: dict[str | None, str] = msgspec.field(default_factory=dict)

    def steps(self, found: Iterable[Candidate]) -> Generator[Step]:
        """In the order in which they are settled. Ends early where the platform is down."""
        pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="qalita-run")
        under_way: set[Future[Step]] = set()
        try:
            for candidate in found:
                yield from self._settled(under_way, SENDERS + WAITING - 1)
                if self.tally.is_down:
                    break
                made = self._made(candidate)
                if isinstance(made, Step):
                    yield self._counted(made)
                else:
                    under_way.add(pool.submit(self._send, candidate, made))
            yield from self._settled(under_way, 0)
        finally:
            if under_way:
                self.feed.stop()
            pool.shutdown(wait=True, cancel_futures=True)

    def _settled(self, under_way: set[Future[Step]], most: int) -> Iterator[Step]:
        """What is done by now; waits until no more than `most` are under way. Where the platform is down,
        what has not begun is left."""
        while under_way:
            full = len(under_way) > most
            done, _ = wait(under_way, None if full else 0, FIRST_COMPLETED)
            if not done:
                return
            under_way -= done
            for future in done:
                yield self._counted(future.result())
            if self.tally.failures >= IN_A_ROW and not self.tally.is_down:
                self.tally.is_down = True
                self.feed.stop()
                under_way -= {future for future in under_way if future.cancel()}
                most = 0

    def _counted(self, step: Step) -> Step:
        self.tally.count(step)
        return step

    def _made(self, candidate: Candidate) -> Step | list[Ingest]:
        """Its documents; a step where there is nothing to send."""
        ran_by = candidate.ran_by
        ids = (ran_by.url,) if ran_by and ran_by.url else candidate.run_ids
        known = self._known(candidate, ids, lambda: self._project(candidate))
        if known is not None:
            return known  # unread
        read = self._read(candidate)
        if isinstance(read, IngestError):
            return Step(candidate=candidate, became="unreadable", error=read, code=int(read.exit_code))
        ingests = read
        main = ingests[-1]
        if ran_by is not None:
            self.projects[ran_by.job] = main.source.project
        return self._known(candidate, main.run.invocation_ids, lambda: main.source.project) or ingests

    def _read(self, candidate: Candidate) -> list[Ingest] | IngestError:
        """By the first of its copies that can be read; what the first one lacks, where none can."""
        errors: list[IngestError] = []
        for copy in (candidate, *candidate.copies):
            try:
                return self.documents(copy)
            except IngestError as e:
                errors.append(e)
        return errors[0]

    def _known(
        self, candidate: Candidate, ids: Sequence[str], project: Callable[[], str | None]
    ) -> Step | None:
        """Where the platform has the main document of just these invocations, which are unique: whoever
        published it, with whatever key. Any environment counts where none is named, but a change's.

        project  tells the main document from those that were split off
        """
        settings = self.settings
        named = settings.change_env if self._is_change(candidate) else settings.env
        known = [
            k
            for k in self.recorded.of(ids)
            if k.environment == named or (named is None and k.environment != settings.change_env)
        ]
        name = (settings.project or project()) if known else None
        main = next((k for k in known if k.project == name), None)
        if main is None or self.feed.lacks_rows(
            self.spools, main.key
        ):  # which is told as often as it is asked for
            return None
        publish.spool.forget(self.spools, main.key)
        receipt = Receipt(
            run_key=main.key, api="ingestion", status="already-recorded", source=main.source, url=main.url
        )
        return Step(candidate=candidate, became="recorded", receipts=(receipt,))

    def _is_change(self, candidate: Candidate) -> bool:
        """One that goes to --change-env, whatever --env says."""
        own = attributing.context_of(candidate.ran_by, CIContext(), self.settings.default_branch)
        return own.is_change and self.settings.change_env != "same"

    def _project(self, candidate: Candidate) -> str | None:
        if candidate.ran_by is not None:
            return self.projects.get(candidate.ran_by.job)
        try:
            return project_of(candidate.open())
        except IngestError:
            return None

    def _send(self, candidate: Candidate, ingests: list[Ingest]) -> Step:
        """Kept on disk, all of it, before the first call. What follows a document that did not arrive waits
        there: a main document that is recorded says that the others are."""
        try:
            is_change = self._is_change(candidate)
            kept = [(i, publish.spool.write(i, b"", self.spools, is_change=is_change)) for i in ingests]
        except IngestError as e:
            return Step(candidate=candidate, became="undelivered", error=e, code=int(e.exit_code))
        receipts: list[Receipt] = []
        for ingest, path in kept:
            receipts.append(self.feed.send(ingest, path))
            if receipts[-1].status in LOST:
                break
        is_lost = any(r.status in LOST for r in receipts)
        is_new = any(r.status == "recorded" for r in receipts)
        return Step(
            candidate=candidate,
            became="undelivered" if is_lost else "published" if is_new else "recorded",
            receipts=tuple(receipts),
            code=max(delivery_code(r, self.settings, is_change=False) for r in receipts),
        )
