"""Every document gets a receipt: chooses the way, sends one after the other, and turns errors into values.
The only place of publish/ that catches an error to go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from typing_extensions import assert_never

from qalita_action.errors import ExitCode, IngestError, SettingsError
from qalita_action.http import Budget
from qalita_action.publish import folder, spool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from qalita_action.http import Client
    from qalita_action.model import Ingest, PlannedRequest, Receipt, Target
    from qalita_action.publish.choose import Chosen
    from qalita_action.publish.connect import Connection

# Trying again as it is does not help against these, though they are no settings.
REFUSED = frozenset({"run-differs", "request-refused"})
CHANGE_RUN = "change run: the results API gets nothing unless --publish always"
NEVER = "--publish never"


def send(
    connection: Connection,
    ingests: Sequence[Ingest],
    pages: Sequence[bytes],
    spools: Sequence[Path | None],
    *,
    is_change: bool,
    now: Callable[[], datetime],
) -> tuple[Receipt, ...]:
    """One receipt a document, in order, whatever happens to the others. A complete receipt deletes its spool,
    and so does one that was skipped: what is not to be sent is not kept either.

    is_change  a change request, a merge queue, or a branch that is not the default one
    """
    receipts = send_each(connection, ingests, pages, spools, is_change=is_change, now=now)
    for receipt, path in zip(receipts, spools, strict=True):
        if path is not None and receipt.status == "skipped":
            spool.discard(path)
    return receipts


def send_each(
    connection: Connection,
    ingests: Sequence[Ingest],
    pages: Sequence[bytes],
    spools: Sequence[Path | None],
    *,
    is_change: bool,
    now: Callable[[], datetime],
) -> tuple[Receipt, ...]:
    """As send, and a file that was skipped stays: somebody keeps it on purpose."""
    target = connection.target
    if target.api == "folder":
        alone = len(ingests) == 1
        return tuple(folder.write(target, ingest, alone=alone) for ingest in ingests)
    if target.publish == "never":
        return tuple(_skipped(ingest, target.api, NEVER) for ingest in ingests)
    try:
        client = connection.client()
    except IngestError as e:
        return tuple(failed(ingest, target.api, e, path) for ingest, path in _pairs(ingests, spools))
    with client:
        return tuple(
            _send_one(connection, client, ingest, page, path, is_change=is_change, now=now)
            for ingest, page, path in zip(ingests, pages, spools, strict=True)
        )


def _pairs(ingests: Sequence[Ingest], spools: Sequence[Path | None]) -> list[tuple[Ingest, Path | None]]:
    return list(zip(ingests, spools, strict=True))


def _send_one(
    connection: Connection,
    client: Client,
    ingest: Ingest,
    page: bytes,
    path: Path | None,
    *,
    is_change: bool,
    now: Callable[[], datetime],
) -> Receipt:
    """The API is asked for every document anew: cheap, and a long outage ends for the later ones."""
    from qalita_action.publish.choose import choose

    target = connection.target
    budget = Budget(target.timeout_s)
    api: str = target.api
    withheld = is_change and target.publish != "always"
    notes: tuple[str, ...] = ()
    if api == "results" and withheld:
        return noted(_skipped(ingest, api, CHANGE_RUN), connection, notes)
    journal = spool.Journal(path)
    try:
        chosen = choose(connection, client, budget)
        api, notes = chosen.api, chosen.notes
        if api == "results" and withheld:
            return noted(_skipped(ingest, api, CHANGE_RUN), connection, notes)
        receipt = _through(chosen, client, target, ingest, page, journal, budget, now)
    except IngestError as e:
        return noted(failed(ingest, api, e, path), connection, (*notes, *journal.notes))
    return noted(settled(receipt, path), connection, (*notes, *journal.notes))


def _through(
    chosen: Chosen,
    client: Client,
    target: Target,
    ingest: Ingest,
    page: bytes,
    journal: spool.Journal,
    budget: Budget,
    now: Callable[[], datetime],
) -> Receipt:
    from qalita_action.publish import ingestion_api, results_api
    from qalita_action.wire import Capabilities

    match chosen.api:
        case "ingestion":
            capabilities = chosen.capabilities or Capabilities(version="1")
            return ingestion_api.send(client, ingest, capabilities, journal, budget)
        case "results":
            return results_api.send(client, target, ingest, page, journal, budget, now)
        case _:
            assert_never(chosen.api)


# ---------------------------------------------------------------- receipts


def settled(receipt: Receipt, path: Path | None) -> Receipt:
    """A complete receipt deletes the spool; one with rejected rows keeps it and is not delivered in full."""
    if receipt.rejected:
        n = len(receipt.rejected)
        return msgspec.structs.replace(
            receipt,
            error_code="rows-rejected",
            error_text=f"The platform recorded the run without {n} of its rows.",
            exit_code=ExitCode.NOT_DELIVERED,
            spool=str(path) if path else None,
        )
    if path is not None:
        spool.discard(path)
    return msgspec.structs.replace(receipt, spool=None)


def _skipped(ingest: Ingest, api: str, reason: str) -> Receipt:
    from qalita_action.model import Receipt

    return Receipt(
        run_key=ingest.run.key, api=api, status="skipped", reason=reason, source=ingest.source.name
    )


def failed(ingest: Ingest, api: str, error: IngestError, path: Path | None) -> Receipt:
    from qalita_action.model import Receipt

    is_refused = isinstance(error, SettingsError) or error.code in REFUSED
    return Receipt(
        run_key=ingest.run.key,
        api=api,
        status="refused" if is_refused else "not-delivered",
        reason=error.what,
        source=ingest.source.name,
        spool=str(path) if path else None,
        error_code=error.code,
        error_text=str(error),
        exit_code=int(error.exit_code),
    )


def noted(receipt: Receipt, connection: Connection, notes: Sequence[str]) -> Receipt:
    return msgspec.structs.replace(
        receipt, cautions=connection.cautions, notes=tuple(dict.fromkeys((*notes, *receipt.notes)))
    )


# ---------------------------------------------------------------- plan


def planned(connection: Connection, ingest: Ingest, page: bytes) -> tuple[PlannedRequest, ...]:
    """Each write that would be made, with its size before compression, without a call. `auto` asks the
    platform first, so the ingestion API stands for both; batches are cut as most platforms want them."""
    from qalita_action.publish import ingestion_api, results_api
    from qalita_action.wire import Capabilities

    target = connection.target
    match target.api:
        case "folder":
            return folder.planned(target, ingest)
        case "results":
            return results_api.planned(target, ingest, page)
        case "ingestion":
            return ingestion_api.planned(ingest, Capabilities(version="1"))
        case "auto":
            return _planned_auto(ingest)
        case _:
            assert_never(target.api)


def _planned_auto(ingest: Ingest) -> tuple[PlannedRequest, ...]:
    from qalita_action.model import PlannedRequest
    from qalita_action.publish import ingestion_api
    from qalita_action.publish.choose import INGEST
    from qalita_action.wire import Capabilities

    question = PlannedRequest(
        method="GET",
        path=INGEST,
        size=0,
        note="asks for the ingestion API; where it is absent, --api results shows what is sent instead",
    )
    return (question, *ingestion_api.planned(ingest, Capabilities(version="1")))
