"""The results API's lists and things: version, users, sources, packs, registries, assets, jobs, and the
reading side. What is known and unknown of it is the table in quirks. Must not know the ingestion API."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, UploadFile
from sqlalchemy import ColumnElement, Connection, Row, Select, Table, insert, or_, select, update
from starlette.responses import JSONResponse, Response
from typing_extensions import assert_never

from qalita_action.sandbox import tables
from qalita_action.sandbox.platform import Platform, TheAccount, ThePlatform, account_of, base_url, bearer
from qalita_action.sandbox.results_models import (
    MOST,
    PackChange,
    PackPublish,
    Refusal,
    SourceChange,
    SourcePublish,
    Whole,
    members,
    shown_source,
)
from qalita_action.sandbox.tokens import Account

REFUSALS: dict[int | str, dict[str, Any]] = {
    204: {"description": "Not found, or no permission; or an empty list, where the platform is so."},
    401: {"model": Refusal, "description": "The token is missing, wrong, expired or lacks a scope."},
    404: {"model": Refusal, "description": "Not found, on writes; or the platform is too old."},
    409: {"model": Refusal, "description": "It exists already."},
    400: {"model": Refusal, "description": "The body is no text."},
    422: {"model": Refusal, "description": "Parameters or body are not what this call takes."},
}
router = APIRouter(tags=["results API"], dependencies=[Depends(bearer)], responses=REFUSALS)

LIST_LIMIT = 10_000
Offset = Annotated[int, Query(ge=0, le=MOST)]
Id = Annotated[int, Path(ge=0, le=MOST)]
Number = Annotated[int, Query(ge=0, le=MOST)]
Limit = Annotated[int, Query(ge=1, le=LIST_LIMIT)]
OneOf = Annotated[list[Whole] | None, Query()]


def nothing() -> Response:
    """Not found, or no permission: the platform does not tell which."""
    return Response(status_code=204)


def listed(platform: Platform, items: list[dict[str, Any]]) -> Response:
    if items:
        return JSONResponse(items)
    match platform.quirks.empty_list:
        case "204":
            return nothing()
        case "null":
            return JSONResponse(None)
        case "[]":
            return JSONResponse([])
        case _:
            assert_never(platform.quirks.empty_list)


def visible(table: Table, account: Account) -> ColumnElement[bool]:
    """The tenant's, unless private to another user; and what is public on the whole instance."""
    c = table.c
    mine = (c.partner == account.partner) & ((c.visibility != "private") | (c.owner_id == account.id))
    return or_(mine, c.visibility == "public")


def one(tx: Connection, query: Select[Any]) -> Row[Any] | None:
    return tx.execute(query).first()


# ---------------------------------------------------------------- platform and users


@router.get("/api/v1/version", dependencies=[Depends(account_of)])
def version(platform: ThePlatform) -> dict[str, str]:
    return {"version": platform.quirks.version}


@router.get("/api/v1/info", dependencies=[Depends(account_of)])
def info(request: Request, platform: ThePlatform) -> dict[str, str]:
    return {"public_platform_url": platform.quirks.public_url or base_url(request)}


@router.get("/api/v2/users/{user_id}")
def get_user(user_id: str, account: TheAccount) -> Response:
    if user_id != str(account.id):
        return nothing()
    return JSONResponse(
        {"id": account.id, "login": account.name, "role": account.role, "partner_id": account.partner}
    )


# ---------------------------------------------------------------- sources


@router.get("/api/v2/sources")
def list_sources(
    platform: ThePlatform, account: TheAccount, offset: Offset = 0, limit: Limit = LIST_LIMIT
) -> Response:
    s = tables.sources
    query = select(s).where(visible(s, account)).order_by(s.c.id.desc()).offset(offset).limit(limit)
    with platform.store.read() as tx:
        return listed(platform, [shown_source(row) for row in tx.execute(query)])


@router.get("/api/v2/sources/{source_id}")
def get_source(source_id: Id, platform: ThePlatform, account: TheAccount) -> Response:
    s = tables.sources
    with platform.store.read() as tx:
        row = one(tx, select(s).where(s.c.id == source_id, visible(s, account)))
    return nothing() if row is None else JSONResponse(shown_source(row))


@router.post("/api/v1/sources/publish")
def publish_source(body: SourcePublish, platform: ThePlatform, account: TheAccount) -> Response:
    s, quirks, now = tables.sources, platform.quirks, platform.store.now()
    if body.type == "dbt" and not quirks.dbt_type:
        raise HTTPException(422, [{"loc": ["body", "type"], "msg": "unknown source type", "type": "value"}])
    with platform.store.write() as tx:
        same = select(s).where(s.c.partner == account.partner, s.c.name == body.name, s.c.type == body.type)
        known = one(tx, same)
        if known is not None and quirks.repeat_source == "conflict":
            raise HTTPException(409, f"A source named {body.name} exists already.")
        if known is not None and quirks.repeat_source == "replace":
            return JSONResponse({"id": known.id})
        values = members_of(body, "name", "type", "description", "reference", "sensitive", "visibility")
        values |= {"partner": account.partner, "owner_id": account.id, "created_at": now, "updated_at": now}
        return JSONResponse({"id": made(tx, s, values)})


@router.put("/api/v2/sources/{source_id}")
def change_source(source_id: Id, body: SourceChange, platform: ThePlatform, account: TheAccount) -> Response:
    s = tables.sources
    with platform.store.write() as tx:
        mine = (s.c.id == source_id) & (s.c.partner == account.partner) & visible(s, account)
        if one(tx, select(s.c.id).where(mine)) is None:
            raise HTTPException(404, "Source not found")
        values = body.model_dump(exclude_unset=True, include=set(SourceChange.model_fields))
        tx.execute(update(s).where(mine).values({**values, "updated_at": platform.store.now()}))
        row = one(tx, select(s).where(mine))
        return JSONResponse(shown_source(row) if row is not None else {"id": source_id})


def members_of(body: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(body, name) for name in names}


def made(tx: Connection, table: Table, values: dict[str, Any]) -> int:
    key = tx.execute(insert(table).values(values)).inserted_primary_key
    return int(key[0]) if key else 0


# ---------------------------------------------------------------- packs and assets


def _shown_pack(tx: Connection, row: Row[Any]) -> dict[str, Any]:
    v = tables.pack_versions.c
    versions = select(v.id, v.sem_ver_id, v.asset_id).where(v.pack_id == row.id).order_by(v.id)
    shown = members(row, "id", "name", "description", "visibility", "type")
    return {**shown, "versions": [dict(version) for version in tx.execute(versions).mappings()]}


@router.get("/api/v2/packs")
def list_packs(
    platform: ThePlatform, account: TheAccount, offset: Offset = 0, limit: Limit = LIST_LIMIT
) -> Response:
    p = tables.packs
    query = select(p).where(visible(p, account)).order_by(p.c.id.desc()).offset(offset).limit(limit)
    with platform.store.read() as tx:
        return listed(platform, [_shown_pack(tx, row) for row in tx.execute(query).all()])


@router.get("/api/v2/packs/{pack_id}")
def get_pack(pack_id: Id, platform: ThePlatform, account: TheAccount) -> Response:
    p = tables.packs
    with platform.store.read() as tx:
        row = one(tx, select(p).where(p.c.id == pack_id, visible(p, account)))
        return nothing() if row is None else JSONResponse(_shown_pack(tx, row))


@router.post("/api/v1/packs/publish")
def publish_pack(body: PackPublish, platform: ThePlatform, account: TheAccount) -> dict[str, int]:
    values = members_of(body, "name", "type", "visibility", "description", "config")
    values |= {"partner": account.partner, "owner_id": account.id, "created_at": platform.store.now()}
    p = tables.packs.c
    with platform.store.write() as tx:
        same = select(p.id).where(p.partner == account.partner, p.name == body.name)
        if platform.quirks.repeat_pack == "conflict" and one(tx, same) is not None:
            raise HTTPException(409, f"A pack named {body.name} exists already.")
        return {"id": made(tx, tables.packs, values)}


@router.put("/api/v2/packs/{pack_id}")
def change_pack(pack_id: Id, body: PackChange, platform: ThePlatform, account: TheAccount) -> dict[str, int]:
    values = body.model_dump(exclude_unset=True, include=set(PackChange.model_fields))
    with platform.store.write() as tx:
        own_pack(tx, pack_id, account, platform)
        if values:
            tx.execute(update(tables.packs).where(tables.packs.c.id == pack_id).values(values))
    return {"id": pack_id}


@router.put("/api/v1/packs/{pack_id}/version")
def add_pack_version(
    pack_id: Id, sem_ver_id: str, asset_id: Number, platform: ThePlatform, account: TheAccount
) -> dict[str, int]:
    with platform.store.write() as tx:
        own_pack(tx, pack_id, account, platform)
        values = {"pack_id": pack_id, "sem_ver_id": sem_ver_id, "asset_id": asset_id}
        return {"id": made(tx, tables.pack_versions, values)}


def own_pack(tx: Connection, pack_id: int, account: Account, platform: Platform) -> None:
    p = tables.packs.c
    if one(tx, select(p.id).where(p.id == pack_id, p.owner_id == account.id)) is None:
        raise HTTPException(platform.quirks.foreign_pack, "Pack not found")


@router.get("/api/v2/registries")
def list_registries(platform: ThePlatform, account: TheAccount) -> Response:
    if not platform.quirks.registry:
        return nothing()
    return JSONResponse([{"id": 1, "name": "sandbox", "partner_id": account.partner}])


@router.post("/api/v1/assets/upload")
def upload_asset(
    registry_id: Number,  # noqa: ARG001 - required, and there is one registry alone
    name: str,
    bucket: str,
    file: UploadFile,
    platform: ThePlatform,
    account: TheAccount,
    version: str | None = None,
    type: str | None = None,  # noqa: A002 - the platform's word
    description: str | None = None,
    user_id: Number | None = None,  # noqa: ARG001 - known clients send it with logs
) -> dict[str, Any]:
    a = tables.assets.c
    with platform.store.write() as tx:
        same = (a.partner == account.partner) & (a.bucket == bucket) & (a.name == name)
        known = one(tx, select(a.id).where(same))
        if known is not None and platform.quirks.repeat_asset == "conflict":
            raise HTTPException(409, f"An asset named {name} exists already.")
        if known is not None:
            return {"id": known.id}
        values: dict[str, Any] = {"name": name, "bucket": bucket, "version": version, "type": type}
        values |= {"description": description, "partner": account.partner, "size": len(file.file.read())}
        return {"id": made(tx, tables.assets, {**values, "created_at": platform.store.now()})}
