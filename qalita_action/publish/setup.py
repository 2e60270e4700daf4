"""`qalita-ingest setup`: what an administrator does once, so that CI needs no right to make packs. A plan
first, from reading alone; then its steps. Safe to repeat: what is as it shall be is left, and what an attempt
that broke off had made is found by its name. Must not print or ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from typing_extensions import assert_never

from qalita_action.errors import SettingsError
from qalita_action.http import Budget, LostAnswer, json_body, multipart
from qalita_action.publish import packs, results_api
from qalita_action.publish.answers import identity, row, rows
from qalita_action.publish.choose import check_token
from qalita_action.publish.job import listed, order
from qalita_action.publish.pack_files import Pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qalita_action.http import Answer, Client
    from qalita_action.model import Source
    from qalita_action.publish.connect import Connection

PUBLISH_PACK = "/api/v1/packs/publish"
REGISTRIES = "/api/v2/registries"
ASSETS = "/api/v1/assets/upload"
MAX_ASSET_NAMES = 9
Action = Literal["create", "update", "leave"]
Json = dict[str, Any]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the plan. what: pack | version | source; id: of the pack or source, where it is there."""

    action: Action
    what: Literal["pack", "version", "source"]
    name: str
    text: str
    id: str | None = None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be there. source: where one is named; the first run of CI makes it otherwise."""

    packs: tuple[Pack, ...]
    source: Source | None = None


def plan(connection: Connection, wanted: Wanted) -> tuple[Step, ...]:
    """What is there against what shall be. Reads alone."""
    budget = Budget(connection.target.timeout_s)
    with connection.client() as client:
        check_token(connection, client, budget)
        return tuple(_plan(client, wanted, budget))


def apply(connection: Connection, wanted: Wanted) -> tuple[Step, ...]:
    """Plan anew and do it; the steps that were done, and those that there was nothing to do for."""
    budget = Budget(connection.target.timeout_s)
    with connection.client() as client:
        check_token(connection, client, budget)
        steps = tuple(_plan(client, wanted, budget))
        ids: dict[str, str] = {}
        for step in steps:
            if step.action != "leave":
                _do(client, wanted, step, ids, budget)
        return steps


# ---------------------------------------------------------------- the plan


def _plan(client: Client, wanted: Wanted, budget: Budget) -> list[Step]:
    there = [pack for page in listed(client, packs.PACKS, (), budget) for pack in page]
    steps = [step for pack in wanted.packs for step in _of_pack(client, pack, there, budget)]
    if wanted.source is not None:
        steps.append(_of_source(client, wanted.source, budget))
    return steps


def _of_pack(client: Client, pack: Pack, there: Sequence[Json], budget: Budget) -> list[Step]:
    known = _oldest(p for p in there if packs.is_named(p, pack.name))
    version = f"version {pack.version}, {len(pack.archive()):,} bytes"
    if known is None:
        made = f"type {pack.type}, visibility {pack.visibility}"
        return [
            Step(action="create", what="pack", name=pack.name, text=made),
            Step(action="create", what="version", name=pack.name, text=version),
        ]
    id_ = str(known["id"])
    shown = row(client, client.request("GET", f"{packs.PACKS}/{id_}", budget=budget, passes={404}))
    found = {**known, **(shown or {})}
    ours, newest = packs.semver(pack.version), packs.newest(found.get("versions"))
    if newest is not None and newest.order > ours:
        text = f"version {newest.name} is there, newer than this tool's {pack.version}"
        return [Step(action="leave", what="pack", name=pack.name, text=text, id=id_)]
    differs = [
        f"{name}: {found.get(name)} → {value}"
        for name, value in (
            ("type", pack.type),
            ("visibility", pack.visibility),
            ("description", pack.description),
        )
        if name in found and found.get(name) != value
    ]
    has_version = newest is not None and newest.order == ours
    steps = []
    if differs or not has_version:
        # What a platform holds of charts and readme it does not show: they change with a version.
        text = "; ".join(differs) or "charts and readme of the new version"
        steps.append(Step(action="update", what="pack", name=pack.name, text=text, id=id_))
    if not has_version:
        steps.append(Step(action="create", what="version", name=pack.name, text=version, id=id_))
    as_it_is = Step(action="leave", what="pack", name=pack.name, text=f"version {pack.version}", id=id_)
    return steps or [as_it_is]


def _of_source(client: Client, source: Source, budget: Budget) -> Step:
    known = _oldest(
        s
        for page in listed(client, results_api.SOURCES, (), budget)
        for s in page
        if s.get("name") == source.name and s.get("type") == source.type
    )
    if known is None:
        text = f"type {source.type}, visibility {source.visibility}"
        return Step(action="create", what="source", name=source.name, text=text)
    id_ = str(known["id"])
    if known.get("visibility") in (None, source.visibility):
        return Step(action="leave", what="source", name=source.name, text=f"source {id_}", id=id_)
    text = f"visibility: {known.get('visibility')} → {source.visibility}"
    return Step(action="update", what="source", name=source.name, text=text, id=id_)


def _oldest(found: Any) -> Json | None:
    with_id = [one for one in found if one.get("id") is not None]
    return min(with_id, key=lambda one: order(str(one["id"])), default=None)


# ---------------------------------------------------------------- the steps


def _do(client: Client, wanted: Wanted, step: Step, ids: dict[str, str], budget: Budget) -> None:
    """ids: of the packs that this very run made, by name."""
    match step.what:
        case "source":
            assert wanted.source is not None
            _put_source(client, wanted.source, step, budget)
        case "pack":
            pack = next(p for p in wanted.packs if p.name == step.name)
            ids[pack.name] = _put_pack(client, pack, step, budget)
        case "version":
            pack = next(p for p in wanted.packs if p.name == step.name)
            _add_version(client, pack, step.id or ids[pack.name], budget)
        case _:
            assert_never(step.what)


def _put_source(client: Client, source: Source, step: Step, budget: Budget) -> None:
    if step.id is None:
        results_api.make_source(client, source, budget)
        return
    body = json_body({"visibility": source.visibility})
    client.request("PUT", f"{results_api.SOURCES}/{step.id}", body=body, budget=budget)


def _put_pack(client: Client, pack: Pack, step: Step, budget: Budget) -> str:
    body = pack.published()
    if step.id is not None:
        changes = json_body({**{k: v for k, v in body.items() if k != "name"}, "version": pack.version})
        path = f"{packs.PACKS}/{step.id}"
        _ours(client.request("PUT", path, body=changes, budget=budget, passes={403, 404}), pack)
        return step.id
    for attempt in client.attempts(LostAnswer, budget, f"POST {PUBLISH_PACK}"):
        with attempt:
            if attempt.num > 1:
                there = [p for page in listed(client, packs.PACKS, (), budget) for p in page]
                made = _oldest(p for p in there if packs.is_named(p, pack.name))
                if made is not None:
                    return str(made["id"])
            answer = client.request(
                "POST", PUBLISH_PACK, body=json_body(body), budget=budget, passes={409}, is_repeatable=False
            )
            return identity(client, _ours(answer, pack))
    raise AssertionError("a retry context ends with an answer or an error")


def _add_version(client: Client, pack: Pack, pack_id: str, budget: Budget) -> None:
    asset = _upload(client, pack, _registry(client, budget), budget)
    params = (("sem_ver_id", pack.version), ("asset_id", asset))
    path = f"/api/v1/packs/{pack_id}/version"
    _ours(client.request("PUT", path, params=params, budget=budget, passes={403, 404}), pack)


def _registry(client: Client, budget: Budget) -> str:
    answer = client.request("GET", REGISTRIES, budget=budget)
    for found in rows(client, answer):
        if found.get("id") is not None:
            return str(found["id"])
    raise SettingsError(
        "registry-missing",
        "The platform has no registry that this token sees, and a pack's files need one.",
        expected="a registry on the platform",
        looked=[f"{answer.where}: {answer.status}"],
        todo=["make a registry in QALITA's administration, or use the token of an administrator"],
    )


def _upload(client: Client, pack: Pack, registry: str, budget: Budget) -> str:
    """The asset's id. A repeat gets the first file of the name again, whose bytes the name tells; where a
    platform answers 409 instead and no call tells the id, the same bytes go under the next name."""
    stem = pack.asset_name().removesuffix(".tar.gz")
    body = multipart(f"{pack.name}_pack.tar.gz", pack.archive(), "application/gzip")
    answer: Answer | None = None
    for n in range(1, MAX_ASSET_NAMES + 1):
        params = (
            ("registry_id", registry),
            ("name", f"{stem}.tar.gz" if n == 1 else f"{stem}-{n}.tar.gz"),
            ("version", pack.version),
            ("bucket", "packs"),
            ("type", "pack"),
            ("description", f"{pack.name} {pack.version}"),
        )
        answer = client.request("POST", ASSETS, params=params, body=body, budget=budget, passes={409})
        if answer.status != 409:
            return identity(client, answer)
    assert answer is not None
    raise _taken(pack, answer)


def _ours(answer: Answer, pack: Pack) -> Answer:
    if answer.status in (204, 403, 404, 409):
        raise _taken(pack, answer)
    return answer


def _taken(pack: Pack, answer: Answer) -> SettingsError:
    return SettingsError(
        "pack-not-ours",
        f"The platform does not let this token change the pack {pack.name} (it answered {answer.status}).",
        expected="the token of the pack's author: on QALITA, only who published a pack can change it",
        looked=[answer.where],
        todo=[
            "run it with the token of the user who ran it first",
            f"or give the pack a name of its own: --pack {pack.name}_2, here and in CI",
        ],
    )
