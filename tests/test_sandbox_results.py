"""The results API of the stand-in, over real sockets, with each switch in both positions."""

from __future__ import annotations

import contextlib
import json
import re
from email.utils import parsedate_to_datetime
from time import time

import httpx
import pytest
from sandbox_samples import Client, document

from qalita_action import sandbox
from qalita_action.sandbox import Quirks


@contextlib.contextmanager
def platform(tmp_path, sub=1, **quirks):
    with (
        sandbox.running(tmp_path / "sandbox.db", quirks=Quirks(**quirks)) as server,
        httpx.Client(base_url=server.url, headers=bearer(server.token_for(sub)), timeout=30) as http,
    ):
        yield http, server


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def detail(response, status):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.json()["detail"]


def publish(http, name="acme-prod", **more):
    body = {"name": name, "type": "dbt", "description": "an example", "visibility": "internal", **more}
    return http.post("/api/v1/sources/publish", json=body)


def pack(http):
    (found,) = [p for p in http.get("/api/v2/packs").json() if p["name"].replace(" ", "_") == "dbt_ingest"]
    one = http.get(f"/api/v2/packs/{found['id']}").json()
    assert one["versions"][0]["sem_ver_id"] == "1.0.0"
    return {"pack_id": one["id"], "pack_version_id": one["versions"][0]["id"]}


def targets(http):
    return {"source_id": publish(http).json()["id"], **pack(http)}


def upload(http, kind, rows, ids):
    part = {"file": (f"{kind}.json", json.dumps(rows), "application/json")}
    return http.post(f"/api/v1/{kind}/upload", params=ids, files=part)


SCOPE = {"perimeter": "dataset", "value": "acme-prod"}
METRICS = [
    {"key": "score", "value": "0.67", "scope": SCOPE},
    {"key": "tests_total", "value": 3, "scope": SCOPE},
]
RECOMMENDATIONS = [{"content": "4 rows", "type": "dbt test failed", "level": "high", "scope": SCOPE}]
SCHEMAS = [{"key": "table", "value": "orders", "scope": {"perimeter": "table", "value": "orders"}}]
FIGURES = {
    "version": 1,
    "measures": {"score": {"unit": "ratio"}, "tests": {"unit": "count"}},
    "figures": [
        {
            "key": "tests_by_status",
            "intent": "composition",
            "of": "score",
            "scope": SCOPE,
            "dims": [{"name": "status", "type": "nominal"}],
            "measures": ["tests"],
            "rows": [["pass", 2], ["fail", 1]],
        }
    ],
}


def test_the_whole_sequence_of_a_client(tmp_path):
    with platform(tmp_path) as (http, server):
        assert re.fullmatch(r"\d+\.\d+\.\d+", http.get("/api/v1/version").json()["version"])
        assert http.get("/api/v1/info").json() == {"public_platform_url": server.url}
        assert http.get("/api/v2/users/1").json()["id"] == 1
        assert http.get("/api/v2/sources").json() == []
        ids = targets(http)
        source = http.get(f"/api/v2/sources/{ids['source_id']}").json()
        assert source == {
            "id": ids["source_id"],
            "name": "acme-prod",
            "type": "dbt",
            "visibility": "internal",
            "description": "an example",
            "sensitive": False,
            "reference": False,
        }
        assert http.get("/api/v2/sources").json() == [source]
        changed = http.put(f"/api/v2/sources/{ids['source_id']}", json={"description": "another"})
        assert (changed.status_code, changed.json()["description"]) == (200, "another")
        job = http.post(
            "/api/v2/jobs/create",
            json={"name": "run 1", "status": "running", "start_date": "2026-11-23 07:15:00", **ids},
        )
        assert job.status_code == 201
        path = f"/api/v2/jobs/{job.json()['id']}"
        assert http.get(path).json()["status"] == "running"
        assert http.get(path).json()["source"] == {"id": ids["source_id"]}
        for kind, rows in (("schemas", SCHEMAS), ("metrics", METRICS), ("recommendations", RECOMMENDATIONS)):
            assert upload(http, kind, rows, ids).status_code == 200
        assert upload(http, "figures", FIGURES, ids).json() == {"accepted": 1, "rejected": []}
        page = {"file": ("summary.html", "<h1>Red</h1><script>alert(1)</script>", "text/html")}
        output = http.post(f"/api/v1/jobs/{job.json()['id']}/outputs", files=page)
        assert output.status_code == 200
        closed = http.put(path, json={"status": "succeeded", "end_date": "2026-11-23 07:16:00"})
        assert (closed.status_code, closed.json()["status"]) == (200, "succeeded")
        (row,) = http.get("/api/v2/jobs", params={"status": ["succeeded", "failed"]}).json()
        assert (row["name"], row["pack"]["id"]) == ("run 1", ids["pack_id"])
        metrics = http.get("/api/v2/metrics", params={"source_id": ids["source_id"]}).json()
        assert {(m["key"], m["value"]) for m in metrics} == {("score", "0.67"), ("tests_total", "3")}
        assert metrics[0]["scope"] == SCOPE
        (recommendation,) = http.get("/api/v2/recommendations").json()
        assert {k: recommendation[k] for k in RECOMMENDATIONS[0]} == RECOMMENDATIONS[0]
        shown = httpx.get(f"{server.url}/jobs/{job.json()['id']}/outputs/{output.json()['id']}")
        assert shown.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert shown.text == "<h1>Red</h1><script>alert(1)</script>"


def test_a_pack_is_published_as_its_author_does(tmp_path):
    with platform(tmp_path, pack=False) as (http, server):
        assert http.get("/api/v2/packs").json() == []
        registry = http.get("/api/v2/registries").json()[0]["id"]
        made = http.post("/api/v1/packs/publish", json={"name": "my pack", "type": "validity"})
        assert made.status_code == 200
        params = {"registry_id": registry, "name": "p", "version": "1", "bucket": "packs", "type": "pack"}
        asset = http.post("/api/v1/assets/upload", params=params, files={"file": ("p.tar.gz", b"x")})
        path = f"/api/v1/packs/{made.json()['id']}/version"
        version = http.put(path, params={"sem_ver_id": "1.2.0", "asset_id": asset.json()["id"]})
        assert version.status_code == 200
        got = http.get(f"/api/v2/packs/{made.json()['id']}").json()
        assert got["versions"][0]["sem_ver_id"] == "1.2.0"
        assert http.put(f"/api/v2/packs/{got['id']}", json={"description": "new"}).status_code == 200
        assert http.get("/api/v2/packs").json()[0]["description"] == "new"
        other = bearer(server.token_for(3))
        detail(http.put(path, params={"sem_ver_id": "2.0.0", "asset_id": 1}, headers=other), 404)


def test_tokens_and_permissions(tmp_path):
    with platform(tmp_path) as (http, server):
        ids = targets(http)
        job = http.post("/api/v2/jobs/create", json={"name": "j", **ids}).json()["id"]
        private = publish(http, "mine", visibility="private").json()["id"]
        for path in ("/api/v1/version", "/api/v2/users/1", "/api/v2/jobs", "/api/v2/packs"):
            detail(httpx.get(server.url + path), 401)
            detail(
                httpx.get(server.url + path, headers=bearer(server.token_for(1, expires_at=time() - 1))), 401
            )
            detail(httpx.get(server.url + path, headers=bearer(server.token_for(99))), 401)
        stranger, colleague = bearer(server.token_for(2)), bearer(server.token_for(3))
        for path in (
            "/api/v2/users/1",
            f"/api/v2/sources/{ids['source_id']}",
            f"/api/v2/jobs/{job}",
            "/api/v2/sources/999",
            "/api/v2/packs/999",
        ):
            answer = http.get(path, headers=stranger)
            assert (answer.status_code, answer.content) == (204, b""), path
        assert http.get("/api/v2/jobs", headers=stranger).json() == []
        detail(http.put(f"/api/v2/jobs/{job}", json={"status": "failed"}, headers=stranger), 404)
        detail(http.put(f"/api/v2/sources/{private}", json={"description": "x"}, headers=colleague), 404)
        assert http.get(f"/api/v2/sources/{private}").status_code == 200
        assert http.get(f"/api/v2/sources/{private}", headers=colleague).status_code == 204
        assert http.get(f"/api/v2/sources/{ids['source_id']}", headers=colleague).status_code == 200
        for kind in ("metrics", "recommendations", "schemas"):
            part = {"file": (f"{kind}.json", "[]")}
            answer = http.post(f"/api/v1/{kind}/upload", params=ids, files=part, headers=stranger)
            detail(answer, 404)


def test_refusals(tmp_path):
    with platform(tmp_path) as (http, _):
        ids = targets(http)
        detail(http.post("/api/v2/jobs", json={}), 405)
        detail(http.get("/api/v2/nothing"), 404)
        assert isinstance(http.post("/api/v1/sources/publish", json={}).json()["detail"], list)
        assert upload(http, "metrics", METRICS, {"source_id": 1}).status_code == 422
        for rows in ({}, [1], [{"key": "score"}]):
            detail(upload(http, "metrics", rows, ids), 422)
        detail(http.post("/api/v1/metrics/upload", params=ids, files={"file": ("m.json", b"{")}), 422)
        detail(upload(http, "metrics", METRICS, {**ids, "pack_version_id": 99}), 404)
        job = http.post("/api/v2/jobs/create", json={"status": "done"})
        assert job.status_code == 422
        job = http.post("/api/v2/jobs/create", json={}).json()["id"]
        assert http.get(f"/api/v2/jobs/{job}").json()["status"] == "pending"
        for name in ("x.txt", ".html"):
            files = {"file": (name, b"x")}
            detail(http.post(f"/api/v1/jobs/{job}/outputs", files=files), 422)
        html = {"file": ("x.html", b"x")}
        detail(http.post("/api/v1/jobs/999/outputs", files=html), 404)
        for _ in range(20):
            assert http.post(f"/api/v1/jobs/{job}/outputs", files=html).status_code == 200
        detail(http.post(f"/api/v1/jobs/{job}/outputs", files=html), 422)


def test_a_bad_figure_is_rejected_alone(tmp_path):
    with platform(tmp_path) as (http, _):
        ids = targets(http)
        good = FIGURES["figures"][0]
        bad = [
            {**good, "key": "undeclared", "measures": ["nobody"]},
            {**good, "key": "dimless", "dims": []},
            {**good, "key": "ragged", "rows": [["pass"]]},
            {**good, "key": "long", "rows": [["pass", 1]] * 5001},
        ]
        body = upload(http, "figures", {**FIGURES, "figures": [*bad, good]}, ids).json()
        assert body["accepted"] == 1
        assert [r["key"] for r in body["rejected"]] == ["undeclared", "dimless", "ragged", "long"]
        assert all(r["error"] for r in body["rejected"])


# ---------------------------------------------------------------- the switches


@pytest.mark.parametrize(
    ("repeat", "status", "rows"), [("append", 200, 4), ("replace", 200, 2), ("conflict", 409, 2)]
)
def test_what_a_repeated_upload_does(tmp_path, repeat, status, rows):
    with platform(tmp_path, repeat_upload=repeat) as (http, _):
        ids = targets(http)
        assert upload(http, "metrics", METRICS, ids).status_code == 200
        assert upload(http, "metrics", METRICS, ids).status_code == status
        assert len(http.get("/api/v2/metrics").json()) == rows
        other = [{"key": "score", "value": "0.5", "scope": SCOPE}]
        assert upload(http, "metrics", other, ids).status_code == 200
        assert len(http.get("/api/v2/metrics").json()) == rows + 1


@pytest.mark.parametrize(
    ("repeat", "status", "count"), [("append", 200, 2), ("replace", 200, 1), ("conflict", 409, 1)]
)
def test_whether_source_names_are_unique(tmp_path, repeat, status, count):
    with platform(tmp_path, repeat_source=repeat) as (http, server):
        assert publish(http).status_code == 200
        assert publish(http).status_code == status
        assert len(http.get("/api/v2/sources").json()) == count
        assert publish(http, type="duckdb").status_code == 200
        assert (
            httpx.post(
                f"{server.url}/api/v1/sources/publish",
                json={"name": "acme-prod", "type": "dbt"},
                headers=bearer(server.token_for(2)),
            ).status_code
            == 200
        )


@pytest.mark.parametrize(("works", "found"), [(True, ["b"]), (False, ["c", "b", "a"])])
def test_whether_filters_work(tmp_path, works, found):
    with platform(tmp_path, list_filters=works) as (http, _):
        one, two = publish(http, "one").json()["id"], publish(http, "two").json()["id"]
        for name, source, status in (("a", one, "failed"), ("b", two, "succeeded"), ("c", two, "running")):
            http.post("/api/v2/jobs/create", json={"name": name, "source_id": source, "status": status})
        asked = {"source_id": two, "status": ["succeeded", "failed"]}
        assert [j["name"] for j in http.get("/api/v2/jobs", params=asked).json()] == found
        newest = http.get("/api/v2/jobs", params={"offset": 1, "limit": 1}).json()
        assert [j["name"] for j in newest] == ["b"]


@pytest.mark.parametrize(
    ("empty", "status", "body"), [("[]", 200, b"[]"), ("null", 200, b"null"), ("204", 204, b"")]
)
def test_what_an_empty_list_is(tmp_path, empty, status, body):
    with platform(tmp_path, empty_list=empty, pack=False) as (http, _):
        for path in ("jobs", "sources", "packs", "metrics", "recommendations", "issues"):
            answer = http.get(f"/api/v2/{path}")
            assert (answer.status_code, answer.content) == (status, body), path


@pytest.mark.parametrize("absent", [404, 405])
def test_an_older_platform(tmp_path, absent):
    with platform(tmp_path, figures=absent, outputs=absent) as (http, _):
        ids = targets(http)
        job = http.post("/api/v2/jobs/create", json={**ids}).json()["id"]
        detail(upload(http, "figures", FIGURES, ids), absent)
        html = {"file": ("x.html", b"x")}
        detail(http.post(f"/api/v1/jobs/{job}/outputs", files=html), absent)
        assert upload(http, "metrics", METRICS, ids).status_code == 200


@pytest.mark.parametrize("absent", [204, 403, 404, 405, 501])
def test_a_platform_without_the_ingestion_api(tmp_path, absent):
    with platform(tmp_path, ingestion=absent) as (http, _):
        for method, path in (("GET", ""), ("GET", "/runs"), ("PUT", f"/runs/{'0' * 32}")):
            answer = http.request(method, f"/api/v2/ingest{path}")
            assert answer.status_code == absent
            assert "code" not in answer.text
        assert http.get("/api/v1/version").status_code == 200


def test_the_frontend_host(tmp_path):
    with platform(tmp_path, front="html") as (http, _):
        for path in ("/api/v2/ingest", "/api/v1/version"):
            answer = http.get(path)
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/html")
    with platform(tmp_path, front="redirect") as (http, _):
        assert http.get("/api/v1/version").status_code == 307


@pytest.mark.parametrize("skew", [0.0, 3600.0, -86400.0])
def test_the_clock_of_the_platform(tmp_path, skew):
    with platform(tmp_path, clock_skew_s=skew) as (http, _):
        answer = http.get("/api/v1/version")
        assert answer.headers.get_list("date") == [answer.headers["date"]]
        seen = parsedate_to_datetime(answer.headers["date"]).timestamp()
        assert abs(seen - time() - skew) < 60
        upload(http, "metrics", METRICS, targets(http))
        created = http.get("/api/v2/metrics").json()[0]["created_at"]
        assert created[:13] == parsedate_to_datetime(http.get("/api/v1/version").headers["date"]).strftime(
            "%Y-%m-%dT%H"
        )


def test_types_workers_scopes_assets_and_addresses(tmp_path):
    with platform(
        tmp_path,
        dbt_type=False,
        worker_required=True,
        required_scopes=("metric.create",),
        repeat_asset="conflict",
        public_url="https://app.example.com",
        version="2.16.2",
    ) as (http, server):
        detail(http.get("/api/v1/version"), 401)
        http.headers.update(bearer(server.token_for(1, scopes=["metric.create"])))
        assert http.get("/api/v1/version").json() == {"version": "2.16.2"}
        assert http.get("/api/v1/info").json() == {"public_platform_url": "https://app.example.com"}
        detail(publish(http), 422)
        assert publish(http, type="duckdb").status_code == 200
        detail(http.post("/api/v2/jobs/create", json={}), 422)
        assert http.post("/api/v2/jobs/create", json={"worker_id": 4}).status_code == 201
        params = {"registry_id": 1, "name": "log", "bucket": "logs", "user_id": 1}
        for status in (200, 409):
            part = {"file": ("l.txt", b"x")}
            assert http.post("/api/v1/assets/upload", params=params, files=part).status_code == status
    with platform(tmp_path) as (http, _):
        again = [http.post("/api/v1/assets/upload", params=params, files={"file": ("l", b"y")}) for _ in "ab"]
        assert again[0].json() == again[1].json()


def test_every_switch_is_a_fact_of_the_table_and_every_fact_has_a_route(tmp_path):
    assert {f.switch for f in sandbox.FACTS} - {None} == set(Quirks.__struct_fields__)
    with platform(tmp_path) as (http, _):
        paths = http.get("/openapi.json").json()["paths"]
    shapes = {
        f"{method.upper()} {re.sub(r'{[a-z_]+}', '{id}', path)}"
        for path, item in paths.items()
        for method in item
    }
    for kind in ("metrics", "recommendations", "schemas"):
        shapes.add(f"POST /api/v1/{kind}/upload")
    general = {"every call", "GET anything/{id}", "GET lists", "POST /api/v2/jobs"}
    told = {fact.call for fact in sandbox.FACTS} - general
    assert told <= shapes
    results = {s for s in shapes if "/ingest" not in s and s != "POST /api/v1/{id}/upload"}
    assert results <= told, "a route of the results API that the table does not tell of"


def test_issues_of_runs_are_seen_here_too(tmp_path):
    with platform(tmp_path) as (http, server):
        assert Client(http, server.token).send(document("i", {"test.acme.a": "failed"})).status_code == 202
        (issue,) = http.get("/api/v2/issues").json()
        assert (issue["title"], issue["status"], issue["closed_at"]) == (
            "cause-test.acme.a failed",
            "open",
            None,
        )
        assert http.get("/api/v2/jobs").json() == []
