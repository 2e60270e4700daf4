"""Opening the one job that stands for a run, whatever is lost on the way and whoever else opens one in the
same second. Must not upload.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from qalita_action.errors import DeliveryError, IngestError
from qalita_action.http import Budget, Client, LostAnswer, json_body
from qalita_action.publish.answers import identity, utc
from qalita_action.publish.job import (
    CLOSING_S,
    History,
    Job,
    Place,
    close_failed,
    close_superseded,
    date,
    history,
    known,
    name,
    number,
    order,
    since,
)

if TYPE_CHECKING:
    from datetime import datetime

    from qalita_action.model import Ingest

CREATE = "/api/v2/jobs/create"
OPEN = frozenset({"running", "pending"})


def open_job(
    client: Client, place: Place, ingest: Ingest, found: History, clock: datetime, budget: Budget
) -> Job:
    """Adopt the open job of this run, or make one. clock: the server's time. Where it is done by then,
    another runner was faster.

    Raises DeliveryError in-progress where another runner's job came first. Whatever is raised, a job that was
    made is closed before, where it can be found.
    """
    adopted = known(found)
    if adopted is not None:
        return adopted
    try:
        made = _made(client, place, ingest, found, clock, budget)
    except BaseException as e:
        _close_unseen(client, place, ingest, found, clock, e)
        raise
    try:
        settled = _settled(client, made, history(client, place, ingest, budget), clock)
    except BaseException as e:
        close_failed(client, made, clock, e)
        raise
    if settled is None:
        raise DeliveryError(
            "in-progress",
            "Another runner is publishing the same run at this moment.",
            expected="one runner for one run",
            looked=[f"job {made.id}, which came second, was closed again before anything was sent"],
            todo=["nothing, where the other one succeeds; else run the same job again"],
        )
    return settled


def _made(
    client: Client, place: Place, ingest: Ingest, found: History, clock: datetime, budget: Budget
) -> Job:
    """A lost answer is looked up by the job's name before anything is asked again."""
    body = json_body(
        {
            "name": name(ingest),
            "source_id": number(place.source_id),
            "pack_id": number(place.pack_id),
            "pack_version_id": number(place.pack_version_id),
            "start_date": date(clock),
            "status": "running",
        }
    )
    first = since(found)
    begun = min(first, clock) if first else (None if found.mine else clock)
    for attempt in client.attempts(LostAnswer, budget, f"POST {CREATE}"):
        with attempt:
            if attempt.num > 1:
                late = known(history(client, place, ingest, budget))
                if late is not None and not late.is_done:
                    return Job(id=late.id, since=begun, is_resumed=bool(found.mine))
            answer = client.request("POST", CREATE, body=body, budget=budget, is_repeatable=False)
            return Job(id=identity(client, answer), since=begun, is_resumed=bool(found.mine))
    raise AssertionError("a retry context ends with an answer or an error")


def _settled(client: Client, made: Job, seen: History, clock: datetime) -> Job | None:
    """Whoever makes a job looks again afterwards, so of two that were made in the same second at least the
    later one is seen beside the other. The first one stands for the run. The rest are closed: nothing was
    sent under them. None where a rival's is the first, and it is not done."""
    states = {str(row.get("id")): str(row.get("status")) for row in seen.mine}
    if all(id_.isdigit() for id_ in states):  # other ids do not tell which came first
        rivals = {id_ for id_, state in states.items() if state in OPEN | {"succeeded"}}
        first = min(rivals | {made.id}, key=order)
        for id_ in rivals | {made.id}:
            if id_ != first and states.get(id_) != "succeeded":
                close_superseded(client, id_, first, clock)
        if first != made.id:
            done = states.get(first) == "succeeded"
            return Job(id=first, since=None, is_resumed=True, is_done=True) if done else None
    created = next((utc(row.get("created_at")) for row in seen.mine if str(row.get("id")) == made.id), None)
    return made if made.is_resumed or created is None else msgspec.structs.replace(made, since=created)


def _close_unseen(
    client: Client, place: Place, ingest: Ingest, found: History, clock: datetime, error: BaseException
) -> None:
    """A job may have been made while its answer was lost, or nobody waited for it any more. What was not
    there before is ours, or a rival's, whose own closing comes later and counts."""
    before = {str(row.get("id")) for row in found.mine}
    try:
        now = history(client, place, ingest, Budget(CLOSING_S)).mine
    except IngestError:
        return
    for row in now:
        id_ = str(row.get("id"))
        if id_ not in before and row.get("status") in OPEN:
            close_failed(client, Job(id=id_, since=None), clock, error)
