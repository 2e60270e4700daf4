"""dbt Cloud's runs, by its Administrative API: dbtcloud://ACCOUNT/runs/RUN, the newest finished run of
dbtcloud://ACCOUNT/jobs/JOB, and a job's history. What the run is, dbt Cloud says, never the CI that fetches.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec

from qalita_action.dbt.found import Candidate, Found, RanBy
from qalita_action.dbt.sources import cloud_marks
from qalita_action.dbt.sources.cloud_api import Api, Pace, say
from qalita_action.dbt.sources.cloud_shapes import CANCELLED, ERROR, FINISHED, status_word
from qalita_action.dbt.sources.cloud_steps import left
from qalita_action.dbt.vet import moment
from qalita_action.errors import ArtifactError, SettingsError
from qalita_action.redact import clean_line, mask_url

if TYPE_CHECKING:
    from qalita_action.dbt.found import Places, Reach
    from qalita_action.dbt.sources.cloud_shapes import CloudRun, Named, Trigger
    from qalita_action.http import Answer

CHANGES = {
    "github_pull_request": "github_pull_request_id",
    "gitlab_merge_request": "gitlab_merge_request_id",
    "azure_pull_request": "azure_pull_request_id",
    "pull_request": "non_native_pull_request_id",
}
# A run is made before it finishes, and no run of dbt Cloud lasts longer than a day.
LONGEST_RUN = timedelta(days=2)
_PATH = re.compile(r"/(runs|jobs)/([0-9]{1,19})/?")


class Address(msgspec.Struct, frozen=True):
    account: str
    kind: Literal["runs", "jobs"]
    id: str
    since: datetime | None = None

    def __str__(self) -> str:
        return f"dbtcloud://{self.account}/{self.kind}/{self.id}"


def found_at(address: str, places: Places) -> tuple[Found, ...]:
    """The run behind PATH. A window (since=) names its newest run: what is judged is never older.

    Errors: dbt-cloud-address, -host, -token-missing, -token-refused, -not-found, -unfinished, -cancelled,
    -no-artifacts, -nothing-executed, -unreachable, -unreadable.
    """
    aim = parsed(address)
    with Api(places.reach, aim.account) as api:
        if aim.kind == "runs":
            return (_found(api, _finished(api, aim.id), ()),)
        return (_found(api, *_newest(api, aim)),)


def history(address: str, places: Places, since: datetime | None) -> tuple[Candidate, ...]:
    """The finished runs of a job, red ones too, oldest first. since: those that finished then or later; the
    address may say it too.

    Errors: dbt-cloud-address, dbt-cloud-not-found, those of found_at.
    """
    aim = parsed(address)
    start = since or aim.since
    with Api(places.reach, aim.account) as api:
        if aim.kind == "runs":
            run = _finished(api, aim.id)
            return (_candidate(places.reach, aim.account, run),)
        runs = _window(api, aim, start)
        environments = _environments(api, runs)
    whole = [msgspec.structs.replace(run, environment=environments.get(run.environment_id)) for run in runs]
    made = [_candidate(places.reach, aim.account, run) for run in whole]
    return tuple(sorted(made, key=lambda c: (c.at is not None, c.at, c.where)))


def parsed(address: str) -> Address:
    """Error: dbt-cloud-address."""
    try:
        parts = urlsplit(address.strip())
        query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise _malformed(address, "it is no address") from None
    place = _PATH.fullmatch(parts.path)
    if place is None or not re.fullmatch(r"[0-9]{1,19}", parts.netloc) or parts.fragment:
        raise _malformed(address, "account, job and run are numbers")
    since = None
    if query:
        since = moment(query["since"][-1]) if query.keys() == {"since"} and place[1] == "jobs" else None
        if since is None:
            raise _malformed(address, "what follows `?` is not understood")
    return Address(parts.netloc, "runs" if place[1] == "runs" else "jobs", place[2], since)


def _malformed(address: str, why: str) -> SettingsError:
    return SettingsError(
        "dbt-cloud-address",
        f"{clean_line(mask_url(address), 200)} is no run and no job of dbt Cloud: {why}",
        expected="dbtcloud://ACCOUNT/runs/RUN or dbtcloud://ACCOUNT/jobs/JOB; a history may say"
        " dbtcloud://ACCOUNT/jobs/JOB?since=2026-01-01",
        todo=["the numbers stand in the address of the run's or the job's page in dbt Cloud"],
    )


# ---------------------------------------------------------------- which run


def _finished(api: Api, run: str | int) -> CloudRun:
    """The run that was named, waited for where that was asked for."""
    pace = Pace(api.reach.first_wait_s, api.reach.wait_s)
    told: int | None = None
    while True:
        found, answer = api.run(run)
        if found.status in FINISHED:
            return found
        where = f"dbtcloud://{api.account}/runs/{found.id}"
        if found.status == CANCELLED:
            raise ArtifactError(
                "dbt-cloud-cancelled",
                f"{where} was cancelled: what it left says nothing about the whole",
                expected="a run that finished, green or red",
                looked=[f"{answer.where}: cancelled"],
                todo=["name another run, or the job: its newest finished run is taken"],
            )
        if told != found.status and api.reach.wait_s:
            say(f"{where} is {status_word(found.status)}: waiting for it")
            told = found.status
        if not pace.may_look_again(answer):
            raise _unfinished(api.reach, where, found, answer)


def _newest(api: Api, aim: Address) -> tuple[CloudRun, tuple[tuple[str, str], ...]]:
    """The newest run that finished. One that is under way is waited for where that was asked for, else it is
    the next poll's."""
    notes: list[tuple[str, str]] = []
    under_way: tuple[CloudRun, Answer] | None = None
    for run, answer in api.runs(aim.id):
        if run.status in FINISHED:
            if under_way:
                text = f"run {under_way[0].id} is {status_word(under_way[0].status)}: it was not waited for"
                notes.append(("newer-run", text))
            if aim.since and (finished := moment(run.finished_at)) and finished < aim.since:
                text = f"run {run.id} finished {finished:%Y-%m-%d %H:%M}Z, before the window: none has since"
                notes.append(("before-window", text))
            return api.run(run.id)[0], tuple(notes)
        if run.status == CANCELLED:
            notes.append(("cancelled-run", f"run {run.id} was cancelled: an older one was taken"))
            continue
        if api.reach.wait_s and under_way is None:
            try:
                return _finished(api, run.id), tuple(notes)
            except ArtifactError as e:
                if e.code != "dbt-cloud-cancelled":
                    raise
            notes.append(("cancelled-run", f"run {run.id} was cancelled: an older one was taken"))
            continue
        under_way = under_way or (run, answer)
    if under_way:
        raise _unfinished(api.reach, f"dbtcloud://{api.account}/runs/{under_way[0].id}", *under_way)
    raise _no_run(aim, [text for _, text in notes])


def _no_run(aim: Address, looked: list[str]) -> ArtifactError:
    return ArtifactError(
        "dbt-cloud-not-found",
        f"{aim} has no finished run, or this token may not see it",
        expected="a job that ran at least once",
        looked=looked or ["its runs: there is none"],
        todo=["check the job's number and the token's permissions, or run the job once"],
    )


def _unfinished(reach: Reach, where: str, run: CloudRun, answer: Answer) -> ArtifactError:
    waited = f"after {reach.wait_s:g} s" if reach.wait_s else "yet"
    way_out = "raise --wait-timeout" if reach.wait_s else "wait for it: --wait, with --wait-timeout SECONDS"
    return ArtifactError(
        "dbt-cloud-unfinished",
        f"{where} has not finished {waited}: it is {status_word(run.status)}",
        expected="a run that finished, green or red",
        looked=[f"{answer.where}: {status_word(run.status)}"],
        todo=[way_out, "or start this step when the run is over, by dbt Cloud's webhook `job.run.completed`"],
    )


def _window(api: Api, aim: Address, start: datetime | None) -> list[CloudRun]:
    """Error: dbt-cloud-not-found, for a job without any run: its number may be wrong."""
    runs: list[CloudRun] = []
    has_run = False
    for run, _ in api.runs(aim.id):
        has_run = True
        made, finished = moment(run.created_at), moment(run.finished_at)
        if start and made and made < start - LONGEST_RUN:
            break
        if start and finished and finished < start:
            continue
        if run.status in FINISHED:
            runs.append(run)
        elif run.status == CANCELLED:
            say(f"dbtcloud://{api.account}/runs/{run.id} was cancelled and is left out")
    if not has_run:
        raise _no_run(aim, [])
    return runs


def _environments(api: Api, runs: list[CloudRun]) -> dict[int | None, Named | None]:
    """By id, each asked for once: a listing of runs does not tell their names."""
    first = {run.environment_id: run.id for run in reversed(runs)}
    return {environment: api.run(run)[0].environment for environment, run in first.items()}


# ---------------------------------------------------------------- what it is


def _found(api: Api, run: CloudRun, notes: tuple[tuple[str, str], ...]) -> Found:
    files = left(api, run)
    return Found(
        directory=f"dbtcloud://{api.account}/runs/{run.id}",
        manifest=files.manifest,
        results=files.results,
        sources=files.sources,
        named=True,
        is_elsewhere=True,
        ran_by=ran_by(api.account, run),
        unfinished=files.unfinished,
        notes=(*notes, *files.notes),
    )


def _candidate(reach: Reach, account: str, run: CloudRun) -> Candidate:
    who = ran_by(account, run)
    return Candidate(
        where=f"dbtcloud://{account}/runs/{run.id}",
        at=moment(run.finished_at),
        run_ids=(who.run_id,),
        ran_by=who,
        open=partial(_opened, reach, account, run.id),
    )


def _opened(reach: Reach, account: str, run: int) -> Found:
    with Api(reach, account) as api:
        return _found(api, _finished(api, run), ())


def ran_by(account: str, run: CloudRun) -> RanBy:
    trigger = run.trigger
    change = _change(trigger)
    return RanBy(
        run_id=f"dbtcloud/{account}/{run.id}",
        run=str(run.id),
        job=str(run.job_definition_id) if run.job_definition_id else None,
        job_name=run.job.name if run.job else None,
        url=run.href,
        sha=run.git_sha or (trigger.git_sha if trigger else None),
        branch=run.git_branch or (trigger.git_branch if trigger else None),
        repository=run.repository.remote_url if run.repository else None,
        environment=run.environment.name if run.environment else None,
        event=(trigger.cause_category if trigger else None) or (change[0] if change else None),
        change_id=change[1] if change else None,
        is_change=change is not None,
        is_red=run.status == ERROR,
        started_at=moment(run.started_at),
    )


def _change(trigger: Trigger | None) -> tuple[str, str | None] | None:
    """What kind of change request, and its number, where the run is one's."""
    if trigger is None:
        return None
    for kind, field in CHANGES.items():
        if number := getattr(trigger, field):
            return kind, str(number)
    if asked := cloud_marks.change_of(trigger.cause):
        return asked
    category = trigger.cause_category
    return (category, None) if category in CHANGES else None
