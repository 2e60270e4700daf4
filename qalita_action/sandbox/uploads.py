"""The results API's uploads: metrics, recommendations, schemas, figures, and a job's outputs. They are dated
by arrival and tied to no job, as on the real thing. Must not compute anything from them."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec
from fastapi import APIRouter, Depends, HTTPException, UploadFile
from sqlalchemy import Connection, Table, delete, func, insert, select
from starlette.responses import JSONResponse, Response
from typing_extensions import assert_never

from qalita_action.sandbox import tables
from qalita_action.sandbox.platform import Platform, TheAccount, ThePlatform, bearer
from qalita_action.sandbox.results_api import REFUSALS, Id, Number, made, one, visible
from qalita_action.sandbox.results_jobs import my_job
from qalita_action.sandbox.results_models import Refusal
from qalita_action.sandbox.tokens import Account

router = APIRouter(tags=["results API: uploads"], dependencies=[Depends(bearer)], responses=REFUSALS)

OUTPUT_TYPES = {
    ".html": "text/html",
    ".htm": "text/html",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
}
MAX_OUTPUT_BYTES = 20 * 1024 * 1024
MAX_OUTPUTS = 20
MAX_FIGURE_ROWS = 5000


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """One file that arrived. rows is its JSON array; accepted and rejected are told for figures."""

    kind: str
    source_id: int
    pack_id: int
    pack_version_id: int
    text: str
    rows: list[dict[str, Any]]


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _metric(row: dict[str, Any]) -> dict[str, Any]:
    return {"key": row["key"], "value": _text(row["value"]), "scope": row["scope"]}


def _recommendation(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("content", "type", "level", "scope")}


def _figure(row: dict[str, Any]) -> dict[str, Any]:
    return {"key": row["key"], "scope": row.get("scope"), "figure": _text(row)}


_TABLE: dict[str, tuple[Table, Any]] = {
    "metrics": (tables.metrics, _metric),
    "recommendations": (tables.recommendations, _recommendation),
    "schemas": (tables.schema_entries, _metric),
    "figures": (tables.figures, _figure),
}


def _decoded(file: UploadFile) -> tuple[str, Any]:
    body = file.file.read()
    try:
        return body.decode(), msgspec.json.decode(body)
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise HTTPException(422, "file is not JSON") from error


# Before {kind}, which would take its path.
@router.post("/api/v1/figures/upload")
def upload_figures(
    source_id: Number,
    pack_id: Number,
    pack_version_id: Number,
    file: UploadFile,
    platform: ThePlatform,
    account: TheAccount,
) -> Response:
    if platform.quirks.figures != 200:
        raise HTTPException(platform.quirks.figures)
    text, document = _decoded(file)
    if not isinstance(document, dict) or not isinstance(document.get("figures"), list):
        raise HTTPException(422, "figures.json is an object with a list of figures")
    wrong = [(figure, _wrong_with(figure, document)) for figure in document["figures"]]
    arrived = Upload(
        kind="figures",
        source_id=source_id,
        pack_id=pack_id,
        pack_version_id=pack_version_id,
        text=text,
        rows=[figure for figure, error in wrong if error is None],
    )
    _keep(platform, account, arrived)
    rejected = [{"key": _key(figure), "error": error} for figure, error in wrong if error is not None]
    return JSONResponse({"accepted": len(arrived.rows), "rejected": rejected})


@router.post("/api/v1/{kind}/upload")
def upload(
    kind: Literal["metrics", "recommendations", "schemas"],
    source_id: Number,
    pack_id: Number,
    pack_version_id: Number,
    file: UploadFile,
    platform: ThePlatform,
    account: TheAccount,
) -> Response:
    text, rows = _decoded(file)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise HTTPException(422, f"{kind}.json is an array of objects")
    arrived = Upload(
        kind=kind,
        source_id=source_id,
        pack_id=pack_id,
        pack_version_id=pack_version_id,
        text=text,
        rows=rows,
    )
    _keep(platform, account, arrived)
    return JSONResponse({"message": f"{len(rows)} rows"})


def _key(figure: Any) -> Any:
    return figure.get("key") if isinstance(figure, dict) else None


def _wrong_with(figure: Any, document: dict[str, Any]) -> str | None:
    if not isinstance(figure, dict) or not isinstance(figure.get("key"), str):
        return "a figure has a key"
    dims, measures = figure.get("dims") or [], figure.get("measures") or []
    if not dims or not measures:
        return "dims and measures are not empty"
    declared = document.get("measures") or {}
    undeclared = [name for name in [*measures, figure.get("of")] if name is not None and name not in declared]
    if undeclared:
        return f"the measure {undeclared[0]} is not declared"
    rows = figure.get("rows") or []
    if len(rows) > MAX_FIGURE_ROWS:
        return f"at most {MAX_FIGURE_ROWS} rows"
    if any(len(row) != len(dims) + len(measures) for row in rows):
        return "a row holds its dims and its measures"
    return None


def _keep(platform: Platform, account: Account, arrived: Upload) -> None:
    table, columns = _TABLE[arrived.kind]
    try:
        rows = [columns(row) for row in arrived.rows]
    except KeyError as error:
        raise HTTPException(422, f"a row of {arrived.kind} lacks {error}") from error
    now = platform.store.now()
    ids: dict[str, Any] = {"source_id": arrived.source_id, "pack_id": arrived.pack_id}
    ids |= {"pack_version_id": arrived.pack_version_id, "partner": account.partner}
    digest = hashlib.sha256(arrived.text.encode()).hexdigest()
    with platform.store.write() as tx:
        _known_targets(tx, arrived, account)
        if not _settled_repeat(tx, platform, ids, arrived.kind, digest, table):
            return
        values = {**ids, "kind": arrived.kind, "digest": digest, "body": arrived.text, "created_at": now}
        upload_id = made(tx, tables.uploads, values)
        shared = {**ids, "upload_id": upload_id, "created_at": now, "updated_at": now}
        if rows:
            tx.execute(insert(table), [{**row, **shared} for row in rows])


def _known_targets(tx: Connection, arrived: Upload, account: Account) -> None:
    s, p, v = tables.sources, tables.packs, tables.pack_versions
    pairs = (
        ("Source", select(s.c.id).where(s.c.id == arrived.source_id, visible(s, account))),
        ("Pack", select(p.c.id).where(p.c.id == arrived.pack_id, visible(p, account))),
        (
            "Pack version",
            select(v.c.id).where(v.c.id == arrived.pack_version_id, v.c.pack_id == arrived.pack_id),
        ),
    )
    for name, query in pairs:
        if one(tx, query) is None:
            raise HTTPException(404, f"{name} not found")


def _settled_repeat(
    tx: Connection, platform: Platform, ids: dict[str, Any], kind: str, digest: str, table: Table
) -> bool:
    """Whether to store the upload, after doing what the switch says to an identical predecessor."""
    u = tables.uploads.c
    same_kind = [u.kind == kind, *(u[name] == value for name, value in ids.items())]
    last = one(tx, select(u.id, u.digest).where(*same_kind).order_by(u.id.desc()).limit(1))
    if last is None or last.digest != digest:
        return True
    match platform.quirks.repeat_upload:
        case "append":
            return True
        case "conflict":
            raise HTTPException(409, f"These {kind} already exist.")
        case "replace":
            tx.execute(delete(table).where(table.c.upload_id == last.id))
            return True
        case _:
            assert_never(platform.quirks.repeat_upload)


@router.post(
    "/api/v1/jobs/{job_id}/outputs", responses={413: {"model": Refusal, "description": "More than 20 MiB."}}
)
def upload_output(job_id: Id, file: UploadFile, platform: ThePlatform, account: TheAccount) -> dict[str, int]:
    if platform.quirks.outputs != 200:
        raise HTTPException(platform.quirks.outputs)
    name, content = file.filename or "", file.file.read(MAX_OUTPUT_BYTES + 1)
    if name.startswith(".") or not name.lower().endswith(tuple(OUTPUT_TYPES)):
        raise HTTPException(422, "outputs are .html, .htm, .png, .svg, .jpg or .jpeg")
    if len(content) > MAX_OUTPUT_BYTES:
        raise HTTPException(413, "an output holds at most 20 MiB")
    o = tables.outputs.c
    with platform.store.write() as tx:
        if one(tx, select(tables.jobs.c.id).where(my_job(job_id, account))) is None:
            raise HTTPException(404, "Job not found")
        if (tx.execute(select(func.count()).where(o.job_id == job_id)).scalar() or 0) >= MAX_OUTPUTS:
            raise HTTPException(422, "a job has at most 20 outputs")
        values = {"job_id": job_id, "name": name, "content": content, "size": len(content)}
        return {"id": made(tx, tables.outputs, {**values, "created_at": platform.store.now()})}
