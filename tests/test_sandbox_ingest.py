"""The ingestion API of the stand-in, over real sockets: once, whole, or not at all."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import random
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest
from sandbox_samples import (
    BASE,
    KINDS,
    Client,
    cause,
    check,
    cut,
    dataset,
    document,
    opening,
    result,
    run_key,
)

from qalita_action import sandbox

# Each test is a tenant of its own on one server: what one of them sees of another is a failure too.
TENANTS = tuple(sandbox.Account(n, f"user{n}@example.com", f"tenant{n}") for n in range(1, 400))
number = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with sandbox.running(tmp_path_factory.mktemp("sandbox") / "sandbox.db", accounts=TENANTS) as running:
        yield running


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server.url, timeout=30) as http:
        yield tenant(server, http)


def tenant(server, http):
    account = TENANTS[next(number)]
    return Client(http, server.token_for(account.id), account.partner)


def scored(client, key):
    """The state of a run once its scoring job is done."""
    for _ in range(500):
        state = client.get(f"/runs/{key}").json()
        if state["job"] and state["job"]["status"] in ("succeeded", "failed"):
            return state
        time.sleep(0.01)
    raise AssertionError(f"the scoring job was never done: {state}")


def only_source(client):
    (source,) = client.get("/sources").json()["items"]
    return source


def issues(client):
    return {i["key"]: i["status"] for i in client.get("/issues").json()["items"]}


def problem(response, status, code):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] and body["title"] and body["detail"]
    return body


# ---------------------------------------------------------------- the way of a run


def test_says_what_it_takes(client):
    body = client.get("").json()
    assert body["version"] == "1"
    assert body["max_batch"] >= 1000
    assert body["max_body_bytes"] >= 2**20
    assert "gzip" in body["features"]


def test_a_run_is_invisible_until_it_is_complete_and_then_whole(client, server):
    d = document("one", {"test.acme.a": "passed", "test.acme.b": "failed"})
    opened = client.open(d)
    assert opened.status_code == 201
    assert opened.json()["state"] == "open"
    client.send_rows(d)
    key = d["run"]["key"]
    state = client.get(f"/runs/{key}").json()
    assert (state["state"], state["job"], state["scores"]) == ("open", None, None)
    assert state["batches"]["checks"] == {"expected": 1, "received": [0]}
    for path in ("/runs", "/sources", "/datasets", "/issues", "/checks/test.acme.a/history"):
        assert client.get(path).json() == {"items": [], "next": None}, path
    problem(client.get(f"/runs/{key}/results"), 404, "run-unknown")
    page = httpx.get(opened.json()["url"])
    assert page.status_code == 404

    done = client.complete(d)
    assert done.status_code == 202
    body = done.json()
    assert body["rejected"] == []
    assert httpx.get(body["url"]).status_code == 200
    state = scored(client, key)
    assert (state["state"], state["job"]["status"]) == ("complete", "succeeded")
    assert state["job"]["id"] == body["job"]
    assert state["scores"] == d["scores"]
    assert state["rows"] == {k: len(d[k]) for k in KINDS}
    (run,) = client.get("/runs").json()["items"]
    assert {k: run[k] for k in ("source", "run", "ledger", "scores")} == {
        k: d[k] for k in ("source", "run", "ledger", "scores")
    }
    assert issues(client) == {"cause-test.acme.b": "open"}
    source = only_source(client)
    assert (source["name"], source["score"]) == ("acme-prod", 0.5)
    assert client.get(f"/sources/{source['id']}").json()["course"] == [
        {
            "run": key,
            "completed_at": "2026-11-23T07:15:00Z",
            "overall": 0.5,
            "overall_reason": None,
            "by_dimension": {"completeness": 0.5},
        }
    ]


def test_rows_are_kept_as_they_came_and_in_columns_of_the_same_names(client, server):
    d = document("rows", {f"test.acme.{n}": "passed" for n in range(25)})
    d["results"][3] = result("test.acme.3", "failed", failures=0.25, caused_by=["model.acme.orders"])
    d["causes"] = [cause("c", ["test.acme.3"], consequences=["test.acme.4"])]
    assert client.send(d, size=10).status_code == 202
    stored = server.stored(d["run"]["key"], client.partner)
    assert stored.pop("state") == "complete"
    assert stored == d
    assert sandbox.stored_document(server.database, run_key("never"), client.partner) is None
    connection = sqlite3.connect(server.database)
    connection.row_factory = sqlite3.Row
    try:
        for kind in KINDS:
            rows = connection.execute(
                f"SELECT t.* FROM {kind} t JOIN runs r ON r.id = t.run_id"
                " WHERE r.partner = ? ORDER BY t.batch, t.position",
                [client.partner],
            ).fetchall()
            assert len(rows) == len(d[kind])
            for row, sent in zip(rows, d[kind], strict=True):
                for name, value in sent.items():
                    held = row[name]
                    if isinstance(value, (list, dict)):
                        held = json.loads(held)
                    assert held == value, (kind, name)
    finally:
        connection.close()


def test_gzip_bodies_and_empty_kinds(client, server):
    d = document("zip", {"test.acme.a": "passed"})
    assert client.open(d, zipped=True).status_code == 201
    for kind, batches in cut(d).items():
        for n, rows in enumerate(batches):
            assert client.batch(d, kind, n, rows, zipped=True).json() == {
                "accepted": len(rows),
                "rejected": [],
            }
    assert opening(d)["batches"]["causes"] == 0
    assert client.complete(d).status_code == 202
    assert server.stored(d["run"]["key"], client.partner)["results"] == d["results"]


def test_a_run_of_nothing_is_a_run(client):
    d = document("nothing", {}, datasets=[], run={"verdict": "nothing_selected"})
    assert client.send(d).status_code == 202
    scored(client, d["run"]["key"])
    assert only_source(client)["score"] is None
    assert only_source(client)["score_reason"] == "nothing counted"


# ---------------------------------------------------------------- once


def test_the_same_write_is_done_once_and_answered_alike(client, server):
    d = document("once", {"test.acme.a": "failed"})
    first = client.open(d)
    again = client.open(d)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert (first.headers["idempotency-replayed"], again.headers["idempotency-replayed"]) == ("false", "true")
    for _ in range(2):
        client.send_rows(d)
    done = [client.complete(d) for _ in range(3)]
    assert [r.status_code for r in done] == [202, 202, 202]
    assert len({r.text for r in done}) == 1
    assert len(client.get("/runs").json()["items"]) == 1
    assert client.get(f"/runs/{d['run']['key']}").json()["rows"]["results"] == 1
    assert len(client.get("/issues").json()["items"]) == 1


def test_another_attempt_with_the_same_content_finds_the_run_complete(client):
    d = document("again", {"test.acme.a": "passed"})
    client.send(d)
    other = json.loads(json.dumps(d))
    other["run"]["ci"]["attempt"] = 2
    answer = client.open(other)
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["restarted"]) == ("complete", False)
    late = client.write("POST", f"/runs/{d['run']['key']}/complete", "complete", 0, d["run"]["key"], {})
    assert late.status_code == 200
    assert late.json() == client.complete(d).json()


def test_a_complete_run_does_not_change(client, server):
    d = document("fixed", {"test.acme.a": "passed"})
    client.send(d)
    other = document("fixed", {"test.acme.a": "failed"})
    body = problem(client.open(other), 409, "run-differs")
    assert body["content_digest"] == d["run"]["content_digest"]
    problem(client.batch(d, "results", 0, other["results"]), 409, "run-complete")
    assert server.stored(d["run"]["key"], client.partner)["results"] == d["results"]


def test_an_open_run_is_resumed_by_the_same_content_and_begun_anew_by_another(client, server):
    d = document("resume", {"test.acme.a": "passed"})
    client.open(d)
    client.batch(d, "datasets", 0, d["datasets"])
    client.batch(d, "checks", 0, d["checks"])
    other_attempt = json.loads(json.dumps(d))
    other_attempt["run"]["ci"]["attempt"] = 2
    answer = client.open(other_attempt)
    assert (answer.status_code, answer.json()["restarted"]) == (200, False)
    assert client.get(f"/runs/{d['run']['key']}").json()["batches"]["checks"]["received"] == [0]

    changed = document("resume", {"test.acme.a": "failed"})
    answer = client.open(changed)
    assert (answer.status_code, answer.json()["restarted"]) == (200, True)
    received = client.get(f"/runs/{d['run']['key']}").json()["batches"]
    assert [b["received"] for b in received.values()] == [[], [], [], []]
    # The same bytes as before the restart: their old answer is void, for what it told of is gone.
    answer = client.batch(changed, "checks", 0, changed["checks"])
    assert answer.headers["idempotency-replayed"] == "false"
    assert client.send(changed).status_code == 202
    assert server.stored(changed["run"]["key"], client.partner)["results"] == changed["results"]


def test_going_back_to_the_first_content_begins_anew_too(client, server):
    first, second = (document("back", {"test.acme.a": s}) for s in ("passed", "failed"))
    client.open(first)
    client.open(second)
    client.send_rows(second)
    answer = client.open(first)
    assert (answer.status_code, answer.json()["restarted"]) == (200, True)
    assert client.send(first).status_code == 202
    assert server.stored(first["run"]["key"], client.partner)["results"] == first["results"]
    assert server.stored(first["run"]["key"], client.partner)["causes"] == []


def test_the_same_content_cut_otherwise_begins_anew(client, server):
    d = document("cut", {f"test.acme.{n}": "passed" for n in range(6)})
    client.open(d, size=2)
    client.batch(d, "checks", 2, d["checks"][4:])
    assert client.open(d, size=3).json()["restarted"] is True
    assert client.send(d, size=3).status_code == 202
    assert server.stored(d["run"]["key"], client.partner)["checks"] == d["checks"]


def half_sent(server, token, path, key, body):
    """A socket on which a write has begun and not ended."""
    address = urlsplit(server.url)
    digest = hashlib.sha256(body).hexdigest()[:16]
    head = (
        f"PUT {BASE}{path} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {token}\r\n"
        f"Idempotency-Key: {key}/{digest}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    sock = socket.create_connection((address.hostname, address.port), timeout=30)
    sock.sendall(head.encode() + body[:10])
    return sock


def test_a_twin_in_flight_is_told_to_wait(client, server):
    d = document("twin", {"test.acme.a": "passed"})
    key = d["run"]["key"]
    body = json.dumps({"rows": d["datasets"]}).encode()
    for _ in range(50):  # whichever of the two comes first; asked again until it is the half one
        client.open(document("twin", {"test.acme.z": "passed"}))
        client.open(d)
        with half_sent(server, client.token, f"/runs/{key}/datasets/0", f"{key}/datasets/0", body) as sock:
            time.sleep(0.05)
            answer = client.batch(d, "datasets", 0, d["datasets"])
            if answer.status_code != 409:
                continue
            problem(answer, 409, "in-progress")
            assert int(answer.headers["retry-after"]) >= 1
            sock.sendall(body[10:])
            first = b""
            while chunk := sock.recv(65536):
                first += chunk
            break
    assert first.startswith(b"HTTP/1.1 200")
    again = client.batch(d, "datasets", 0, d["datasets"])
    assert again.status_code == 200
    assert again.headers["idempotency-replayed"] == "true"


def test_a_writer_that_goes_away_does_not_hold_its_key(client, server):
    d = document("gone", {"test.acme.a": "passed"})
    client.open(d)
    key = d["run"]["key"]
    body = json.dumps({"rows": d["datasets"]}).encode()
    half_sent(server, client.token, f"/runs/{key}/datasets/0", f"{key}/datasets/0", body).close()
    for _ in range(500):
        answer = client.batch(d, "datasets", 0, d["datasets"])
        if answer.status_code == 200:
            break
        problem(answer, 409, "in-progress")
        time.sleep(0.01)
    assert answer.json()["accepted"] == 1


def test_only_2xx_answers_are_kept(client):
    d = document("kept", {"test.acme.a": "passed"})
    problem(client.batch(d, "datasets", 0, d["datasets"]), 404, "run-unknown")
    problem(client.complete(d), 404, "run-unknown")
    client.open(d)
    assert client.batch(d, "datasets", 0, d["datasets"]).status_code == 200
    body = problem(client.complete(d), 409, "batches-missing")
    assert body["missing"] == {"checks": [0], "results": [0]}
    client.send_rows(d)
    assert client.complete(d).status_code == 202


def test_four_writers_at_once_lose_and_double_nothing(server):
    d = document("many", {f"test.acme.{n}": "passed" for n in range(2000)})
    with httpx.Client(base_url=server.url, timeout=60) as http, ThreadPoolExecutor(4) as pool:
        client = tenant(server, http)
        client.open(d, size=50)
        for kind, batches in cut(d, 50).items():
            twice = [(n, rows) for n, rows in enumerate(batches) for _ in range(2)]
            answers = list(pool.map(lambda t, k=kind: client.batch(d, k, *t), twice))
            for a in answers:
                assert a.status_code == 200 or a.json()["code"] == "in-progress"
        assert client.complete(d).status_code == 202
    assert server.stored(d["run"]["key"], client.partner)["checks"] == d["checks"]
    assert server.stored(d["run"]["key"], client.partner)["results"] == d["results"]


# ---------------------------------------------------------------- refusals


def test_tokens(client, server):
    def ask(headers):
        return httpx.get(f"{server.url}{BASE}", headers=headers)

    problem(ask({}), 401, "token-missing")
    problem(ask({"Authorization": "Basic YTpi"}), 401, "token-missing")
    problem(ask({"Authorization": "Bearer nonsense"}), 401, "token-malformed")
    assert ask({}).headers["www-authenticate"] == "Bearer"
    head, body, signature = server.token.split(".")
    problem(ask({"Authorization": f"Bearer {head}.{body}.{signature[::-1]}"}), 401, "token-malformed")
    unsigned = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
    problem(ask({"Authorization": f"Bearer {unsigned}.{body}."}), 401, "token-malformed")
    expired = server.token_for(1, expires_at=time.time() - 5)
    problem(ask({"Authorization": f"Bearer {expired}"}), 401, "token-expired")
    problem(ask({"Authorization": f"Bearer {server.token_for(999)}"}), 401, "user-unknown")
    problem(ask({"Authorization": f"Bearer {sandbox.make_token(b'another')}"}), 401, "token-malformed")
    assert ask({"Authorization": f"Bearer {sandbox.development_token(server.database)}"}).status_code == 200


def test_another_tenant_sees_nothing_and_may_use_the_same_key(client, server):
    d = document("tenant", {"test.acme.a": "failed"})
    client.send(d)
    source = only_source(client)
    other = tenant(server, client.http)
    key = d["run"]["key"]
    problem(other.get(f"/runs/{key}"), 404, "run-unknown")
    problem(other.get(f"/runs/{key}/results"), 404, "run-unknown")
    problem(other.get(f"/sources/{source['id']}"), 404, "not-found")
    problem(other.get("/datasets", run=key), 404, "run-unknown")
    problem(other.batch(d, "results", 0, d["results"]), 404, "run-unknown")
    problem(other.complete(d), 404, "run-unknown")
    for path in ("/runs", "/sources", "/datasets", "/issues", "/checks/test.acme.a/history"):
        assert other.get(path).json()["items"] == [], path
    assert other.send(d).status_code == 202
    assert len(other.get("/runs").json()["items"]) == 1
    assert only_source(other)["id"] != source["id"]


def test_the_idempotency_key_is_read(client):
    d = document("key", {"test.acme.a": "passed"})
    key, body = d["run"]["key"], opening(d)
    digest = hashlib.sha256(json.dumps(body).encode()).hexdigest()[:16]

    def put(value):
        headers = {**client.auth, "Content-Type": "application/json"}
        if value is not None:
            headers["Idempotency-Key"] = value
        return client.http.put(f"{BASE}/runs/{key}", content=json.dumps(body).encode(), headers=headers)

    problem(put(None), 400, "idempotency-key-missing")
    for wrong in ("x", f"{key}/run/0", f"{key}/run/0/{digest}0", f"{key}/runs/0/{digest}"):
        problem(put(wrong), 400, "idempotency-key-malformed")
    for other in (
        f"{run_key('x')}/run/0/{digest}",
        f"{key}/run/1/{digest}",
        f"{key}/checks/0/{digest}",
        f"{key}/run/0/{'0' * 16}",
    ):
        problem(put(other), 422, "idempotency-key-mismatch")
    assert put(f"{key}/run/0/{digest}").status_code == 201


def test_bodies_that_cannot_be_read(client):
    d = document("body", {"test.acme.a": "passed"})
    key = d["run"]["key"]

    def put(data, **kw):
        return client.write("PUT", f"/runs/{key}", "run", 0, key, data, **kw)

    problem(put(b"{"), 400, "body-unreadable")
    problem(put(b'{"a": "\xff"}'), 400, "body-unreadable")
    problem(put(b"[" * 5000), 400, "body-unreadable")
    problem(put(b"[]"), 422, "run-malformed")
    problem(put(b"{}", **{"Content-Encoding": "br"}), 415, "encoding-unknown")
    problem(put(b"not gzip", **{"Content-Encoding": "gzip"}), 400, "body-unreadable")
    half = gzip.compress(json.dumps(opening(d)).encode())[:-9]
    sent = {"Content-Encoding": "gzip", "Idempotency-Key": f"{key}/run/0/{'0' * 16}"}
    problem(put(half, **sent), 400, "body-unreadable")
    problem(client.get("/nowhere"), 404, "not-found")
    problem(client.http.delete(BASE, headers=client.auth), 405, "method-not-allowed")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: d.update(schemaVersion="2"), "schema-version-unknown"),
        (lambda d: d.pop("schemaVersion"), "run-malformed"),
        (lambda d: d["run"].update(key=run_key("other")), "run-malformed"),
        (lambda d: d["run"].update(completed_at="yesterday"), "run-malformed"),
        (lambda d: d["run"].update(completed_at="2026-02-30T00:00:00Z"), "run-malformed"),
        (lambda d: d["run"].update(extent="most"), "run-malformed"),
        (lambda d: d["run"].pop("extent"), "run-malformed"),
        (lambda d: d["scores"].update(overall=1.5), "run-malformed"),
        (lambda d: d["scores"].update(overall="1"), "run-malformed"),
        (lambda d: d["batches"].update(checks=-1), "run-malformed"),
        (lambda d: d["ledger"]["data_test"].update(passed=9), "run-malformed"),
        (lambda d: d["ledger"]["data_test"].update(expected=9), "run-malformed"),
    ],
)
def test_a_run_that_does_not_follow_the_contract(client, change, code):
    d = document("bad", {"test.acme.a": "passed"})
    body = json.loads(json.dumps(opening(d)))
    change(body)
    key = d["run"]["key"]
    problem(client.write("PUT", f"/runs/{key}", "run", 0, key, body), 422, code)
    problem(client.get(f"/runs/{key}"), 404, "run-unknown")


def test_members_of_a_newer_client_are_kept(client, server):
    d = document("newer", {"test.acme.a": "passed"})
    d["checks"][0]["invented"] = {"deep": [1]}
    d["run"]["invented"] = True
    assert client.send(d).status_code == 202
    stored = server.stored(d["run"]["key"], client.partner)
    assert stored["checks"][0]["invented"] == {"deep": [1]}
    assert stored["run"]["invented"] is True


def test_limits(tmp_path):
    quirks = sandbox.Quirks(max_batch=3, max_body_bytes=20_000)
    d = document("limits", {f"test.acme.{n}": "passed" for n in range(4)})
    with (
        sandbox.running(tmp_path / "x.db", quirks=quirks) as server,
        httpx.Client(base_url=server.url) as http,
    ):
        client = Client(http, server.token)
        client.open(d)
        problem(client.batch(d, "results", 0, d["results"]), 413, "batch-too-large")
        big = [result("test.acme.0", message="x" * 30_000)]
        problem(client.batch(d, "results", 0, big), 413, "body-too-large")
        problem(client.batch(d, "results", 0, big, zipped=True), 413, "body-too-large")
        assert client.batch(d, "results", 0, d["results"][:3]).status_code == 200


def test_batches_out_of_range_or_of_no_kind(client):
    d = document("range", {"test.acme.a": "passed"})
    client.open(d)
    problem(client.batch(d, "checks", 1, d["checks"]), 422, "batch-out-of-range")
    key = d["run"]["key"]
    odd = client.write("PUT", f"/runs/{key}/rows/0", "checks", 0, key, {"rows": []})
    problem(odd, 422, "parameter-malformed")
    problem(
        client.write("PUT", f"/runs/{key}/checks/0", "checks", 0, key, {"rows": 1}), 422, "batch-malformed"
    )
    problem(client.write("PUT", "/runs/short", "run", 0, key, {}), 422, "parameter-malformed")


# ---------------------------------------------------------------- rows and references


def test_only_malformed_rows_are_rejected(client):
    d = document("rows", {f"test.acme.{n}": "passed" for n in range(5)})
    rows = list(d["checks"])
    rows[1] = {**rows[1], "kind": "hunch"}
    rows[2] = {k: v for k, v in rows[2].items() if k != "dimension"}
    rows[3] = "not a row"
    rows.append(rows[0])
    client.open(d)
    body = client.batch(d, "checks", 0, rows).json()
    assert body["accepted"] == 2
    assert [(r["key"], r["code"]) for r in body["rejected"]] == [
        ("test.acme.1", "row-malformed"),
        ("test.acme.2", "row-malformed"),
        ("#3", "row-malformed"),
        ("test.acme.0", "key-twice"),
    ]
    assert all(r["detail"] and "hunch" not in r["detail"] for r in body["rejected"])


def test_a_key_of_another_batch_is_rejected_and_a_batch_sent_anew_replaces_itself(client, server):
    d = document("twice", {f"test.acme.{n}": "passed" for n in range(4)})
    client.open(d, size=2)
    client.batch(d, "checks", 0, d["checks"][:2])
    body = client.batch(d, "checks", 1, [d["checks"][1], d["checks"][2]]).json()
    assert [(r["key"], r["code"]) for r in body["rejected"]] == [("test.acme.1", "key-twice")]
    assert client.batch(d, "checks", 1, d["checks"][2:]).json() == {"accepted": 2, "rejected": []}
    assert server.stored(d["run"]["key"], client.partner)["checks"] == d["checks"]


def test_what_points_nowhere_comes_back(client, server):
    d = document("refs", {"test.acme.a": "passed", "test.acme.b": "passed", "test.acme.c": "passed"})
    d["checks"][1]["dataset"] = "model.acme.ghost"
    d["results"].pop(2)
    d["results"].append(result("test.acme.ghost", "failed"))
    d["causes"] = [cause("good", ["test.acme.a"]), cause("bad", ["test.acme.ghost"])]
    done = client.send(d)
    assert done.status_code == 202
    assert {(r["kind"], r["key"], r["code"]) for r in done.json()["rejected"]} == {
        ("checks", "test.acme.b", "dataset-unknown"),
        ("results", "test.acme.b", "check-unknown"),
        ("results", "test.acme.ghost", "check-unknown"),
        ("checks", "test.acme.c", "result-missing"),
        ("causes", "bad", "check-unknown"),
    }
    stored = server.stored(d["run"]["key"], client.partner)
    assert [c["key"] for c in stored["checks"]] == ["test.acme.a", "test.acme.c"]
    assert [r["check"] for r in stored["results"]] == ["test.acme.a"]
    assert [c["key"] for c in stored["causes"]] == ["good"]


def test_numbers_without_end_are_kept_or_refused(client, server):
    d = document("huge", {"test.acme.a": "failed"})
    d["checks"][0]["arguments"] = {"min_value": 10**40}
    d["run"]["dbt_exit_code"] = 10**40
    client.open(d)
    rows = [result("test.acme.a", "failed", failures=10**40), d["checks"][0] | {"line": 2**60}]
    assert [r["code"] for r in client.batch(d, "results", 0, rows[:1]).json()["rejected"]] == [
        "row-malformed"
    ]
    assert [r["code"] for r in client.batch(d, "checks", 0, rows[1:]).json()["rejected"]] == ["row-malformed"]
    assert client.send(d).status_code == 202
    stored = server.stored(d["run"]["key"], client.partner)
    assert stored["checks"] == d["checks"]
    assert stored["run"] == d["run"]


# ---------------------------------------------------------------- time


def at(hour):
    return f"2026-11-23T{hour:02}:00:00Z"


def test_a_late_run_changes_neither_score_nor_issue(client):
    bad, good = {"test.acme.a": "failed"}, {"test.acme.a": "passed"}
    new = document("new", good, completed_at=at(12))
    client.send(new)
    scored(client, new["run"]["key"])
    late = document("late", bad, completed_at=at(9))
    client.send(late)
    scored(client, late["run"]["key"])
    assert only_source(client)["score"] == 1.0
    assert only_source(client)["score_run"] == new["run"]["key"]
    (issue,) = client.get("/issues").json()["items"]
    assert (issue["status"], issue["opened_at"], issue["resolved_at"]) == ("resolved", at(9), at(12))
    course = client.get(f"/sources/{only_source(client)['id']}").json()["course"]
    assert [p["overall"] for p in course] == [0.0, 1.0]
    runs = client.get("/runs").json()["items"]
    assert [r["key"] for r in runs] == [new["run"]["key"], late["run"]["key"]]


def test_a_late_green_run_resolves_nothing(client):
    client.send(document("red", {"test.acme.a": "failed"}, completed_at=at(12)))
    client.send(document("green", {"test.acme.a": "passed"}, completed_at=at(9)))
    assert issues(client) == {"cause-test.acme.a": "open"}


def test_fractions_of_a_second_count(client):
    client.send(document("red", {"test.acme.a": "failed"}, completed_at="2026-11-23T12:00:00Z"))
    client.send(document("green", {"test.acme.a": "passed"}, completed_at="2026-11-23T12:00:00.000001Z"))
    assert issues(client) == {"cause-test.acme.a": "resolved"}


def test_a_run_without_a_time_is_older_than_all(client):
    client.send(document("red", {"test.acme.a": "failed"}, completed_at=at(9)))
    unknown = document("green", {"test.acme.a": "passed"}, completed_at=None)
    client.send(unknown)
    scored(client, unknown["run"]["key"])
    assert issues(client) == {"cause-test.acme.a": "open"}
    assert only_source(client)["score"] == 0.0


@pytest.mark.parametrize(
    "change",
    [
        {"ci": {"change_id": "17"}},
        {"ci": {"event": "merge_group"}},
        {"git": {"branch": "feature"}},
        {"run": {"extent": "partial"}},
    ],
)
def test_change_and_partial_runs_move_nothing(client, change):
    red, green = {"test.acme.a": "failed"}, {"test.acme.a": "passed"}
    client.send(document("base", {"test.acme.a": "failed", "test.acme.b": "passed"}, completed_at=at(8)))
    before = issues(client)
    for n, statuses in enumerate((green, red, {"test.acme.c": "failed"})):
        d = document(f"change{n}", statuses, completed_at=at(10 + n), **change)
        assert client.send(d).status_code == 202
        assert scored(client, d["run"]["key"])["job"]["status"] == "succeeded"
    assert issues(client) == before == {"cause-test.acme.a": "open"}
    assert only_source(client)["score"] == 0.5
    assert len(client.get(f"/sources/{only_source(client)['id']}").json()["course"]) == 1
    assert len(client.get("/runs").json()["items"]) == 4


def test_a_change_run_does_not_make_a_later_arrival_late(client):
    client.send(document("change", {"test.acme.a": "passed"}, completed_at=at(12), ci={"change_id": "1"}))
    client.send(document("main", {"test.acme.a": "failed"}, completed_at=at(11)))
    assert issues(client) == {"cause-test.acme.a": "open"}


def test_an_issue_opens_resolves_and_opens_again(client):
    def send(hour, status):
        client.send(document(f"h{hour}", {"test.acme.a": status}, completed_at=at(hour)))
        (issue,) = client.get("/issues").json()["items"]
        return issue

    first = send(8, "failed")
    assert (first["status"], first["opened_at"], first["times_opened"]) == ("open", at(8), 1)
    still = send(9, "errored")
    assert (still["id"], still["status"], still["opened_at"], still["last_seen_at"]) == (
        first["id"],
        "open",
        at(8),
        at(9),
    )
    for hour, status in ((10, "skipped"), (11, "not_run"), (12, "unknown"), (13, "warned"), (14, "reused")):
        assert send(hour, status)["status"] == "open", status
    gone = send(15, "passed")
    assert (gone["status"], gone["resolved_at"], gone["resolved_run"]) == ("resolved", at(15), run_key("h15"))
    back = send(16, "failed")
    assert (back["id"], back["status"], back["times_opened"], back["resolved_at"]) == (
        first["id"],
        "open",
        2,
        None,
    )


def test_an_issue_needs_all_its_checks_to_pass(client):
    both = [cause("c", ["test.acme.a", "test.acme.b"])]
    red = {"test.acme.a": "failed", "test.acme.b": "failed"}
    client.send(document("1", red, completed_at=at(8), causes=both))
    client.send(document("2", {"test.acme.a": "passed"}, completed_at=at(9), run={"extent": "selected"}))
    assert issues(client) == {"c": "open"}
    client.send(document("3", dict.fromkeys(red, "passed"), completed_at=at(10)))
    assert issues(client) == {"c": "resolved"}


def test_an_issue_without_checks_is_not_resolved_by_silence(client):
    broken = dataset("model.acme.orders", run={"status": "errored", "duration_s": 1, "message": None})
    client.send(
        document(
            "1", {"test.acme.a": "skipped"}, completed_at=at(8), causes=[cause("m", [])], datasets=[broken]
        )
    )
    unbuilt = dataset("model.acme.orders", run=None)
    client.send(document("2", {"test.acme.a": "passed"}, completed_at=at(9), datasets=[unbuilt]))
    assert issues(client) == {"m": "open"}
    client.send(document("3", {"test.acme.a": "passed"}, completed_at=at(10)))
    assert issues(client) == {"m": "resolved"}


FACTS = [f"{what}_{fact}" for what in ("opened", "last_seen", "resolved") for fact in ("run", "at")]
STATE = ("key", "status", "level", "title", "dataset", "checks", "times_opened", *FACTS)


@pytest.mark.parametrize("seed", range(6))
def test_issues_and_scores_are_the_same_whatever_the_order_of_arrival(client, server, seed):
    """Three checks that break and heal over fourteen hours, two of them one cause at times, some runs partial, some
    of a change, two at the same time: in order, and then shuffled."""
    rng = random.Random(seed)
    runs = []
    for n in range(14):
        statuses = {f"test.acme.{c}": rng.choice(["passed", "passed", "failed", "skipped"]) for c in "abc"}
        broken = [k for k, s in statuses.items() if s == "failed"]
        both = [cause("both", broken)] if len(broken) > 1 and rng.random() < 0.5 else None
        change = rng.choice([{}] * 4 + [{"run": {"extent": "partial"}}, {"ci": {"change_id": "1"}}])
        described = {"description": f"as of {n}"}
        hour = 3 if n == 4 else n
        runs.append(
            document(f"r{n}", statuses, completed_at=at(hour), causes=both, source=described, **change)
        )
    seen = []
    for order in (runs, rng.sample(runs, len(runs)), runs[::-1]):
        tenants = tenant(server, client.http)
        for d in order:
            assert tenants.send(d).status_code == 202
        for d in order:
            scored(tenants, d["run"]["key"])
        found = tenants.get("/issues").json()["items"]
        source = only_source(tenants)
        facts = {name: source[name] for name in ("description", "score", "score_run", "score_at")}
        seen.append((sorted([[i[name] for name in STATE] for i in found], key=str), facts))
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][0]


# ---------------------------------------------------------------- reading


def pages(client, path, **params):
    seen, before = [], None
    while True:
        answer = client.get(path, **params, **({"before": before} if before else {}))
        assert answer.status_code == 200, answer.text
        body = answer.json()
        seen.append(body["items"])
        before = body["next"]
        if before is None:
            assert "link" not in answer.headers
            return seen
        assert 'rel="next"' in answer.headers["link"]


def test_lists_are_cut_into_pages_that_lose_and_double_nothing(client):
    hours = [3, 1, 4, 4, 5, 9, 2, 6]
    for n, hour in enumerate(hours):
        client.send(document(f"p{n}", {f"test.acme.{m}": "failed" for m in range(3)}, completed_at=at(hour)))
    cut_up = pages(client, "/runs", limit=3)
    assert [len(p) for p in cut_up] == [3, 3, 2]
    runs = [r for p in cut_up for r in p]
    assert [r["run"]["completed_at"] for r in runs] == [at(h) for h in sorted(hours, reverse=True)]
    assert len({r["key"] for r in runs}) == len(hours)
    assert [r["run"]["completed_at"] for r in client.get("/runs", before=at(4)).json()["items"]] == [
        at(3),
        at(2),
        at(1),
    ]
    results = [r for p in pages(client, f"/runs/{runs[0]['key']}/results", limit=2) for r in p]
    assert [r["check"] for r in results] == [f"test.acme.{m}" for m in range(3)]
    assert [r["alias"] for r in results] == [check(f"test.acme.{m}")["alias"] for m in range(3)]
    history = [r for p in pages(client, "/checks/test.acme.1/history", limit=3) for r in p]
    assert [h["completed_at"] for h in history] == [at(h) for h in sorted(hours, reverse=True)]
    found = [i for p in pages(client, "/issues", limit=2) for i in p]
    assert len(found) == 3
    assert [d["key"] for d in client.get("/datasets").json()["items"]] == ["model.acme.orders"]
    for wrong in ("2026-11-23T04:00:00+05:00", "2026-02-30T00:00:00Z", "T", "5." + "0" * 31):
        problem(client.get("/runs", before=wrong), 422, "parameter-malformed")
    for path in ("/runs", "/issues", "/sources", "/datasets"):
        problem(client.get(path, before="nonsense"), 422, "parameter-malformed")
        problem(client.get(path, limit=0), 422, "parameter-malformed")


def test_runs_are_found_by_what_they_are(client):
    client.send(document("a", {"test.acme.a": "passed"}, completed_at=at(1)))
    ci = {"environment": "ci", "name": "acme-ci"}
    branch = {"branch": "feature"}
    client.send(
        document(
            "b", {"test.acme.a": "passed"}, completed_at=at(2), source=ci, git=branch, ci={"change_id": "7"}
        )
    )
    client.send(document("c", {"test.acme.a": "passed"}, completed_at=at(3), run={"extent": "selected"}))

    def found(**params):
        return [r["run"]["invocation_ids"][0] for r in client.get("/runs", **params).json()["items"]]

    assert found() == ["c", "b", "a"]
    assert found(environment="prod") == ["c", "a"]
    assert found(project="other") == []
    assert found(branch="feature") == ["b"]
    assert found(change_id="7") == ["b"]
    assert found(extent="complete", environment="prod") == ["a"]
    history = client.get("/checks/test.acme.a/history", environment="ci").json()["items"]
    assert [(h["change_id"], h["status"]) for h in history] == [("7", "passed")]


def test_a_scoring_job_that_a_crash_left_is_done_by_the_next_start(tmp_path):
    file = tmp_path / "x.db"
    d = document("crash", {"test.acme.a": "passed"})
    with sandbox.running(file) as server, httpx.Client(base_url=server.url) as http:
        client = Client(http, server.token)
        client.send(d)
        scored(client, d["run"]["key"])
    connection = sqlite3.connect(file)
    with connection:
        connection.execute("UPDATE jobs SET status = 'running'")
        connection.execute("UPDATE sources SET score = NULL")
        connection.execute("DELETE FROM scores")
    connection.close()
    with sandbox.running(file) as server, httpx.Client(base_url=server.url) as http:
        client = Client(http, server.token)
        assert scored(client, d["run"]["key"])["job"]["status"] == "succeeded"
        assert only_source(client)["score"] == 1.0
