"""One document to the results API: source, pack, job, uploads, page, and the job closed on every path. Must
not decide whether to publish, and must not guess beyond what the platform's own clients do.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from qalita_action.errors import IngestError, SettingsError
from qalita_action.http import Budget, Client, LostAnswer, json_body
from qalita_action.model import Ingest, PlannedRequest, Receipt, Source, Target, to_json
from qalita_action.publish import job as jobs
from qalita_action.publish.answers import identity, row
from qalita_action.publish.dimensions import Dimension, dimensions, setup_flags
from qalita_action.publish.filing import Filing, counted
from qalita_action.publish.job import Place, listed
from qalita_action.publish.opening import CREATE
from qalita_action.publish.packs import find_pack
from qalita_action.publish.results_files import Files, files
from qalita_action.publish.results_scopes import scores_sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from qalita_action.publish.spool import Journal
    from qalita_action.publish.uploads import Uploader

VERSION = "/api/v1/version"
INFO = "/api/v1/info"
SOURCES = "/api/v2/sources"
PUBLISH_SOURCE = "/api/v1/sources/publish"
Json = dict[str, Any]


def send(
    client: Client,
    target: Target,
    ingest: Ingest,
    page: bytes,
    journal: Journal,
    budget: Budget,
    now: Callable[[], datetime],
) -> Receipt:
    """The receipt of one document, whose counts are what the platform acknowledged.

    Raises SettingsError (pack-missing, source-missing, ...), DeliveryError. Whatever is raised, a
    KeyboardInterrupt included, the job that was opened is closed first.
    """
    started = now()
    offset = clock_of(client, budget, started) - started

    def server_time() -> datetime:
        return now() + offset

    source_id = find_or_make_source(client, target, ingest, budget)
    parts = dimensions(target, ingest)
    packs = [find_pack(client, target.pack, budget)]  # all of them before the first job is opened
    packs += [find_pack(client, part.pack, budget, setup=setup_flags(target)) for part in parts]
    places = [Place(source_id=source_id, pack_id=pack, pack_version_id=version) for pack, version in packs]
    filing = Filing(client, ingest, journal, budget, server_time)

    def upload(uploader: Uploader, is_late: bool) -> None:
        _upload(uploader, target, ingest, page, is_late=is_late)

    done = [filing.under(places[0], upload)]
    done += [
        filing.under(place, partial(_upload_part, part), f" under {part.pack}")
        for place, part in zip(places[1:], parts, strict=True)
    ]
    return Receipt(
        run_key=ingest.run.key,
        api="results",
        status="already-recorded" if all(filed.was_there for filed in done) else "recorded",
        source=ingest.source.name,
        counts=counted(done),
        job=done[0].job,
        url=link(client, source_id, budget),
        notes=tuple(dict.fromkeys(note for filed in done for note in filed.notes)),
    )


def _upload_part(part: Dimension, uploader: Uploader, is_late: bool) -> None:
    """A dimension's score under its own pack; what was recorded late keeps its job, as everywhere."""
    if not is_late:
        uploader.schemas(part.schemas)
        uploader.metrics(part.metrics)


def _upload(uploader: Uploader, target: Target, ingest: Ingest, page: bytes, *, is_late: bool) -> None:
    if is_late:
        uploader.notes.append("recorded late, numbers withheld: a newer run of this source is recorded")
    else:
        reason = scores_sent(ingest).reason
        if reason:
            uploader.notes.append(reason)
        found = files(ingest, detail=target.metrics_detail)
        uploader.schemas(found.schemas)
        uploader.metrics(found.metrics)
        uploader.recommendations(found.recommendations)
        uploader.figures(found.figures)
    if page:
        uploader.page(page_name(ingest), page)


def page_name(ingest: Ingest) -> str:
    return f"dbt-{ingest.run.key}.html"


def clock_of(client: Client, budget: Budget, here: datetime) -> datetime:
    """The server's clock, which dates everything that arrives; ours where it does not tell."""
    return client.request("GET", VERSION, budget=budget, passes={404}).date() or here


def link(client: Client, source_id: str, budget: Budget) -> str | None:
    """Where people see it; None where the platform does not tell. Costs a run nothing."""
    try:
        found = row(client, client.request("GET", INFO, budget=budget, passes={403, 404, 405}))
    except IngestError:
        return None
    base = (found or {}).get("public_platform_url")
    if not isinstance(base, str) or not base.startswith(("https://", "http://")):
        return None
    return f"{base.rstrip('/')}/home/data-engineering/sources/{source_id}"


# ---------------------------------------------------------------- source


def find_or_make_source(client: Client, target: Target, ingest: Ingest, budget: Budget) -> str:
    """The id of the source; made where no source has this name and type."""
    found = find_source(client, target, ingest.source.name, ingest.source.type, budget)
    if found is not None:
        return found
    return make_source(client, ingest.source, budget)


def make_source(client: Client, source: Source, budget: Budget) -> str:
    """Its id. A lost answer is looked up by name before anything is asked again."""
    body = json_body(
        {
            "name": source.name,
            "type": source.type,
            "description": source.description or f"dbt project {source.project}, {source.environment}",
            "reference": False,
            "sensitive": False,
            "visibility": source.visibility,
        }
    )
    for attempt in client.attempts(LostAnswer, budget, f"POST {PUBLISH_SOURCE}"):
        with attempt:
            if attempt.num > 1:
                made = _named_source(client, source.name, source.type, budget)
                if made is not None:
                    return made
            answer = client.request("POST", PUBLISH_SOURCE, body=body, budget=budget, is_repeatable=False)
            return identity(client, answer)
    raise AssertionError("a retry context ends with an answer or an error")


def find_source(client: Client, target: Target, name: str, type_: str, budget: Budget) -> str | None:
    """The source that was named by id, or the oldest of this name and type, or None.

    Raises SettingsError source-missing where the id is not there for this token.
    """
    if target.source_id:
        path = f"{SOURCES}/{target.source_id}"
        answer = client.request("GET", path, budget=budget, passes={404, 422})
        if answer.status == 422 or row(client, answer) is None:
            raise SettingsError(
                "source-missing",
                f"There is no source {target.source_id}, or not for this token.",
                expected="the id of a source that the token's user may see",
                looked=[f"{answer.where}: {answer.status}"],
                todo=["leave --source-id out: the source is found or made by its name"],
            )
        return target.source_id
    return _named_source(client, name, type_, budget)


def _named_source(client: Client, name: str, type_: str, budget: Budget) -> str | None:
    found = [
        str(source["id"])
        for page in listed(client, SOURCES, (), budget)
        for source in page
        if source.get("name") == name and source.get("type") == type_ and source.get("id") is not None
    ]
    return min(found, key=jobs.order, default=None)


# ---------------------------------------------------------------- plan


def planned(target: Target, ingest: Ingest, page: bytes) -> tuple[PlannedRequest, ...]:
    """Each write in order. Ids that only the platform knows stand in braces; reads are left out."""
    found = files(ingest, detail=target.metrics_detail)
    ids = "?source_id={source}&pack_id={pack}&pack_version_id={version}"
    create = json_body({"name": jobs.name(ingest), "status": "running"})
    requests = [
        PlannedRequest(
            method="POST",
            path=PUBLISH_SOURCE,
            size=len(to_json(ingest.source)),
            note=f"only where no source is named {ingest.source.name}",
        ),
        PlannedRequest(method="POST", path=CREATE, size=len(create.data), note=jobs.name(ingest)),
        *(
            PlannedRequest(
                method="POST", path=f"/api/v1/{kind}/upload{ids}", size=size, note=f"{count} {kind}"
            )
            for kind, size, count in _sizes(found)
            if count
        ),
    ]
    if page:
        path = "/api/v1/jobs/{job}/outputs"
        requests.append(PlannedRequest(method="POST", path=path, size=len(page), note=page_name(ingest)))
    close = json_body({"status": "succeeded"})
    closed = PlannedRequest(method="PUT", path=f"{jobs.JOBS}/{{job}}", size=len(close.data))
    requests.append(closed)
    for part in dimensions(target, ingest):
        note = f"{part.name}, under the pack {part.pack}"
        opened = PlannedRequest(method="POST", path=CREATE, size=len(create.data), note=note)
        rows = (("schemas", part.schemas), ("metrics", part.metrics))
        uploads = (
            PlannedRequest(method="POST", path=f"/api/v1/{kind}/upload{ids}", size=len(to_json(sent)))
            for kind, sent in rows
        )
        requests += [opened, *uploads, closed]
    return tuple(requests)


def _sizes(found: Files) -> list[tuple[str, int, int]]:
    return [
        ("schemas", len(to_json(found.schemas)), len(found.schemas)),
        ("metrics", len(to_json(found.metrics)), len(found.metrics)),
        ("recommendations", len(to_json(found.recommendations)), len(found.recommendations)),
        ("figures", len(to_json(found.figures)), len(found.figures["figures"])),
    ]
