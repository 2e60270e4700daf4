"""The job that stands for a run on the results API: its name, what earlier jobs tell, closing. Must not
upload."""

from __future__ import annotations

import contextlib
import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import msgspec

from qalita_action.errors import IngestError
from qalita_action.http import Answer, Budget, Client, json_body
from qalita_action.publish.answers import rows, unreadable, utc
from qalita_action.redact import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qalita_action.model import Ingest

JOBS = "/api/v2/jobs"
PAGE = 1000
MAX_PAGES = 100
CLOSING_S = 20.0
NAME_TIME = re.compile(r" · (\d{4}-\d\d-\d\d \d\d:\d\d)Z · ")
Json = dict[str, Any]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where results go: ids of the platform, as text."""

    source_id: str
    pack_id: str
    pack_version_id: str

    def params(self) -> tuple[tuple[str, str], ...]:
        return (
            ("source_id", self.source_id),
            ("pack_id", self.pack_id),
            ("pack_version_id", self.pack_version_id),
        )


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """since: when its first attempt began, by the server's clock; None where nobody knows. is_resumed: an
    earlier attempt may have sent something; is_adopted: under this very job. is_done: it succeeded before."""

    id: str
    since: datetime | None
    is_resumed: bool = False
    is_adopted: bool = False
    is_done: bool = False


class History(msgspec.Struct, frozen=True):
    """What the platform's jobs say about this run. mine: jobs of this run, newest first; is_late: a newer run
    of the source is recorded."""

    mine: tuple[Json, ...]
    is_late: bool


def name(ingest: Ingest) -> str:
    """`dbt build · main@1a2b3c4 · 2026-11-23 07:15Z · 3 failed · <run key>`: what people see in a list."""
    run = ingest.run
    git = run.git
    at = clean_line(git.branch or git.tag or "", 60)
    place = "@".join(part for part in (at, (git.sha or "")[:7]) if part) or "no commit"
    command = "+".join(clean_line(c, 20) for c in run.commands) or "results"
    moment = utc(run.completed_at) or utc(run.started_at)
    when = f"{moment:%Y-%m-%d %H:%MZ}" if moment else "time unknown"
    return f"dbt {command} · {place} · {when} · {failures(ingest)} failed · {run.key}"


def failures(ingest: Ingest) -> int:
    ledger = ingest.ledger
    kinds = (ledger.data_test, ledger.unit_test, ledger.freshness)
    return sum(row.failed + row.errored for row in kinds)


# ---------------------------------------------------------------- looking


def listed(
    client: Client, path: str, params: Sequence[tuple[str, str]], budget: Budget
) -> Iterator[list[Json]]:
    """The pages of a v2 list, newest first. A platform that ignores offset repeats its page: the end."""
    first: Any = None
    for page in range(MAX_PAGES):
        query = (*params, ("offset", str(page * PAGE)), ("limit", str(PAGE)))
        found = rows(client, client.request("GET", path, params=query, budget=budget))
        if not found or (page > 0 and found[0].get("id") == first):
            return
        first = found[0].get("id") if page == 0 else first
        yield found
        if len(found) < PAGE:
            return


def belongs(row: Json, place: Place) -> bool:
    """Whether a row is of this source and pack; filters of lists are not everywhere obeyed."""
    wanted = {"source": place.source_id, "pack": place.pack_id}
    for field, expected in wanted.items():
        nested = row.get(field)
        found = nested.get("id") if isinstance(nested, dict) else row.get(f"{field}_id")
        if found is not None and str(found) != expected:
            return False
    return True


def history(client: Client, place: Place, ingest: Ingest, budget: Budget) -> History:
    """Every job of this source and pack, in any state."""
    params = (("source_id", place.source_id), ("pack_id", place.pack_id))
    own = NAME_TIME.search(name(ingest))
    mine: list[Json] = []
    is_late = False
    for page in listed(client, JOBS, params, budget):
        for row in page:
            title = row.get("name")
            if not isinstance(title, str) or not belongs(row, place):
                continue
            if title.endswith(ingest.run.key):
                mine.append(row)
            elif row.get("status") == "succeeded" and own is not None:
                other = NAME_TIME.search(title)
                is_late = is_late or (other is not None and other.group(1) > own.group(1))
    return History(tuple(mine), is_late)


def known(found: History) -> Job | None:
    """The job that stands for this run already: done, or open and to be adopted."""
    done = [row for row in found.mine if row.get("status") == "succeeded"]
    open_ = [row for row in found.mine if row.get("status") in ("running", "pending")]
    for row in (done or open_)[:1]:
        return Job(
            id=str(row.get("id")), since=since(found), is_resumed=True, is_adopted=True, is_done=bool(done)
        )
    return None


def since(found: History) -> datetime | None:
    """When the first attempt at this run began. A single attempt that tells no time makes it unknown."""
    times = [utc(row.get("created_at")) or utc(row.get("start_date")) for row in found.mine]
    told = [time for time in times if time is not None]
    return min(told) if told and len(told) == len(times) else None


# ---------------------------------------------------------------- closing


def close_job(
    client: Client, job: Job, clock: datetime, budget: Budget, *, error: str | None = None
) -> Answer:
    """succeeded, or failed with the reason. A PUT, so it may be repeated."""
    body: Json = {"end_date": date(clock), "status": "failed" if error else "succeeded"}
    if error:
        body["error_message"] = clean_line(error, 500)
    answer = client.request("PUT", f"{JOBS}/{job.id}", body=json_body(body), budget=budget)
    if answer.status == 204:
        raise unreadable(answer, "the job is not there any more")
    return answer


def close_succeeded(client: Client, job: Job, clock: datetime, budget: Budget) -> None:
    """Everything was taken, so nothing may turn the job into a failed one any more: where closing fails or is
    interrupted, it is tried once more with time of its own, and else left for the next attempt to adopt."""
    try:
        close_job(client, job, clock, budget)
    except BaseException as e:
        try:
            close_job(client, job, clock, Budget(CLOSING_S))
        except IngestError:
            _left_open(job, e)
            raise e from None
        if not isinstance(e, IngestError):
            raise


def close_failed(client: Client, job: Job, clock: datetime, error: BaseException) -> None:
    """Close a job on the way out, whatever happened, with time of its own. Never raises an IngestError: the
    first error is the one to tell, and it tells this too."""
    what = (
        f"{error.what} [{error.code}]" if isinstance(error, IngestError) else "the publishing was interrupted"
    )
    try:
        close_job(client, job, clock, Budget(CLOSING_S), error=what)
    except IngestError:
        _left_open(job, error)


def close_superseded(client: Client, id_: str, first: str, clock: datetime) -> None:
    """A job of a run that another job stands for already. Never raises an IngestError."""
    with contextlib.suppress(IngestError):
        reason = f"superseded by job {first}, which is of the same run"
        close_job(client, Job(id=id_, since=None), clock, Budget(CLOSING_S), error=reason)


def _left_open(job: Job, error: BaseException) -> None:
    if isinstance(error, IngestError):
        note = f"job {job.id} could not be closed and may still say running: the next attempt adopts it"
        error.todo = (*error.todo, note)


def order(id_: str) -> tuple[bool, int, str]:
    """Ids in the order in which they were given out: numbers by value, others as text."""
    return (not id_.isdigit(), int(id_) if id_.isdigit() else 0, id_)


def date(moment: datetime) -> str:
    """The platform's form: UTC without saying so."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}"


def number(id_: str) -> int | str:
    return int(id_) if id_.isascii() and id_.isdigit() else id_
