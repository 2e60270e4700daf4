"""Which runs need not be read, since nothing of them would be sent: asked by their keys. Reads alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qalita_action.http import Budget
from qalita_action.model import Value
from qalita_action.publish import results_api
from qalita_action.publish.answers import parse
from qalita_action.publish.batches import run_path
from qalita_action.publish.choose import choose
from qalita_action.publish.ingestion_api import COMPLETE
from qalita_action.publish.job import JOBS, listed
from qalita_action.publish.sending import CHANGE_RUN
from qalita_action.wire import RunState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qalita_action.http import Client
    from qalita_action.publish.connect import Connection

RECORDED = "recorded already"


class Sought(Value, frozen=True, kw_only=True):
    """A document that would be sent. source: its name and type on the platform."""

    key: str
    source: str
    type: str
    is_change: bool


def settled_ahead(connection: Connection, sought: Sequence[Sought]) -> dict[str, str]:
    """Why nothing would be sent, by key; what is not there must be read.

    Raises SettingsError, DeliveryError: the platform could not be asked.
    """
    if not sought:
        return {}
    budget = Budget(connection.target.timeout_s)
    with connection.client() as client:
        chosen = choose(connection, client, budget)
        if chosen.api == "ingestion":
            return {s.key: RECORDED for s in sought if _is_complete(client, s.key, budget)}
        if connection.target.publish == "always":
            withheld: dict[str, str] = {}
        else:
            withheld = {s.key: CHANGE_RUN for s in sought if s.is_change}
        if connection.target.pack_per_dimension:  # several jobs are one run: sending it tells which are there
            return withheld
        return withheld | _by_jobs(connection, client, [s for s in sought if s.key not in withheld], budget)


def _is_complete(client: Client, key: str, budget: Budget) -> bool:
    answer = client.request("GET", run_path(key), budget=budget, passes={404})
    return answer.status != 404 and parse(client, answer, RunState).state == COMPLETE


def _by_jobs(
    connection: Connection, client: Client, sought: Sequence[Sought], budget: Budget
) -> dict[str, str]:
    keys = {s.key for s in sought}
    found: dict[str, str] = {}
    for name, kind in sorted({(s.source, s.type) for s in sought}):
        source = results_api.find_source(client, connection.target, name, kind, budget)
        if source is None:
            continue
        for page in listed(client, JOBS, (("source_id", source),), budget):
            done = {str(row.get("name"))[-32:] for row in page if row.get("status") == "succeeded"}
            found |= dict.fromkeys(keys & done, RECORDED)
    return found
