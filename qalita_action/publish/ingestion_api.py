"""One document to the ingestion API: open, batches by kind, complete. Idempotent from end to end, so that a
repeat resumes what an earlier attempt began. Must not decide whether to publish.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec

from qalita_action.errors import DeliveryError
from qalita_action.model import Ingest, PlannedRequest, Receipt, Rejected
from qalita_action.publish.answers import parse
from qalita_action.publish.batches import (
    KINDS,
    Batch,
    Plan,
    batch_path,
    completion,
    cut,
    idempotency_key,
    opening,
    rows_of,
    run_path,
)
from qalita_action.publish.spool import Entry
from qalita_action.wire import BatchAnswer, Capabilities, Completed, Opened, Problem, Rejection, RunState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qalita_action.http import Answer, Body, Budget, Client
    from qalita_action.publish.spool import Journal

CONCURRENCY = 4
COMPLETE = "complete"
REJECTED = "rejected"  # in the journal: rows that the platform recorded the run without


class Sender(msgspec.Struct, frozen=True):
    """What every call of one document needs."""

    client: Client
    budget: Budget
    journal: Journal
    run_key: str

    def write(
        self, method: str, path: str, call: str, n: int, body: Body, passes: Iterable[int] = ()
    ) -> Answer:
        """One write under its idempotency key, journalled once the platform has it."""
        key = idempotency_key(self.run_key, call, n, body)
        answer = self.client.request(
            method,
            path,
            budget=self.budget,
            body=body,
            headers={"Idempotency-Key": key},
            passes=frozenset(passes),
        )
        if answer.status < 300:
            self.journal.add(Entry(call=f"{call}/{n}", digest=body.digest(), status=answer.status))
        return answer


def send(
    client: Client,
    ingest: Ingest,
    capabilities: Capabilities,
    journal: Journal,
    budget: Budget,
    *,
    may_be_known: bool = True,
) -> Receipt:
    """The receipt of one document, whose counts are what the platform acknowledged.

    may_be_known  False: its complete runs were listed, and this was none of them. Where somebody else
                  publishes it meanwhile, nothing is doubled, and both are told that they recorded it

    Raises SettingsError, DeliveryError (run-differs: a complete run with this key holds something else).
    """
    key = ingest.run.key
    receipt = Receipt(run_key=key, api="ingestion", status="recorded", source=ingest.source.name)
    known = _known(client, ingest, budget) if may_be_known else None
    sender = Sender(client, budget, journal, key)
    if known is not None:
        already = _already(receipt, known.url, known.job.id if known.job else None)
        short = [kind for kind in KINDS if known.rows.get(kind, 0) < len(rows_of(ingest, kind))]
        if not (known.rows and short) and journal.find(REJECTED, "") is None:
            return already
        return msgspec.structs.replace(already, rejected=_missing(sender, ingest, cut(ingest, capabilities)))
    plan = cut(ingest, capabilities)
    opened = _opened(sender, ingest, plan)
    if opened.state == COMPLETE:
        return _already(receipt, opened.url, None)
    counts: dict[str, int] = {}
    rejected = list(plan.rejected)
    for kind in KINDS:
        answers = _send_batches(sender, plan.batches[kind])
        counts[kind] = sum(answer.accepted for answer in answers)
        rejected += [_rejected(row, kind) for answer in answers for row in answer.rejected]
    completed = _completed(sender, plan)
    rejected += [_rejected(row, "run") for row in completed.rejected]
    if rejected:
        journal.add(Entry(call=REJECTED, digest="", status=200, rows=len(rejected)))
    notes = ("an earlier attempt with another content was dropped",) if opened.restarted else ()
    return msgspec.structs.replace(
        receipt,
        counts=counts,
        rejected=tuple(rejected),
        url=completed.url or opened.url,
        job=None if completed.job is None else str(completed.job),
        notes=notes,
    )


def _known(client: Client, ingest: Ingest, budget: Budget) -> RunState | None:
    """The run, where it is complete with this very content. Asked before opening it: an idempotent platform
    gives the opening's first answer again, which says `open` for ever."""
    answer = client.request("GET", run_path(ingest.run.key), budget=budget, passes={404})
    if answer.status == 404:
        return None
    found = parse(client, answer, RunState)
    same = found.content_digest in (None, ingest.run.content_digest)
    return found if found.state == COMPLETE and same else None


def _missing(sender: Sender, ingest: Ingest, plan: Plan) -> tuple[Rejected, ...]:
    """Why a run that is complete holds fewer rows than its document. Writes are answered again as they were,
    so they are asked again: nothing changes, and each rejected row is named."""
    rejected = list(plan.rejected)
    try:
        for kind in KINDS:
            answers = _send_batches(sender, plan.batches[kind])
            rejected += [_rejected(row, kind) for answer in answers for row in answer.rejected]
        rejected += [_rejected(row, "run") for row in _completed(sender, plan).rejected]
    except DeliveryError as e:
        if e.code != "run-differs":
            raise
        # The platform takes batches of another size than it did then, and knows none of these.
        what = "some of its rows were rejected when it was recorded; which, the platform does not tell again"
        rejected.append(Rejected(kind="run", key=ingest.run.key, code="rows-missing", detail=what))
    return tuple(dict.fromkeys(rejected))


def _already(receipt: Receipt, url: str | None, job: str | int | None) -> Receipt:
    return msgspec.structs.replace(
        receipt, status="already-recorded", url=url, job=None if job is None else str(job)
    )


def _opened(sender: Sender, ingest: Ingest, plan: Plan) -> Opened:
    answer = sender.write("PUT", run_path(sender.run_key), "run", 0, opening(ingest, plan), passes={409})
    if answer.status == 409:
        raise _refused(sender, answer)
    return parse(sender.client, answer, Opened)


def _send_batches(sender: Sender, batches: Sequence[Batch]) -> list[BatchAnswer]:
    """The answers in the order of the batches. The first failure stops what has not begun."""
    if len(batches) <= 1:
        return [_send_batch(sender, batch) for batch in batches]
    pool = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="qalita-batch")
    try:
        return list(pool.map(lambda batch: _send_batch(sender, batch), batches))
    except BaseException:
        sender.budget.stop()  # the others would go on repeating for a run that has failed
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _send_batch(sender: Sender, batch: Batch) -> BatchAnswer:
    path = batch_path(sender.run_key, batch)
    answer = sender.write("PUT", path, batch.kind, batch.n, batch.body(), passes={409})
    if answer.status == 409:
        raise _refused(sender, answer)
    return parse(sender.client, answer, BatchAnswer)


def _completed(sender: Sender, plan: Plan) -> Completed:
    """Complete the run; batches that the platform misses are sent again, once."""
    path = f"{run_path(sender.run_key)}/{COMPLETE}"
    for attempt in (1, 2):
        answer = sender.write("POST", path, COMPLETE, 0, completion(), passes={409})
        if answer.status != 409:
            return parse(sender.client, answer, Completed)
        missing = parse(sender.client, answer, Problem).missing
        again = [b for kind in KINDS for b in plan.batches[kind] if b.n in missing.get(kind, ())]
        if attempt == 2 or not again:
            raise _refused(sender, answer)
        _send_batches(sender, again)
    raise AssertionError("two attempts end with an answer or an error")


def _refused(sender: Sender, answer: Answer) -> DeliveryError:
    """A 409 that waiting does not change."""
    problem = parse(sender.client, answer, Problem)
    if problem.code in ("run-differs", "run-complete"):
        return DeliveryError(
            "run-differs",
            f"The platform holds a complete run {sender.run_key} with another content.",
            expected="the same artifacts for the same run: a recorded run does not change",
            looked=[answer.where],
            todo=["give this run a name of its own with --run-id, if it is another run of dbt"],
        )
    return DeliveryError(
        "batches-missing" if problem.code == "batches-missing" else "request-refused",
        f"The platform refused a write (409): {problem.code or 'no code'}.",
        expected="every batch to be there once it was acknowledged",
        looked=[answer.where],
        todo=["run the same job again: what is there already is not sent twice"],
    )


def _rejected(row: Rejection, kind: str) -> Rejected:
    return Rejected(kind=row.kind or kind, key=row.key, code=row.code, detail=row.detail)


def planned(ingest: Ingest, capabilities: Capabilities) -> tuple[PlannedRequest, ...]:
    """Each request in order, with its size before compression."""
    key = ingest.run.key
    plan = cut(ingest, capabilities)
    first = opening(ingest, plan)
    found = [PlannedRequest(method="PUT", path=run_path(key), size=len(first.data), note="opens the run")]
    for kind in KINDS:
        found += [
            PlannedRequest(
                method="PUT",
                path=batch_path(key, batch),
                size=len(batch.body().data),
                note=f"{len(batch.rows)} {kind}",
            )
            for batch in plan.batches[kind]
        ]
    last = completion()
    done = PlannedRequest(
        method="POST", path=f"{run_path(key)}/{COMPLETE}", size=len(last.data), note="makes it visible"
    )
    return (*found, done)
