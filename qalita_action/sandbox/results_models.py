"""What the results API takes and shows, as its known clients send and read it. Unknown members are tolerated;
must not check more than a client is known to rely on."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Row

JobStatus = Literal["pending", "running", "succeeded", "failed", "killed"]
UPLOADS = ("metrics", "recommendations", "schemas", "figures")


class Body(BaseModel):
    model_config = ConfigDict(extra="allow", protected_namespaces=())


class Refusal(BaseModel):
    detail: Any


class SourcePublish(Body):
    name: str
    type: str
    description: str | None = None
    reference: bool = False
    sensitive: bool = False
    visibility: Literal["private", "internal", "public"] = "private"


class SourceChange(Body):
    description: str | None = None
    visibility: Literal["private", "internal", "public"] | None = None
    sensitive: bool | None = None
    reference: bool | None = None


class PackPublish(Body):
    name: str
    type: str | None = None
    visibility: Literal["private", "internal", "public"] = "private"
    description: str | None = None
    config: str | None = None


class PackChange(Body):
    type: str | None = None
    visibility: Literal["private", "internal", "public"] | None = None
    description: str | None = None
    config: str | None = None


class JobCreate(Body):
    name: str | None = None
    type: str | None = None
    status: JobStatus = "pending"
    worker_id: int | None = None
    source_id: int | None = None
    target_id: int | None = None
    pack_id: int | None = None
    pack_version_id: int | None = None
    routine_id: int | None = None
    start_date: str | None = None


class JobChange(Body):
    name: str | None = None
    status: JobStatus | None = None
    worker_id: int | None = None
    source_id: int | None = None
    pack_id: int | None = None
    pack_version_id: int | None = None
    start_date: str | None = None
    end_date: str | None = None
    logs_id: int | None = None
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
