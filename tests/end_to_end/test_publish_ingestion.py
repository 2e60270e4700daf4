"""The ingestion API from the client's side, over a real socket to the stand-in, on good and bad days."""

from __future__ import annotations

import sqlite3
import sys
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from loopback import DROP, before, reply, serving
from make_ingest import TOOL, make_ingest

from qalita_action import publish
from qalita_action.model import Target, to_json
from qalita_action.publish.checking import check
from qalita_action.redact import Secret
from qalita_action.sandbox import Quirks, running

PAGE = b"<!doctype html><title>run</title>"
KINDS = ("datasets", "checks", "results", "causes")


def now():
    return datetime.now(timezone.utc)


def connect(url, token, *, attempts=3, **changes):
    connection = publish.connect(Target(endpoint=url, token=Secret(token), tool=TOOL, **changes), now=now())
    quick = msgspec.structs.replace(
        connection.options, attempts=attempts, wait_initial_s=0.001, wait_max_s=0.002, wait_jitter_s=0
    )
    return msgspec.structs.replace(connection, options=quick)


def send(connection, ingest, folder, *, is_change=False, page=PAGE):
    path = publish.spool.write(ingest, page, folder / "spool")
    (receipt,) = publish.send(connection, [ingest], [page], [path], is_change=is_change, now=now)
    assert (receipt.spool is not None) == path.exists()
    return receipt


def counts(platform) -> dict[str, int]:
    with sqlite3.connect(platform.database) as database:
        return {
            kind: database.execute(f"select count(*) from {kind}").fetchone()[0] for kind in (*KINDS, "runs")
        }


def document(platform, ingest) -> dict:
    stored = platform.stored(ingest.run.key)
    return {name: stored[name] for name in ("schemaVersion", "source", "run", "ledger", "scores", *KINDS)}


@pytest.fixture
def platform(tmp_path):
    with running(tmp_path / "db.sqlite", quirks=Quirks(max_batch=7)) as platform:
        yield platform


def test_the_database_holds_the_document(platform, tmp_path):
    ingest = make_ingest(50, 6, warned=3, errored=1, skipped=2, not_run=4, tables=9)
    receipt = send(connect(platform.url, platform.token), ingest, tmp_path)
    assert (receipt.status, receipt.api, receipt.exit_code) == ("recorded", "ingestion", 0)
    assert receipt.counts == {"datasets": 9, "checks": 50, "results": 50, "causes": 10}
    assert counts(platform) == {**receipt.counts, "runs": 1}
    assert document(platform, ingest) == msgspec.json.decode(to_json(ingest))
    assert platform.stored(ingest.run.key)["state"] == "complete"
    assert receipt.job and receipt.url


def test_a_run_without_anything_in_it(platform, tmp_path):
    receipt = send(connect(platform.url, platform.token), make_ingest(0, 0, tables=0), tmp_path)
    assert receipt.status == "recorded" and set(receipt.counts.values()) == {0}


def test_a_second_send_adds_nothing(platform, tmp_path):
    connection = connect(platform.url, platform.token)
    send(connection, make_ingest(), tmp_path)
    there = counts(platform)
    again = send(connection, make_ingest(), tmp_path)
    elsewhere = send(connection, make_ingest(job_id="202"), tmp_path)
    for receipt in (again, elsewhere):
        assert (receipt.status, receipt.exit_code, receipt.spool) == ("already-recorded", 0, None)
    assert counts(platform) == there


def test_a_known_run_with_another_content_is_refused(platform, tmp_path):
    connection = connect(platform.url, platform.token)
    send(connection, make_ingest(5, 1), tmp_path)
    there = counts(platform)
    receipt = send(connection, make_ingest(5, 0), tmp_path)
    assert (receipt.status, receipt.error_code, receipt.exit_code) == ("refused", "run-differs", 4)
    assert "--run-id" in receipt.error_text and Path(receipt.spool).exists()
    assert counts(platform) == there


@pytest.mark.parametrize(
    ("method", "part"),
    [
        ("PUT", "/datasets/0"),
        ("PUT", "/checks/2"),
        ("PUT", "/results/4"),
        ("PUT", "/causes/0"),
        ("POST", "/complete"),
    ],
)
@pytest.mark.parametrize(("when", "made"), [("instead", reply(500)), ("after", DROP)])
def test_an_outage_in_the_middle_and_a_second_attempt(platform, tmp_path, method, part, made, when):
    ingest = make_ingest(40, 3)
    is_down = True

    def broken(seen, n):
        return made if is_down and seen.method == method and seen.path.endswith(part) else None

    with serving(before(platform.url, **{when: broken})) as server:
        connection = connect(server.url, platform.token, attempts=2)
        receipt = send(connection, ingest, tmp_path)
        assert (receipt.status, receipt.exit_code) == ("not-delivered", 4)
        assert receipt.error_code in ("server-error", "unreachable")
        assert publish.spool.read(Path(receipt.spool)) == ingest
        is_down = False
        receipt = send(connection, publish.spool.read(Path(receipt.spool)), tmp_path)
    assert receipt.status == ("already-recorded" if (when, part) == ("after", "/complete") else "recorded")
    assert counts(platform) == {"datasets": 2, "checks": 40, "results": 40, "causes": 3, "runs": 1}
    assert document(platform, ingest) == msgspec.json.decode(to_json(ingest))


def test_every_call_fails_once_and_nothing_is_doubled(platform, tmp_path):
    ingest = make_ingest(40, 3)
    with serving(before(platform.url, after=lambda seen, n: reply(502) if n == 1 else None)) as server:
        receipt = send(connect(server.url, platform.token), ingest, tmp_path)
    assert receipt.status == "recorded"
    assert receipt.counts == {"datasets": 2, "checks": 40, "results": 40, "causes": 3}
    assert document(platform, ingest) == msgspec.json.decode(to_json(ingest))


def test_a_batch_that_the_platform_lost_is_sent_again(platform, tmp_path):
    def lying(seen, n):
        lost = seen.path.endswith("/results/1") and n == 1
        return reply(200, {"accepted": 7, "rejected": []}) if lost else None

    ingest = make_ingest(40, 3)
    with serving(before(platform.url, instead=lying)) as server:
        receipt = send(connect(server.url, platform.token), ingest, tmp_path)
        assert server.count("PUT", "/results/1") == 2 and server.count("POST", "/complete") == 2
    assert receipt.status == "recorded"
    assert document(platform, ingest) == msgspec.json.decode(to_json(ingest))


def test_a_batch_that_is_lost_every_time(platform, tmp_path):
    def lying(seen, n):
        return reply(200, {"accepted": 7, "rejected": []}) if seen.path.endswith("/results/1") else None

    with serving(before(platform.url, instead=lying)) as server:
        receipt = send(connect(server.url, platform.token), make_ingest(40, 3), tmp_path)
    assert (receipt.status, receipt.error_code, receipt.exit_code) == ("not-delivered", "batches-missing", 4)


def test_rejected_rows_are_told_one_by_one(platform, tmp_path):
    ingest = make_ingest(10, 1)
    bad = msgspec.structs.replace(ingest.results[3], duration_s=-1.0)
    ingest = msgspec.structs.replace(ingest, results=(*ingest.results[:3], bad, *ingest.results[4:]))
    receipt = send(connect(platform.url, platform.token), ingest, tmp_path)
    assert (receipt.status, receipt.error_code, receipt.exit_code) == ("recorded", "rows-rejected", 4)
    assert ("results", bad.check, "row-malformed") in {(r.kind, r.key, r.code) for r in receipt.rejected}
    assert receipt.counts["results"] == 9 == counts(platform)["results"]
    assert Path(receipt.spool).exists()


def test_batches_stay_within_bytes(tmp_path):
    quirks = Quirks(max_batch=1000, max_body_bytes=6000)
    ingest = make_ingest(60, 3)
    huge = msgspec.structs.replace(ingest.causes[0], body="é" * 4000)
    ingest = msgspec.structs.replace(ingest, causes=(huge, *ingest.causes[1:]))
    with running(tmp_path / "db.sqlite", quirks=quirks) as platform:
        receipt = send(connect(platform.url, platform.token), ingest, tmp_path)
    assert receipt.counts == {"datasets": 2, "checks": 60, "results": 60, "causes": 2}
    assert [(r.kind, r.key, r.code) for r in receipt.rejected] == [("causes", huge.key, "row-too-large")]


def test_kinds_come_in_order_with_their_keys(platform, tmp_path):
    with serving(before(platform.url)) as server:
        send(connect(server.url, platform.token), make_ingest(40, 3), tmp_path)
    writes = [s for s in server.seen if s.method in ("PUT", "POST")]
    key = make_ingest(40, 3).run.key
    order = [s.path.removeprefix(f"/api/v2/ingest/runs/{key}").strip("/").split("/")[0] for s in writes]
    assert list(dict.fromkeys(order)) == ["", "datasets", "checks", "results", "causes", "complete"]
    assert order == sorted(order, key=("", "datasets", "checks", "results", "causes", "complete").index)
    for seen in writes:
        assert seen.headers["idempotency-key"].startswith(f"{key}/")


def test_change_runs_are_the_ingestion_api_s_own_business(platform, tmp_path):
    receipt = send(
        connect(platform.url, platform.token), make_ingest(change_id="9"), tmp_path, is_change=True
    )
    assert receipt.status == "recorded"


def test_the_journal_names_every_call(platform, tmp_path):
    ingest = make_ingest(40, 3)
    with serving(
        before(platform.url, instead=lambda s, n: reply(500) if "complete" in s.path else None)
    ) as server:
        receipt = send(connect(server.url, platform.token, attempts=1), ingest, tmp_path)
    calls = [e.call for e in publish.spool.Journal(Path(receipt.spool)).entries]
    assert sorted(calls) == sorted(
        [
            "run/0",
            "datasets/0",
            *(f"checks/{n}" for n in range(6)),
            *(f"results/{n}" for n in range(6)),
            "causes/0",
        ]
    )


# ---------------------------------------------------------------- what stops before anything is written


def test_a_refused_token(platform, tmp_path):
    token = platform.token_for(99)
    receipt = send(connect(platform.url, token), make_ingest(), tmp_path)
    assert (receipt.status, receipt.error_code, receipt.exit_code) == ("refused", "token-refused", 2)
    assert token not in receipt.error_text and token not in repr(receipt)
    assert counts(platform)["runs"] == 0 and Path(receipt.spool).exists()


@pytest.mark.parametrize("front", ["html", "redirect"])
def test_the_frontend_is_not_the_api(tmp_path, front):
    with running(tmp_path / "db.sqlite", quirks=Quirks(front=front)) as platform:
        receipt = send(connect(platform.url, platform.token), make_ingest(), tmp_path)
    assert (receipt.status, receipt.error_code, receipt.exit_code) == ("refused", "endpoint-not-api", 2)


def test_a_host_that_nobody_knows(platform, tmp_path):
    receipt = send(connect("http://nothing.invalid", platform.token), make_ingest(), tmp_path)
    assert (receipt.status, receipt.error_code, receipt.exit_code) == (
        "not-delivered",
        "name-not-resolved",
        4,
    )
    assert publish.spool.read(Path(receipt.spool)) == make_ingest()


def test_one_bad_document_does_not_cost_the_others(platform, tmp_path):
    connection = connect(platform.url, platform.token)
    send(connection, make_ingest(5, 1), tmp_path)
    ingests = [make_ingest(5, 0), make_ingest(project="second"), make_ingest(project="third")]
    spools = [publish.spool.write(i, PAGE, tmp_path / "spool") for i in ingests]
    receipts = publish.send(connection, ingests, [PAGE] * 3, spools, is_change=False, now=now)
    assert [r.status for r in receipts] == ["refused", "recorded", "recorded"]
    assert [p.exists() for p in spools] == [True, False, False]


def test_a_bad_capability_is_not_the_api(tmp_path, platform):
    def odd(seen, n):
        return reply(200, {"max_batch": "many"}) if seen.path == "/api/v2/ingest" else None

    with serving(before(platform.url, instead=odd)) as server:
        receipt = send(connect(server.url, platform.token), make_ingest(), tmp_path)
    assert (receipt.status, receipt.exit_code) == ("refused", 2)
    assert receipt.error_code == "endpoint-not-api"


def test_publish_never(platform, tmp_path):
    receipt = send(connect(platform.url, platform.token, publish="never"), make_ingest(), tmp_path)
    assert (receipt.status, receipt.exit_code) == ("skipped", 0) and receipt.reason
    assert counts(platform)["runs"] == 0


def test_the_plan_is_what_is_sent(tmp_path):
    ingest = make_ingest(40, 3)
    with running(tmp_path / "db.sqlite") as platform, serving(before(platform.url)) as server:
        connection = connect(server.url, platform.token)
        planned = publish.planned(connection, ingest, PAGE)
        assert server.seen == []
        send(connection, ingest, tmp_path)
    writes = [(s.method, s.path) for s in server.seen if s.method in ("PUT", "POST")]
    assert [(p.method, p.path) for p in planned if p.method != "GET"] == writes
    assert planned[0].path == "/api/v2/ingest" and "results" in planned[0].note


def test_check_writes_nothing(platform):
    with serving(before(platform.url)) as server:
        findings = check(connect(server.url, platform.token), ["shop-prod"], now=now())
    assert {s.method for s in server.seen} == {"GET"}
    told = {f.subject: f for f in findings}
    assert all(f.ok is not False for f in findings)
    assert "ingestion API" in told["api"].text and "3.2.1" in told["platform"].text
    assert "ada@acme.example.com" in told["user"].text and "expires" in told["token"].text


def test_check_tells_what_is_wrong(platform):
    findings = check(connect(platform.url, platform.token_for(99)), ["shop-prod"], now=now())
    (wrong,) = [f for f in findings if f.ok is False]
    assert "token-refused" in wrong.text and wrong.todo
