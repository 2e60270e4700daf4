"""The steps of one run of dbt Cloud: which of them executed something, and what each of them left. Must not
judge what is in a file: `vet` does.

Artifacts are kept for each step. Without `step` the API serves the last one's, which is `dbt docs generate`
wherever "generate docs on run" is ticked: results of tests that never ran.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from qalita_action.dbt.found import Blob
from qalita_action.dbt.sources.cloud_api import Api, Pace, say
from qalita_action.dbt.sources.cloud_shapes import ERROR, FINISHED, status_word
from qalita_action.dbt.vet import RUNS_NODES, RUNS_TESTS, moment
from qalita_action.errors import ArtifactError

if TYPE_CHECKING:
    from qalita_action.dbt.found import Reach
    from qalita_action.dbt.sources.cloud_shapes import CloudRun, Step
    from qalita_action.http import Answer

FRESHNESS = "source"  # `dbt source freshness`, in 0.x `source snapshot-freshness`
EXECUTES = RUNS_TESTS | RUNS_NODES | {FRESHNESS}
OTHERS = frozenset(
    {"docs", "compile", "parse", "deps", "list", "ls", "clone", "run-operation", "show", "debug", "clean"}
    | {"init", "build-docs", "environment", "sl", "lint", "man"}
)
# dbt's own options that take a word, before its command: none of these words is one.
VALUED = frozenset(
    {"-t", "-r", "--target", "--target-path", "--profile", "--profiles-dir", "--project-dir", "--threads"}
    | {"--log-level", "--log-level-file", "--log-format", "--log-format-file", "--log-path", "--state"}
    | {"--log-file-max-bytes", "--printer-width", "--vars", "--defer-state", "--record-timing-info"}
    | {"--warn-error-options", "--config-dir"}
)
# dbt Cloud hands artifacts over when a run has finished, and that may take a moment.
YOUNG, LATE_S = timedelta(minutes=10), 60.0
_QUOTED = re.compile(r"`([^`]+)`")


class Job(msgspec.Struct, frozen=True):
    """A step that executes something. name: of the file that it leaves."""

    index: int
    command: str
    name: str
    status: int | None


class Left(msgspec.Struct, frozen=True):
    """What the steps of a run left, each file once, in their order. unfinished: what is missing of it."""

    results: tuple[Blob, ...]
    sources: Blob | None
    manifest: Blob
    unfinished: str | None
    notes: tuple[tuple[str, str], ...]


class _Metadata(msgspec.Struct):
    invocation_id: str | None = None


class _Head(msgspec.Struct):
    metadata: _Metadata | None = None


def left(api: Api, run: CloudRun) -> Left:
    """Errors: dbt-cloud-nothing-executed, dbt-cloud-no-artifacts, dbt-cloud-unfinished, those of the API."""
    jobs = executing(run.run_steps or [])
    if not jobs:
        raise _nothing_executed(api, run)
    held = _fetched(api, run, jobs)
    if not held:
        raise _no_artifacts(api, run)
    notes: list[tuple[str, str]] = []
    own = _own(jobs, held, notes)
    where = address(api, run)
    blobs = [
        (job, Blob(where=f"{where} step {job.index}: {job.name}", name=job.name, load=partial(_same, data)))
        for job, data in own
    ]
    checked = [(job, blob) for job, blob in blobs if job.command == FRESHNESS]
    notes += [
        ("freshness-left-out", f"step {job.index} checked sources too, and step {checked[-1][0].index} later")
        for job, _ in checked[:-1]
    ]
    return Left(
        results=tuple(blob for job, blob in blobs if job.command != FRESHNESS),
        sources=checked[-1][1] if checked else None,
        manifest=_manifest(api.reach, api.account, run.id, [job.index for job, _ in own]),
        unfinished=_unfinished(run.run_steps or [], [job for job, _ in own]),
        notes=tuple(notes),
    )


def address(api: Api, run: CloudRun) -> str:
    return f"dbtcloud://{api.account}/runs/{run.id}"


def executing(steps: list[Step]) -> list[Job]:
    """In their order. `source freshness` writes sources.json: the run_results.json beside it is another
    command's."""
    jobs: list[Job] = []
    for step in sorted(steps, key=lambda s: s.index or 0):
        command = command_of(step)
        if step.index is not None and command in EXECUTES:
            name = "sources.json" if command == FRESHNESS else "run_results.json"
            jobs.append(Job(step.index, command, name, step.status))
    return jobs


def command_of(step: Step) -> str | None:
    """The dbt command of "Invoke dbt with `dbt --warn-error build --select x`"; None where there is none."""
    said = step.run_step_command.dbt_command if step.run_step_command else None
    quoted = _QUOTED.search(step.name or "")
    text = said or (quoted[1] if quoted else "")
    try:
        words = shlex.split(text)
    except ValueError:  # a quote that is never closed
        words = text.split()
    free = [word for before, word in zip(["", *words], words, strict=False) if before not in VALUED]
    return next((word for word in free if word in EXECUTES | OTHERS), None)


def _unfinished(steps: list[Step], own: list[Job]) -> str | None:
    """A step that ran and left no results of its own: what its tests said is lost. So is what would have come
    after any other that failed, but for docs, which test nothing. Of freshness no data test is missed."""
    told = {job.index for job in own}
    for step in steps:
        command = command_of(step)
        executes = command in EXECUTES
        is_lost = step.status in FINISHED if executes else step.status == ERROR and command != "docs"
        if is_lost and command != FRESHNESS and step.index not in told:
            said = f"dbt {command}" if command else "setup"
            return f"step {step.index} ({said}, {status_word(step.status)}) left no results"
    return None


def _fetched(api: Api, run: CloudRun, jobs: list[Job]) -> dict[int, bytes]:
    """By step. One that failed early has left nothing; where the run finished just now, and its artifacts are
    not said to be saved, they may be on their way.

    Error: dbt-cloud-unfinished, where they are said to be not: a run is published once, and whole."""
    held: dict[int, bytes] = {}
    pace = Pace(api.reach.first_wait_s, min(api.reach.wait_s or LATE_S, LATE_S))
    while True:
        answer: Answer | None = None
        for job in jobs:
            if job.index not in held:
                answer = api.artifact(run.id, job.name, job.index)
                if answer.status != 404:
                    held[job.index] = answer.body
        missing = [job for job in jobs if job.index not in held]
        if answer is None or not missing or not _may_come(run, missing, answer, has_some=bool(held)):
            return held
        say(f"{address(api, run)} has just finished: its artifacts are not there yet")
        if not pace.may_look_again(answer):
            if held and run.artifacts_saved is False:
                raise _not_saved(api, run, missing)
            return held
        run, _ = api.run(run.id)


def _may_come(run: CloudRun, missing: list[Job], answer: Answer, *, has_some: bool) -> bool:
    finished = moment(run.finished_at)
    now = answer.date() or datetime.now(timezone.utc)
    if finished is None or now - finished > YOUNG:
        return False
    is_owed = any(job.status in FINISHED for job in missing) and run.artifacts_saved is not True
    return is_owed or not has_some


def _own(jobs: list[Job], held: dict[int, bytes], notes: list[tuple[str, str]]) -> list[tuple[Job, bytes]]:
    """Each file once. A step that wrote nothing shows what an earlier one left in target/, and an API that
    does not know `step` shows the last one's at each."""
    first: dict[tuple[str, str], int] = {}
    own: list[tuple[Job, bytes]] = []
    for job in jobs:
        what = f"step {job.index} (dbt {job.command}, {status_word(job.status)})"
        data = held.get(job.index)
        earlier = first.setdefault((job.name, _identity(data)), job.index) if data is not None else None
        if data is not None and earlier == job.index:
            own.append((job, data))
        elif job.status not in FINISHED:
            notes.append(("step-not-run", f"{what} never ran"))
        elif data is None:
            notes.append(("step-without-results", f"{what} left no {job.name}"))
        else:
            notes.append(
                ("step-without-results", f"{what} has no {job.name} of its own: it is that of step {earlier}")
            )
    return own


def _identity(data: bytes) -> str:
    try:
        head = msgspec.json.decode(data, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        head = _Head()
    found = head.metadata.invocation_id if head.metadata else None
    return found or hashlib.sha256(data).hexdigest()


def _same(data: bytes) -> bytes:
    return data


def _manifest(reach: Reach, account: str, run: int, steps: list[int]) -> Blob:
    """Of the last step that has one, read when it is wanted: it is by far the largest file. Files of one run
    are all of one commit."""

    def load() -> bytes:
        with Api(reach, account) as api:
            for step in reversed(steps):
                answer = api.artifact(run, "manifest.json", step)
                if answer.status != 404:
                    return answer.body
        raise ArtifactError(
            "manifest-not-found",
            f"run {run} of dbt Cloud has results and no manifest.json",
            expected="the manifest.json of the same run: it says what each test is about",
            looked=[f"{where} step {step}: manifest.json" for step in steps],
            todo=["look at the run's artifacts in dbt Cloud, and run the job again"],
        )

    where = f"dbtcloud://{account}/runs/{run}"
    return Blob(where=f"{where} step {steps[-1]}: manifest.json", name="manifest.json", load=load)


def listed(run: CloudRun) -> list[str]:
    steps = sorted(run.run_steps or [], key=lambda s: s.index or 0)
    return [f"step {s.index}: {s.name or 'unnamed'}: {status_word(s.status)}" for s in steps]


def _nothing_executed(api: Api, run: CloudRun) -> ArtifactError:
    return ArtifactError(
        "dbt-cloud-nothing-executed",
        f"no step of {address(api, run)} runs models or tests",
        expected=f"a step with one of dbt {', '.join(sorted(RUNS_TESTS | RUNS_NODES))}, source freshness",
        looked=listed(run) or ["the run has no steps"],
        todo=[
            "name a run or a job that builds or tests",
            *(["the run is red: look at its log in dbt Cloud"] if run.status == ERROR else []),
        ],
    )


def _not_saved(api: Api, run: CloudRun, missing: list[Job]) -> ArtifactError:
    return ArtifactError(
        "dbt-cloud-unfinished",
        f"{address(api, run)} has just finished, and dbt Cloud has not saved all of its artifacts yet",
        expected="the results of each step that executed something",
        looked=[f"step {job.index}: dbt {job.command}: no {job.name}" for job in missing],
        todo=["run this step again in a minute", "or start it by dbt Cloud's webhook `job.run.completed`"],
    )


def _no_artifacts(api: Api, run: CloudRun) -> ArtifactError:
    return ArtifactError(
        "dbt-cloud-no-artifacts",
        f"no step of {address(api, run)} left results: nothing says that a test ran",
        expected="run_results.json or sources.json of a step that executes something",
        looked=listed(run),
        todo=[
            "look at the run's log in dbt Cloud: dbt that could not connect, or was killed, writes none",
            "artifacts of old runs are deleted in time: name a newer one",
        ],
    )
