"""The writing half of the ingestion API, as routes. Rules are held by intake, writing and completing."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request
from sqlalchemy import Connection
from starlette.responses import Response

from qalita_action.sandbox import completing, writing
from qalita_action.sandbox.answers import BatchAnswer, Completed, Opened
from qalita_action.sandbox.documents import Kind
from qalita_action.sandbox.intake import Answer, Work, Write, take
from qalita_action.sandbox.platform import TheAccount, ThePlatform, base_url, bearer
from qalita_action.sandbox.problems import INGEST, declared

_TOKEN = ("token-missing", "token-malformed", "token-expired", "user-unknown", "scope-missing")
_WRITE = (
    *_TOKEN,
    "idempotency-key-missing",
    "idempotency-key-malformed",
    "idempotency-key-mismatch",
    "body-incomplete",
    "body-unreadable",
    "body-too-large",
    "encoding-unknown",
    "in-progress",
    "parameter-malformed",
)
Key = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="The run key.")]


async def _headers(
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="<run key>/<run|datasets|checks|results|causes|complete>/<n or 0>/"
            "<first 16 hex digits of SHA-256 of the decoded body>",
        ),
    ] = None,
    content_encoding: Annotated[
        str | None,
        Header(
            alias="Content-Encoding",
            description="gzip, or nothing.",
            json_schema_extra={"enum": ["gzip", "identity"]},
        ),
    ] = None,
) -> None:
    """Declares the headers for the OpenAPI document; intake reads them and says what is wrong with them."""
    del idempotency_key, content_encoding


_REPLAYED: dict[str, Any] = {
    "headers": {
        "Idempotency-Replayed": {
            "description": "Whether this is the stored answer of an earlier, identical write.",
            "schema": {"type": "string", "enum": ["true", "false"]},
        }
    }
}


router = APIRouter(
    prefix=INGEST, tags=["ingestion API: writes"], dependencies=[Depends(bearer), Depends(_headers)]
)


def _body(model: str, *, required: bool = True) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model}"}
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


@router.put(
    "/runs/{key}",
    status_code=201,
    response_model=Opened,
    summary="Open a run",
    responses={
        201: {"description": "Opened.", **_REPLAYED},
        200: {"description": "Known, with this content or begun anew.", "model": Opened, **_REPLAYED},
        **declared(*_WRITE, "run-differs", "schema-version-unknown", "run-malformed"),
    },
    openapi_extra=_body("Opening"),
)
async def open_run(
    key: Key,
    request: Request,
    platform: ThePlatform,
    account: TheAccount,
) -> Response:
    def prepare(write: Write) -> Work:
        return writing.opening(write, base=base_url(request), now=platform.store.now())

    return await take(request, platform, account, run_key=key, call="run", n=0, prepare=prepare)


@router.put(
    "/runs/{key}/{kind}/{n}",
    response_model=BatchAnswer,
    summary="Send batch n of a kind, numbered from 0",
    responses={
        200: {"description": "Stored; malformed rows are told and left out.", **_REPLAYED},
        **declared(
            *_WRITE, "run-unknown", "run-complete", "batch-malformed", "batch-out-of-range", "batch-too-large"
        ),
    },
    openapi_extra=_body("Batch"),
)
async def put_batch(
    key: Key,
    kind: Kind,
    n: Annotated[int, Path(ge=0, le=999_999_999)],
    request: Request,
    platform: ThePlatform,
    account: TheAccount,
) -> Response:
    def prepare(write: Write) -> Work:
        return writing.batch(write, kind=kind, n=n, max_batch=platform.quirks.max_batch)

    return await take(request, platform, account, run_key=key, call=kind, n=n, prepare=prepare)


@router.post(
    "/runs/{key}/complete",
    status_code=202,
    response_model=Completed,
    summary="Complete a run: check it and make it visible in one step",
    responses={
        202: {"description": "Complete; the scoring job is queued.", **_REPLAYED},
        200: {"description": "It was complete already.", "model": Completed, **_REPLAYED},
        **declared(*_WRITE, "run-unknown", "batches-missing"),
    },
    openapi_extra={"requestBody": {"required": False, "content": {"application/json": {"schema": {}}}}},
)
async def complete_run(
    key: Key,
    request: Request,
    platform: ThePlatform,
    account: TheAccount,
) -> Response:
    def work(tx: Connection, write: Write) -> Answer:
        return completing.complete(tx, write, base=base_url(request), now=platform.store.now())

    answer = await take(
        request, platform, account, run_key=key, call="complete", n=0, prepare=lambda _write: work
    )
    platform.queue()
    return answer
