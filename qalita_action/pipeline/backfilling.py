"""A history published: every run of it that the platform does not have, oldest first, each once. A run that
cannot be read costs itself alone. The gate judges no history. Must not print.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from typing import TYPE_CHECKING, Literal

import msgspec

from qalita_action import dbt, mapping, publish, workspace
from qalita_action.dbt.heads import project_of
from qalita_action.dbt.history import history, part_of
from qalita_action.errors import IngestError, SettingsError, raise_all
from qalita_action.model import CIContext, Ingest, Receipt
from qalita_action.pipeline import attributing, keeping
from qalita_action.pipeline.running import delivery_code
from qalita_action.pipeline.world import TOOL

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from pathlib import Path

    from qalita_action.dbt import Candidate
    from qalita_action.model import Policy
    from qalita_action.pipeline.world import World
    from qalita_action.publish.feeding import Feed, Recorded
    from qalita_action.settings import Resolved, Settings

SENDERS = 4
WAITING = 4  # runs that are read while the senders are busy: what memory holds
IN_A_ROW = 5  # so many failures one after the other are the platform's, not a run's
LOST = frozenset({"not-delivered", "refused"})
OF_ONE_RUN = frozenset({"request-refused", "run-differs"})  # another run may well be taken
ONE_RUN = ("run_id", "manifest", "results", "sources", "catalog")

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


def is_history(settings: Settings) -> bool:
    """Errors: setting-invalid, for a part of one run."""
    if settings.shard and not settings.since:
        raise SettingsError(
            "setting-invalid",
            "--shard is a part of a history, and no --since names one.",
            expected="--since 2026-01-01, or --since all, beside --shard",
            looked=[f"--shard {settings.shard}"],
            todo=["say both, or leave it out"],
        )
    return settings.since is not None


def candidates(resolved: Resolved, context: CIContext, world: World) -> tuple[Candidate, ...]:
    """This part of the history, none of it read. Errors: backfill-in-change, backfill-one-run,
    backfill-needs-ingestion-api, and those of the listing."""
    settings = resolved.settings
    _check(settings, context)
    since = dbt.moment(settings.since) if settings.since != "all" else None
    part, _, parts = (settings.shard or "0/1").partition("/")
    found = history(settings.places(world.env), world.workspace, since)
    return tuple(c for c in found if part_of(c, int(parts)) == int(part))


def backfill(
    resolved: Resolved,
    context: CIContext,
    world: World,
    *,
    begun: Callable[[Tally, Sequence[Candidate]], None],
    heard: Callable[[Step], None],
) -> Tally:
    """begun: once, before anything is sent; heard: once for each run, as it is settled, on this thread.

    Raises SettingsError, DeliveryError, or all of them, where nothing can be sent at all.
    """
    from qalita_action.publish.feeding import feeding, needs_ingestion_api

    settings = resolved.settings
    _check(settings, context)
    if settings.publish == "never":
        raise needs_ingestion_api("--publish never")
    connection = publish.connect(settings.target(TOOL), now=world.now())
    with feeding(connection) as feed:
        found = candidates(resolved, context, world)
        ours = _ours(context)
        is_cut = settings.since != "all" and all(c.at is not None for c in found)
        by_service = any(c.ran_by is not None for c in found)  # each run says its own environment
        recorded = feed.recorded(
            project=settings.project,
            environment=None if by_service else settings.env or ours.environment,
            suite=settings.suite,
            since=dbt.moment(settings.since or "") if is_cut else None,
        )
        tally = Tally(total=len(found))
        begun(tally, found)
        line = Line(
            feed=feed,
            recorded=recorded,
            documents=_reader(settings, ours, world),
            settings=settings,
            spools=world.workspace / settings.spool_dir,
            tally=tally,
        )
        with closing(line.steps(found)) as steps:
            for step in steps:
                heard(_told(step, context, world))
    return tally


def _told(step: Step, context: CIContext, world: World) -> Step:
    receipts = tuple(keeping.told(r, context.ci.provider, world.workspace, world.env) for r in step.receipts)
    return msgspec.structs.replace(step, receipts=receipts)


# ---------------------------------------------------------------- what may be


def _check(settings: Settings, context: CIContext) -> None:
    from qalita_action.publish.feeding import needs_ingestion_api

    errors: list[IngestError] = []
    if settings.api in ("results", "folder"):
        errors.append(needs_ingestion_api(f"--api {settings.api}"))
    named = [f"--{name.replace('_', '-')}" for name in ONE_RUN if getattr(settings, name)]
    if named:
        errors.append(
            SettingsError(
                "backfill-one-run",
                "--since publishes many runs, and other settings name one.",
                expected="PATH alone: a folder, a pattern or an address of runs",
                looked=named,
                todo=["leave them out, or leave --since out"],
            )
        )
    if context.is_change and (context.ci.provider or context.ci.change_id):  # a laptop's branch is no matter
        errors.append(
            SettingsError(
                "backfill-in-change",
                "A history is not published from a change's pipeline.",
                expected="a pipeline of the default branch, a schedule, or a machine of yours",
                looked=[f"this is a change run of {context.ci.provider or 'yours'}"],
                todo=["run it there: what was is no part of a change, and a change may not write it"],
            )
        )
    raise_all(errors)


def _ours(context: CIContext) -> CIContext:
    """Nothing here ran these runs: neither this checkout nor this job says anything about them, so that each
    is the same whoever publishes it."""
    return CIContext(environment=context.environment)


def _reader(settings: Settings, context: CIContext, world: World) -> Callable[[Candidate], list[Ingest]]:
    vetting = msgspec.structs.replace(
        settings.vetting(context, world.now()),
        started_at=None,
        not_before=None,
        dbt_exit_code=None,
        on_empty="fail" if settings.on_empty == "fail" else "pass",
    )
    policy: Policy = settings.policy(TOOL)
    dimensions = {**workspace.known_dimensions(), **policy.dimensions}
    policy = msgspec.structs.replace(policy, dimensions=dimensions)

    def documents(candidate: Candidate) -> list[Ingest]:
        """The main one last: where it is recorded, so are those that were split off."""
        found = msgspec.structs.replace(candidate.open(), is_elsewhere=True, named=True)
        own, judged = attributing.context_of(found.ran_by, context, settings.default_branch), vetting
        if found.ran_by is not None and found.ran_by.is_red:  # what is red there is never green here
            judged = msgspec.structs.replace(vetting, dbt_exit_code=1)
        main, *parts = mapping.to_ingests(dbt.read(found, judged), own, policy)
        return [*parts, main]

    return documents


# ---------------------------------------------------------------- one after the other


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
