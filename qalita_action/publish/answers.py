"""The platform's JSON to values, tolerantly: what the sides of both APIs have in common. Must not send."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from qalita_action.errors import DeliveryError
from qalita_action.redact import clean_line

if TYPE_CHECKING:
    from qalita_action.http import Answer, Client

M = TypeVar("M", bound=BaseModel)
Json = dict[str, Any]
DECIMALS = re.compile(r"\.(\d+)")


def parse(client: Client, answer: Answer, model: type[M]) -> M:
    """An answer as its envelope. Raises SettingsError endpoint-not-api, DeliveryError answer-unreadable."""
    value = client.json(answer)
    try:
        return model.model_validate(value)
    except ValidationError as e:
        raise unreadable(answer, f"{e.errors(include_input=False)[0]['msg']}") from None


def rows(client: Client, answer: Answer) -> list[Json]:
    """A list, which 204 and null say when it is empty."""
    value = client.json(answer)
    if value is None:
        return []
    if not isinstance(value, list):
        raise unreadable(answer, "a list was expected")
    return [row for row in value if isinstance(row, dict)]


def row(client: Client, answer: Answer) -> Json | None:
    """One object; 204, 404 and null say that there is none, or none for this token."""
    if answer.status in (204, 404):
        return None
    value = client.json(answer)
    if value is not None and not isinstance(value, dict):
        raise unreadable(answer, "an object was expected")
    return value


def identity(client: Client, answer: Answer) -> str:
    """The id of what was made."""
    value = row(client, answer)
    found = value.get("id") if value else None
    if isinstance(found, bool) or not isinstance(found, (int, str)) or found == "":
        raise unreadable(answer, "it holds no id")
    return str(found)


def unreadable(answer: Answer, why: str) -> DeliveryError:
    return DeliveryError(
        "answer-unreadable",
        f"The platform's answer is not what its API says: {clean_line(why, 160)}.",
        expected="an answer of QALITA's API",
        looked=[f"{answer.where}: {answer.status}"],
        todo=["run `qalita-ingest check`, and report this with the platform's version"],
    )


def utc(text: Any) -> datetime | None:
    """The platform's times: ISO 8601, or `YYYY-MM-DD HH:MM:SS` in UTC without saying so."""
    if not isinstance(text, str):
        return None
    # Python 3.10 reads three or six decimals of a second only.
    exact = DECIMALS.sub(lambda m: f".{m.group(1)[:6]:0<6}", text.strip().replace("Z", "+00:00"))
    try:
        moment = datetime.fromisoformat(exact)
    except ValueError:
        return None
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)
