"""How the stand-in says no: one table of codes, one exception. RFC 9457 documents for the ingestion API,
`detail` for the results API. Must not decide anything."""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

INGEST = "/api/v2/ingest"

# code: (HTTP status, title). Codes are stable; titles are for people.
PROBLEMS: dict[str, tuple[int, str]] = {
    "body-incomplete": (400, "The body did not arrive in full."),
    "body-unreadable": (400, "The body is not JSON, or not in the encoding that it claims."),
    "idempotency-key-missing": (400, "A write needs the header Idempotency-Key."),
    "idempotency-key-malformed": (
        400,
        "Idempotency-Key is <run key>/<run|datasets|checks|results|causes|complete>/<n or 0>/<16 hex>.",
    ),
    "token-missing": (401, "The header Authorization: Bearer <token> is missing."),
    "token-malformed": (401, "The token is not one of this platform."),
    "token-expired": (401, "The token has expired."),
    "user-unknown": (401, "The token's user does not exist."),
    "scope-missing": (401, "The token lacks a scope."),
    "not-found": (404, "There is no such thing, or not for this token."),
    "run-unknown": (404, "No such run was opened, or not for this token."),
    "method-not-allowed": (405, "This path does not take this method."),
    "in-progress": (409, "The same write is being worked on. Ask again after Retry-After seconds."),
    "run-differs": (409, "A complete run with this key has another content."),
    "run-complete": (409, "The run is complete; what it holds does not change."),
    "batches-missing": (409, "Batches are missing; the run is not complete."),
    "body-too-large": (413, "The decoded body is larger than max_body_bytes."),
    "batch-too-large": (413, "The batch holds more rows than max_batch."),
    "encoding-unknown": (415, "Content-Encoding is gzip or nothing."),
    "idempotency-key-mismatch": (422, "Idempotency-Key names another run, call, batch or body."),
    "schema-version-unknown": (422, "This schemaVersion is not known here."),
    "run-malformed": (422, "The run does not follow the contract."),
    "batch-malformed": (422, "The batch does not follow the contract."),
    "batch-out-of-range": (422, "The run was opened with fewer batches of this kind."),
    "parameter-malformed": (422, "A parameter does not follow the contract."),
}


class Problem(Exception):
    """One refusal. extra goes into the problem document as members of its own."""

    def __init__(
        self, code: str, detail: str | None = None, *, retry_after: int | None = None, **extra: Any
    ) -> None:
        self.code = code
        self.status, self.title = PROBLEMS[code]
        self.detail = detail or self.title
        self.retry_after = retry_after
        self.extra = extra
        super().__init__(f"{code}: {self.detail}")


class ProblemDocument(BaseModel):
    """RFC 9457, with the stable `code` beside it."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str


def answer(problem: Problem, path: str) -> Response:
    headers: dict[str, str] = {}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    if not is_ingest(path):
        body = msgspec.json.encode({"detail": problem.detail})
        return Response(body, problem.status, headers, "application/json")
    document = {
        "type": f"urn:qalita:ingest:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "instance": path,
        **problem.extra,
    }
    return Response(msgspec.json.encode(document), problem.status, headers, "application/problem+json")


def is_ingest(path: str) -> bool:
    return path == INGEST or path.startswith(INGEST + "/")


def declared(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may refuse with these codes."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(PROBLEMS[code][0], []).append(code)
    out: dict[int | str, dict[str, Any]] = {}
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    for status, names in by_status.items():
        entry: dict[str, Any] = {
            "description": " ".join(f"`{name}`: {PROBLEMS[name][1]}" for name in names),
            "content": {"application/problem+json": {"schema": schema}},
        }
        if "in-progress" in names:
            entry["headers"] = {
                "Retry-After": {
                    "description": "Seconds; with `in-progress` only.",
                    "schema": {"type": "integer"},
                }
            }
        if status == 401:
            entry["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
        out[status] = entry
    return out
