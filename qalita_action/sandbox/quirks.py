"""What the stand-in does where a real platform's behaviour is known, believed or unknown: one row per fact
with its confidence, one switch per unknown. Must not hold behaviour: the routes read it.

Confidence: A a shipped client does it, B official tutorial code, C documentation prose, D inference.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Confidence = Literal["A", "B", "C", "D"]
Repeat = Literal["append", "replace", "conflict"]


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """The switches. A status field holds 200 where the thing is there, else what its absence answers.

    front           api, or what a frontend host says to API calls: `html` (200, a page) or `redirect` (307)
    ingestion       status of the ingestion API: 200, or 204, 403, 404, 405, 501
    figures         status of figures/upload; outputs: of jobs/{id}/outputs
    repeat_upload   an upload identical to the last one of its kind, source and pack: its rows stand twice,
                    stand once, or it answers 409
    repeat_source   publishing a name and type that exist: a second source, the same one, or 409
    repeat_pack     publishing a pack's name that exists: a second pack, or 409
    foreign_pack    what changing another author's pack answers
    registry        whether there is a registry: packs cannot be published without
    repeat_asset    uploading an asset name that exists: the first one again, or 409
    list_filters    whether status, source_id and pack_id filter lists, or are ignored
    empty_list      what an empty list answers
    clock_skew_s    seconds that the platform's clock is ahead of the client's; Date and created_at show it
    pack            whether the pack "dbt ingest" with one version is there from the start
    dbt_type        whether a source of type "dbt" is accepted (else 422)
    worker_required whether a job without worker_id is refused (422)
    required_scopes scopes without which every call answers 401
    """

    front: Literal["api", "html", "redirect"] = "api"
    ingestion: int = 200
    figures: int = 200
    outputs: int = 200
    repeat_upload: Repeat = "append"
    repeat_source: Repeat = "append"
    repeat_pack: Literal["append", "conflict"] = "append"
    foreign_pack: Literal[403, 404] = 404
    registry: bool = True
    repeat_asset: Literal["first", "conflict"] = "first"
    list_filters: bool = True
    empty_list: Literal["[]", "null", "204"] = "[]"
    clock_skew_s: float = 0.0
    pack: bool = True
    dbt_type: bool = True
    worker_required: bool = False
    required_scopes: tuple[str, ...] = ()
    version: str = "3.2.1"
    public_url: str | None = None
    max_batch: int = 1000
    max_body_bytes: int = 10 * 1024 * 1024


class Fact(msgspec.Struct, frozen=True):
    """One line of the table: the call, what it does here, how sure that is, and the switch that turns it."""

    call: str
    behaviour: str
    confidence: Confidence
    switch: str | None = None


FACTS: tuple[Fact, ...] = (
    Fact("every call", "Authorization: Bearer JWT with sub, role, scopes, exp; else 401", "A"),
    Fact(
        "every call",
        "a missing scope answers 401; which are needed is unknown",
        "D",
        "required_scopes",
    ),
    Fact("every call", "errors are JSON with `detail`; bad parameters 422 with a list", "D"),
    Fact("every call", "the frontend is another host: it answers pages or redirects", "D", "front"),
    Fact("every call", "the server's clock dates what arrives, not the client's", "D", "clock_skew_s"),
    Fact("GET anything/{id}", "204: not found, or no permission", "A"),
    Fact("GET lists", "rows of the token's tenant only; offset, limit, newest first, 10,000 rows", "B"),
    Fact("GET lists", "filters status (repeated), source_id, pack_id", "B", "list_filters"),
    Fact("GET lists", "an empty list is [], null or 204", "A", "empty_list"),
    Fact("GET /api/v1/version", "{version}; clients and platforms share version numbers", "A", "version"),
    Fact("GET /api/v1/info", "{public_platform_url}: where links for people begin", "A", "public_url"),
    Fact("GET /api/v2/users/{id}", "200 for the token's own sub: the token check of clients", "A"),
    Fact("GET /api/v2/sources", "id, name, type, visibility, description, sensitive, reference", "A"),
    Fact("GET /api/v2/sources/{id}", "200 or 204; a private source is seen by its creator alone", "A"),
    Fact("POST /api/v1/sources/publish", "200 {id}; uniqueness of names is unknown", "D", "repeat_source"),
    Fact("POST /api/v1/sources/publish", "type dbt is probably accepted", "D", "dbt_type"),
    Fact("PUT /api/v2/sources/{id}", "200: description, visibility, sensitive, reference", "A"),
    Fact("GET /api/v2/packs", "names with spaces where the client wrote _ or -", "A", "pack"),
    Fact("GET /api/v2/packs/{id}", "versions [{id, sem_ver_id, asset_id}]", "A"),
    Fact("POST /api/v1/packs/publish", "200 {id}; uniqueness of names is unknown", "A", "repeat_pack"),
    Fact("PUT /api/v2/packs/{id}", "200; only the author may", "C", "foreign_pack"),
    Fact("PUT /api/v1/packs/{id}/version", "200; query sem_ver_id, asset_id", "A"),
    Fact("GET /api/v2/registries", "200 a list, 204 none", "A", "registry"),
    Fact("POST /api/v1/assets/upload", "the first file of a name is kept, given again", "A", "repeat_asset"),
    Fact("POST /api/v2/jobs/create", "201 {id}; without a status the job is pending", "A"),
    Fact("POST /api/v2/jobs/create", "worker_id may be left out", "D", "worker_required"),
    Fact("POST /api/v2/jobs", "405", "C"),
    Fact("GET /api/v2/jobs", "200 or 204; pending, running, succeeded, failed, killed", "A"),
    Fact("GET /api/v2/jobs/{id}", "200 or 204", "D"),
    Fact("PUT /api/v2/jobs/{id}", "200; a partial body", "A"),
    Fact("POST /api/v1/metrics/upload", "part `file`; query source_id, pack_id, pack_version_id; 200", "A"),
    Fact("POST /api/v1/metrics/upload", "a repeat: unknown; clients know a 409", "D", "repeat_upload"),
    Fact("POST /api/v1/recommendations/upload", "as metrics", "A", "repeat_upload"),
    Fact("POST /api/v1/schemas/upload", "as metrics", "A", "repeat_upload"),
    Fact(
        "POST /api/v1/figures/upload",
        "{accepted, rejected[]}; absent before 2.18",
        "A",
        "figures",
    ),
    Fact(
        "POST /api/v1/jobs/{id}/outputs",
        "html, images, 20 MiB, 20 files; not before 3.2",
        "A",
        "outputs",
    ),
    Fact("GET /api/v2/metrics", "value is text, scope is JSON", "B"),
    Fact("GET /api/v2/recommendations", "filters source_id and pack_id", "B"),
    Fact("GET /api/v2/issues", "title, description, status, scope; no call creates one", "B"),
    Fact("GET /api/v2/ingest", "no platform is known to have the ingestion API", "D", "ingestion"),
    Fact("GET /api/v2/ingest", "rows in a batch", "D", "max_batch"),
    Fact("GET /api/v2/ingest", "bytes of a decoded body", "D", "max_body_bytes"),
)
