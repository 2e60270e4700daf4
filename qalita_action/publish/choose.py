"""Which of the two APIs this platform has: the token first, then one question. Must not write anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import msgspec
from typing_extensions import assert_never

from qalita_action.errors import SettingsError
from qalita_action.http import not_the_api
from qalita_action.publish.answers import parse, row
from qalita_action.wire import Capabilities

if TYPE_CHECKING:
    from qalita_action.http import Budget, Client
    from qalita_action.publish.connect import Connection

INGEST = "/api/v2/ingest"
ABSENT = frozenset({204, 403, 404, 405, 501})


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """capabilities is there for the ingestion API alone; why is a sentence for people."""

    api: Literal["results", "ingestion"]
    why: str
    user: dict[str, Any]
    capabilities: Capabilities | None = None
    notes: tuple[str, ...] = ()


def choose(connection: Connection, client: Client, budget: Budget) -> Chosen:
    """Raises SettingsError token-refused, endpoint-not-api, ingestion-api-missing; DeliveryError."""
    user = check_token(connection, client, budget)
    api = connection.target.api
    match api:
        case "results":
            return Chosen(api="results", why="the results API, as --api says", user=user)
        case "ingestion" | "auto":
            return _asked(client, budget, user, must=api == "ingestion")
        case "folder":
            raise AssertionError("a folder is not asked which API it has")
        case _:
            assert_never(api)


def check_token(connection: Connection, client: Client, budget: Budget) -> dict[str, Any]:
    """The token's user, as the platform knows it."""
    subject = connection.claims.subject if connection.claims else ""
    path = f"/api/v2/users/{quote(subject, safe='')}"
    answer = client.request("GET", path, budget=budget, passes={404})
    user = row(client, answer)
    if user is None:
        raise SettingsError(
            "token-refused",
            "The platform does not know the token's user, or does not show it to this token.",
            expected="a token of this platform, of a user that still exists",
            looked=[f"{answer.where}: {answer.status}"],
            todo=["check that endpoint and token belong to the same platform", "make a new API token"],
        )
    return user


def _asked(client: Client, budget: Budget, user: dict[str, Any], *, must: bool) -> Chosen:
    answer = client.request("GET", INGEST, budget=budget, passes=ABSENT)
    if answer.status in ABSENT:
        if must:
            raise SettingsError(
                "ingestion-api-missing",
                f"This platform has no ingestion API (it answered {answer.status}).",
                expected="a platform with the ingestion API, because --api ingestion asks for it",
                looked=[answer.where],
                todo=["use --api auto or --api results"],
            )
        why = f"the results API: this platform has no ingestion API (it answered {answer.status})"
        return Chosen(api="results", why=why, user=user, notes=(f"published by {why}",))
    value = client.json(answer)
    if not isinstance(value, dict) or "version" not in value:
        raise not_the_api("JSON without a version (200)", answer.where, client.options)
    found = parse(client, answer, Capabilities)
    why = f"the ingestion API, version {found.version}"
    return Chosen(api="ingestion", why=why, user=user, capabilities=found)
