"""What the results API takes and shows, as its known clients send and read it. Unknown members are tolerated;
must not check more than a client is known to rely on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy import Row

JobStatus = Literal["pending", "running", "succeeded", "failed", "killed"]
MOST = 2**53 - 1  # what every reader of JSON holds exactly; a larger number names nothing here


def _whole(value: Any) -> Any:
    """7.0 is a whole number in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, Field(ge=0, le=MOST), BeforeValidator(_whole)]
UPLOADS = ("metrics", "recommendations", "schemas", "figures")


class Body(BaseModel):
    model_config = ConfigDict(extra="allow", protected_namespaces=(), strict=True)


class Refusal(BaseModel):
    """detail: a text, or FastAPI's list of what is wrong with parameters and body."""

    detail: Any


class SourcePublish(Body):
    name: str
    type: str
    description: str | None = None
    reference: bool = False
    sensitive: bool = False
    visibility: Literal["private", "internal", "public"] = "private"


class SourceChange(Body):
    """Here and below: what a change leaves out stays as it is; the defaults are never read."""

    description: str | None = None
    visibility: Literal["private", "internal", "public"] = "private"
    sensitive: bool = False
    reference: bool = False


class PackPublish(Body):
    name: str
    type: str | None = None
    visibility: Literal["private", "internal", "public"] = "private"
    description: str | None = None
    config: str | None = None


class PackChange(Body):
    type: str | None = None
    visibility: Literal["private", "internal", "public"] = "private"
    description: str | None = None
    config: str | None = None


class JobCreate(Body):
    name: str | None = None
    type: str | None = None
    status: JobStatus = "pending"
    worker_id: Whole | None = None
    source_id: Whole | None = None
    target_id: Whole | None = None
    pack_id: Whole | None = None
    pack_version_id: Whole | None = None
    routine_id: Whole | None = None
    start_date: str | None = None


class JobChange(Body):
    name: str | None = None
    status: JobStatus = "pending"
    worker_id: Whole | None = None
    source_id: Whole | None = None
    pack_id: Whole | None = None
    pack_version_id: Whole | None = None
    start_date: str | None = None
    end_date: str | None = None
    logs_id: Whole | None = None
    error_message: str | None = None


def members(row: Row[Any], *names: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def shown_source(row: Row[Any]) -> dict[str, Any]:
    return members(row, "id", "name", "type", "visibility", "description", "sensitive", "reference")


def shown_job(row: Row[Any]) -> dict[str, Any]:
    """Both spellings of a reference that clients read: source {id} and source_id."""
    plain = members(row, "id", "name", "status", "type", "source_id", "target_id", "pack_id")
    plain |= members(row, "pack_version_id", "worker_id", "routine_id", "logs_id", "start_date", "end_date")
    plain |= members(row, "error_message", "created_at", "updated_at")
    nested = {
        name: None if plain[f"{name}_id"] is None else {"id": plain[f"{name}_id"]}
        for name in ("source", "pack", "pack_version")
    }
    return {**plain, **nested}


def shown_metric(row: Row[Any]) -> dict[str, Any]:
    shared = members(row, "id", "created_at", "updated_at", "key", "value", "scope", "source_id", "pack_id")
    return {**shared, "partner_id": row.partner, "pack_version_id": row.pack_version_id}


def shown_recommendation(row: Row[Any]) -> dict[str, Any]:
    shared = members(row, "id", "created_at", "updated_at", "content", "type", "level", "scope")
    return {**shared, "partner_id": row.partner, "source_id": row.source_id, "pack_id": row.pack_id}


def shown_issue(row: Row[Any]) -> dict[str, Any]:
    shared = members(row, "id", "created_at", "updated_at", "title", "status", "source_id")
    return {**shared, "partner_id": row.partner, "description": row.body, "closed_at": row.resolved_at}
