"""What the ingestion API answers, for its OpenAPI document: the routes encode plain values of these shapes.
Must not read what clients send."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from qalita_action.sandbox.documents import Kind


class Capabilities(BaseModel):
    version: str
    max_batch: int
    max_body_bytes: int
    features: list[str]


class Rejection(BaseModel):
    kind: Kind
    key: str
    code: str
    detail: str


class Opened(BaseModel):
    key: str
    state: Literal["open", "complete"]
    restarted: bool
    url: str


class BatchAnswer(BaseModel):
    accepted: int
    rejected: list[Rejection]


class Completed(BaseModel):
    job: str
    url: str
    rejected: list[Rejection]


class BatchesSeen(BaseModel):
    expected: int
    received: list[int]


class JobSeen(BaseModel):
    id: str
    status: Literal["pending", "running", "succeeded", "failed", "killed"]


class RunState(BaseModel):
    """scores is null, and job too, until the run is complete."""

    key: str
    state: Literal["open", "complete"]
    content_digest: str
    batches: dict[Kind, BatchesSeen]
    rows: dict[Kind, int]
    job: JobSeen | None
    scores: dict[str, Any] | None
    source: dict[str, Any]
    run: dict[str, Any]
    ledger: dict[str, Any]
    url: str


class Page(BaseModel):
    """Rows, and the value of `before` that gives the next page; null at the end."""

    items: list[dict[str, Any]]
    next: str | None
