"""The results API from the client's side, over a real socket to the stand-in, on good and bad days."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from loopback import DROP, before, reply, serving
from make_ingest import TOOL, make_ingest

from qalita_action import publish
from qalita_action.model import Target
from qalita_action.publish.checking import check
from qalita_action.publish.results_files import files
from qalita_action.redact import Secret
from qalita_action.sandbox import Quirks, running

PAGE = b"<!doctype html><title>run</title>"
OLD = Quirks(ingestion=404)


def now():
    return datetime.now(timezone.utc)


def connect(url, token, *, attempts=3, **changes):
    connection = publish.connect(Target(endpoint=url, token=Secret(token), tool=TOOL, **changes), now=now())
    quick = msgspec.structs.replace(
        connection.options, attempts=attempts, wait_initial_s=0.001, wait_max_s=0.002, wait_jitter_s=0
    )
    return msgspec.structs.replace(connection, options=quick)


def send(connection, ingest, folder, *, is_change=False, page=PAGE, fresh=False, clock=now):
    """fresh: another machine, which has no journal."""
    if fresh:
        for path in (folder / "spool").glob("*"):
            path.unlink()
    path = publish.spool.write(ingest, page, folder / "spool")
    (receipt,) = publish.send(connection, [ingest], [page], [path], is_change=is_change, now=clock)
    assert (receipt.spool is not None) == path.exists()
    return receipt


def table(platform, name) -> list[dict]:
    with sqlite3.connect(platform.database) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(f"select * from {name} order by id")]


def jobs(platform) -> list[tuple]:
    return [(j["status"], j["name"]) for j in table(platform, "jobs") if j["kind"] == "pack"]


def stored(platform, name, *columns) -> Counter:
    return Counter(
        tuple(json.dumps(json.loads(r[c]), sort_keys=True) if c == "scope" else r[c] for c in columns)
        for r in table(platform, name)
    )


def expected_metrics(ingest, **arguments) -> Counter:
    rows = files(ingest, **arguments).metrics
    return Counter((m["key"], str(m["value"]), json.dumps(m["scope"], sort_keys=True)) for m in rows)


def metrics(platform) -> Counter:
    return stored(platform, "metrics", "key", "value", "scope")


@pytest.fixture
def platform(tmp_path):
    with running(tmp_path / "db.sqlite", quirks=OLD) as platform:
        yield platform


def test_the_database_holds_the_files(platform, tmp_path):
    ingest = make_ingest(20, 3, warned=1)
    receipt = send(connect(platform.url, platform.token), ingest, tmp_path)
    assert (receipt.status, receipt.api, receipt.exit_code, receipt.error_text) == (
        "recorded",
        "results",
        0,
        None,
    )
    assert metrics(platform) == expected_metrics(ingest)
    found = files(ingest)
    assert receipt.counts == {
        "metrics": len(found.metrics),
        "recommendations": len(table(platform, "recommendations")),
        "schemas": len(table(platform, "schema_entries")),
        "figures": len(table(platform, "figures")),
        "outputs": 1,
    }
    assert len(table(platform, "recommendations")) == 4
    assert [o["content"] for o in table(platform, "outputs")] == [PAGE]
    assert any("no ingestion API" in note for note in receipt.notes)
    (source,) = table(platform, "sources")
    assert (source["name"], source["type"], source["visibility"]) == ("shop-prod", "dbt", "internal")
    assert receipt.url.endswith(f"/home/data-engineering/sources/{source['id']}")
    key = ingest.run.key
    assert jobs(platform) == [
        ("succeeded", f"dbt build · main@1a2b3c4 · 2026-03-04 07:15Z · 3 failed · {key}")
    ]


@pytest.mark.parametrize("status", [204, 403, 404, 405, 501])
def test_auto_takes_the_results_api_where_the_other_is_absent(tmp_path, status):
    with running(tmp_path / "db.sqlite", quirks=Quirks(ingestion=status)) as platform:
        receipt = send(connect(platform.url, platform.token), make_ingest(), tmp_path)
    assert (receipt.api, receipt.status) == ("results", "recorded")
    assert sum("no ingestion API" in note for note in receipt.notes) == 1


def test_the_ingestion_api_on_demand(platform, tmp_path):
    receipt = send(connect(platform.url, platform.token, api="ingestion"), make_ingest(), tmp_path)
    assert (receipt.status, receipt.error_code, receipt.exit_code) == ("refused", "ingestion-api-missing", 2)


def test_a_second_send_adds_nothing(platform, tmp_path):
    connection = connect(platform.url, platform.token)
    send(connection, make_ingest(), tmp_path)
    there = metrics(platform), jobs(platform), len(table(platform, "uploads"))
    for ingest in (make_ingest(), make_ingest(job_id="202")):
        receipt = send(connection, ingest, tmp_path, fresh=True)
        assert (receipt.status, receipt.exit_code) == ("already-recorded", 0)
    assert (metrics(platform), jobs(platform), len(table(platform, "uploads"))) == there


@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(ingestion=404, empty_list="204"),
        Quirks(ingestion=404, empty_list="null"),
        Quirks(ingestion=404, list_filters=False),
        Quirks(ingestion=404, clock_skew_s=7200.0),
        Quirks(ingestion=404, clock_skew_s=-7200.0),
    ],
)
def test_platforms_differ(tmp_path, quirks):
    ingest, other = make_ingest(), make_ingest(project="other")
    with running(tmp_path / "db.sqlite", quirks=quirks) as platform:
        connection = connect(platform.url, platform.token)
        assert [send(connection, i, tmp_path).status for i in (ingest, other, ingest)] == [
            "recorded",
            "recorded",
            "already-recorded",
        ]
        assert metrics(platform) == expected_metrics(ingest) + expected_metrics(other)


def test_an_older_platform_without_figures_and_outputs(tmp_path):
    with running(tmp_path / "db.sqlite", quirks=Quirks(ingestion=404, figures=404, outputs=405)) as platform:
        receipt = send(connect(platform.url, platform.token), make_ingest(), tmp_path)
    assert receipt.status == "recorded"
    assert not {"figures", "outputs"} & set(receipt.counts)
    assert sum("too old" in note for note in receipt.notes) == 2


def test_a_source_that_is_there_is_used(platform, tmp_path):
    connection = connect(platform.url, platform.token)
    send(connection, make_ingest(), tmp_path)
    send(connection, make_ingest(run_id="another"), tmp_path)
    assert len(table(platform, "sources")) == 1
    named = connect(platform.url, platform.token, source_id="1")
    assert send(named, make_ingest(project="other"), tmp_path).status == "recorded"
    assert len(table(platform, "sources")) == 1
    missing = connect(platform.url, platform.token, source_id="77")
    receipt = send(missing, make_ingest(project="third"), tmp_path)
    assert (receipt.status, receipt.error_code) == ("refused", "source-missing")


def test_a_missing_pack_is_one_command(tmp_path):
    with running(tmp_path / "db.sqlite", quirks=Quirks(ingestion=404, pack=False)) as platform:
        connection = connect(platform.url, platform.token)
        receipt = send(connection, make_ingest(), tmp_path)
        assert (receipt.status, receipt.error_code, receipt.exit_code) == ("refused", "pack-missing", 2)
        assert f"qalita-ingest setup --yes --endpoint {platform.url}\n" in receipt.error_text
        assert jobs(platform) == []
        (wrong,) = [f for f in check(connection, ["shop-prod"], now=now()) if f.ok is False]
        assert wrong.subject == "pack"


def test_the_newest_version_of_the_pack(platform, tmp_path):
    with sqlite3.connect(platform.database) as database:
        rows = [("0.9.0", 1), ("0.10.0", 2), ("0.10.1-rc.1", 3), ("nonsense", 4)]
        database.execute("delete from pack_versions")
        for version, asset in rows:
            database.execute(
                "insert into pack_versions (pack_id, sem_ver_id, asset_id) values (1, ?, ?)", (version, asset)
            )
        (wanted,) = database.execute("select id from pack_versions where sem_ver_id = '0.10.0'").fetchone()
    send(connect(platform.url, platform.token), make_ingest(), tmp_path)
    assert {m["pack_version_id"] for m in table(platform, "metrics")} == {wanted}


# ---------------------------------------------------------------- what may be sent


def test_a_change_run_sends_nothing(platform, tmp_path):
    ingest = make_ingest(change_id="9", environment="ci")
    for api in ("auto", "results"):
        receipt = send(connect(platform.url, platform.token, api=api), ingest, tmp_path, is_change=True)
        assert (receipt.status, receipt.exit_code, receipt.spool) == ("skipped", 0, None)
        assert "change run" in receipt.reason and "--publish always" in receipt.reason
    assert table(platform, "sources") == [] and jobs(platform) == []


def test_a_change_run_that_must(platform, tmp_path):
    connection = connect(platform.url, platform.token, publish="always")
    assert send(connection, make_ingest(environment="ci"), tmp_path, is_change=True).status == "recorded"


def test_a_partial_run_moves_no_score(platform, tmp_path):
    receipt = send(connect(platform.url, platform.token), make_ingest(20, 1, extent="partial"), tmp_path)
    assert receipt.status == "recorded" and any("no scores" in n for n in receipt.notes)
    keys = {m["key"] for m in table(platform, "metrics")}
    assert "tests_failed" in keys and not {k for k in keys if k.startswith("score")}


def test_a_late_run_withholds_its_numbers(platform, tmp_path):
    connection = connect(platform.url, platform.token)
    send(connection, make_ingest(run_id="new", completed_at="2026-03-05T07:00:00Z"), tmp_path)
    there = metrics(platform), len(table(platform, "recommendations")), len(table(platform, "figures"))
    receipt = send(connection, make_ingest(5, 5, run_id="old", completed_at="2026-03-04T07:00:00Z"), tmp_path)
    assert receipt.status == "recorded" and receipt.counts == {"outputs": 1}
    assert any("recorded late, numbers withheld" in n for n in receipt.notes)
    assert (
        metrics(platform),
        len(table(platform, "recommendations")),
        len(table(platform, "figures")),
    ) == there
    assert [status for status, _ in jobs(platform)] == ["succeeded", "succeeded"]
    newer = send(connection, make_ingest(run_id="newer", completed_at="2026-03-06T07:00:00Z"), tmp_path)
    assert "metrics" in newer.counts


def test_no_page_no_output(platform, tmp_path):
    receipt = send(connect(platform.url, platform.token), make_ingest(), tmp_path, page=b"")
    assert receipt.status == "recorded" and "outputs" not in receipt.counts


# ---------------------------------------------------------------- bad days

CALLS = [
    ("POST", "/sources/publish"),
    ("POST", "/jobs/create"),
    ("POST", "/schemas/upload"),
    ("POST", "/metrics/upload"),
    ("POST", "/recommendations/upload"),
    ("POST", "/figures/upload"),
    ("POST", "/outputs"),
    ("PUT", "/jobs/1"),
]


@pytest.mark.parametrize(
    ("method", "part", "made"), [(*call, (reply(502), DROP)[n % 2]) for n, call in enumerate(CALLS)]
)
def test_a_lost_answer_is_looked_for_first(platform, tmp_path, method, part, made):
    """The platform did what was asked, and the answer never came."""

    def lost(seen, n):
        return made if n == 1 and seen.method == method and seen.path.split("?")[0].endswith(part) else None

    ingest = make_ingest(20, 3)
    with serving(before(platform.url, after=lost)) as server:
        receipt = send(connect(server.url, platform.token), ingest, tmp_path)
    assert (receipt.status, receipt.error_text) == ("recorded", None)
    assert metrics(platform) == expected_metrics(ingest)
    assert len(table(platform, "recommendations")) == 3
    assert len(table(platform, "sources")) == 1
    assert [status for status, _ in jobs(platform)] == ["succeeded"]
    doubtful = part in ("/schemas/upload", "/figures/upload", "/outputs")
    assert any("twice" in note for note in receipt.notes) is doubtful


def test_an_answer_lost_half_way_repeats_only_what_is_missing(platform, tmp_path):
    """Two lost answers, and the first upload kept a part of its rows only."""
    ingest = make_ingest(20, 3)

    def lost(seen, n):
        if n > 1 or not seen.path.startswith("/api/v1/metrics/upload"):
            return None
        with sqlite3.connect(platform.database) as database:
            database.execute("delete from metrics where id % 2 = 0")
        return reply(504)

    with serving(before(platform.url, after=lost)) as server:
        receipt = send(connect(server.url, platform.token), ingest, tmp_path)
    assert receipt.status == "recorded"
    assert metrics(platform) == expected_metrics(ingest)


@pytest.mark.parametrize(("method", "part"), CALLS)
@pytest.mark.parametrize(("when", "fresh"), [("instead", True), ("after", False)])
def test_an_outage_and_a_second_attempt(platform, tmp_path, method, part, when, fresh):
    is_down = True

    def broken(seen, n):
        hit = seen.method == method and seen.path.split("?")[0].endswith(part)
        return reply(500) if is_down and hit else None

    ingest = make_ingest(20, 3)
    with serving(before(platform.url, **{when: broken})) as server:
        connection = connect(server.url, platform.token, attempts=1)
        receipt = send(connection, ingest, tmp_path)
        assert (receipt.status, receipt.error_code, receipt.exit_code) == ("not-delivered", "server-error", 4)
        if part.endswith(("/upload", "/outputs")):
            assert [status for status, _ in jobs(platform)] == ["failed"]
        is_down = False
        receipt = send(connection, ingest, tmp_path, fresh=fresh)
    was_done = (part, when) == ("/jobs/1", "after")
    assert receipt.status == ("already-recorded" if was_done else "recorded")
    assert metrics(platform) == expected_metrics(ingest)
    assert len(table(platform, "recommendations")) == 3
    assert len(table(platform, "sources")) == 1
    assert [status for status, _ in jobs(platform)] in (["succeeded"], ["failed", "succeeded"])


def test_a_job_that_was_left_running_is_adopted(platform, tmp_path):
    def broken(seen, n):
        return reply(500) if seen.method == "PUT" else None

    ingest = make_ingest(20, 3)
    with serving(before(platform.url, instead=broken)) as server:
        receipt = send(connect(server.url, platform.token, attempts=1), ingest, tmp_path)
    assert receipt.status == "not-delivered" and "adopts it" in receipt.error_text
    assert [status for status, _ in jobs(platform)] == ["running"]
    receipt = send(connect(platform.url, platform.token), ingest, tmp_path, fresh=True)
    assert receipt.status == "recorded" and receipt.job == "1"
    assert any("page" in note and "twice" in note for note in receipt.notes), "no platform shows outputs back"
    assert [status for status, _ in jobs(platform)] == ["succeeded"]
    assert metrics(platform) == expected_metrics(ingest)


@pytest.mark.parametrize("rival_is", ["first", "second", "first and done"])
def test_two_runners_in_the_same_second_are_one_run(platform, tmp_path, rival_is):
    """Both looked, saw nothing, and make a job. The one that was made first stands for the run."""
    states = "succeeded" if rival_is == "first and done" else "running"

    def rival(seen, n):
        if n == 1 and seen.path.endswith("/jobs/create"):
            headers = {k: seen.headers[k] for k in ("authorization", "content-type")}
            body = json.dumps({**json.loads(seen.body), "status": states})
            httpx.post(f"{platform.url}{seen.path}", content=body, headers=headers).raise_for_status()

    when = "after" if rival_is == "second" else "instead"
    with serving(before(platform.url, **{when: rival})) as server:
        receipt = send(connect(server.url, platform.token), make_ingest(20, 3), tmp_path)
    told = [(j["status"], j["error_message"]) for j in table(platform, "jobs") if j["kind"] == "pack"]
    if rival_is == "second":
        assert receipt.status == "recorded"
        assert told == [("succeeded", None), ("failed", "superseded by job 1, which is of the same run")]
        assert metrics(platform) == expected_metrics(make_ingest(20, 3))
        return
    assert told == [(states, None), ("failed", "superseded by job 1, which is of the same run")]
    assert sum(metrics(platform).values()) == 0
    if states == "running":
        assert (receipt.status, receipt.error_code) == ("not-delivered", "in-progress")
    else:
        assert (receipt.status, receipt.job) == ("already-recorded", "1")


def test_the_reason_stands_in_the_failed_job(platform, tmp_path):
    def broken(seen, n):
        return reply(422, {"detail": "no"}) if "metrics/upload" in seen.path else None

    with serving(before(platform.url, instead=broken)) as server:
        receipt = send(connect(server.url, platform.token), make_ingest(), tmp_path)
    assert (receipt.status, receipt.error_code, receipt.exit_code) == ("refused", "request-refused", 4)
    (job,) = [j for j in table(platform, "jobs") if j["kind"] == "pack"]
    assert job["status"] == "failed" and "request-refused" in job["error_message"] and job["end_date"]


def terminated(*_):
    raise SystemExit(143)


@pytest.mark.parametrize(
    ("signal_", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
@pytest.mark.parametrize(
    ("part", "status", "message"),
    [
        ("/metrics/upload", "failed", "the publishing was interrupted"),
        ("/jobs/1", "succeeded", None),  # everything was taken by then
    ],
)
def test_an_interrupted_run_closes_its_job(platform, tmp_path, signal_, raised, part, status, message):
    main = threading.main_thread().ident
    asked = threading.Event()

    def interrupted(seen, n):
        if n == 1 and seen.method != "GET" and seen.path.split("?")[0].endswith(part):
            signal.pthread_kill(main, signal_)
            asked.wait(0.2)

    handler = signal.signal(signal.SIGTERM, terminated)
    try:
        with serving(before(platform.url, instead=interrupted)) as server, pytest.raises(raised):
            send(connect(server.url, platform.token), make_ingest(), tmp_path)
    finally:
        signal.signal(signal.SIGTERM, handler)
    (job,) = [j for j in table(platform, "jobs") if j["kind"] == "pack"]
    assert (job["status"], job["error_message"]) == (status, message)
    (path,) = publish.spool.waiting(tmp_path / "spool")
    assert publish.spool.read(path) == make_ingest()


@pytest.mark.parametrize("repeat", ["replace", "conflict"])
def test_platforms_that_know_a_repeat(tmp_path, repeat):
    """Two runs with the same numbers: the platform may say that it has them."""
    with running(tmp_path / "db.sqlite", quirks=Quirks(ingestion=404, repeat_upload=repeat)) as platform:
        connection = connect(platform.url, platform.token)
        first = send(connection, make_ingest(run_id="one"), tmp_path)
        second = send(connection, make_ingest(run_id="two"), tmp_path)
    assert [first.status, second.status] == ["recorded", "recorded"]
    assert any("409" in note for note in second.notes) is (repeat == "conflict")


def test_a_platform_that_wants_a_worker(tmp_path):
    with running(tmp_path / "db.sqlite", quirks=Quirks(ingestion=404, worker_required=True)) as platform:
        receipt = send(connect(platform.url, platform.token), make_ingest(), tmp_path)
    assert (receipt.status, receipt.exit_code) == ("refused", 4) and "worker_id" in receipt.error_text


def test_no_token_in_anything_that_is_told(platform, tmp_path):
    token = platform.token_for(99)
    connection = connect(platform.url, token)
    receipt = send(connection, make_ingest(), tmp_path)
    findings = check(connection, ["shop-prod"], now=now())
    assert (receipt.status, receipt.error_code) == ("refused", "token-refused")
    assert token not in repr(receipt) and token not in repr(findings)


# ---------------------------------------------------------------- plan and check


def test_the_plan_is_what_is_sent(platform, tmp_path):
    ingest = make_ingest()
    with serving(before(platform.url)) as server:
        connection = connect(server.url, platform.token, api="results")
        planned = publish.planned(connection, ingest, PAGE)
        assert server.seen == []
        send(connection, ingest, tmp_path)
    sent = [(s.method, s.path) for s in server.seen if s.method != "GET"]
    ids = {"{source}": "1", "{pack}": "1", "{version}": "1", "{job}": "1"}
    shown = [(p.method, re.sub(r"\{\w+\}", lambda m: ids[m.group()], p.path)) for p in planned]
    assert shown == sent


def test_check_writes_nothing(platform):
    with serving(before(platform.url)) as server:
        findings = check(connect(server.url, platform.token), ["shop-prod"], now=now())
    assert {s.method for s in server.seen} == {"GET"}
    told = {f.subject: f for f in findings}
    assert "results API" in told["api"].text and "dbt_ingest" in told["pack"].text
    assert "shop-prod" in told["source"].text and "not there yet" in told["source"].text


def test_check_warns_of_a_token_that_ends_soon(platform):
    soon = (now() + timedelta(days=3)).timestamp()
    findings = check(connect(platform.url, platform.token_for(1, expires_at=soon)), [], now=now())
    (caution,) = [f for f in findings if f.subject == "caution"]
    assert caution.ok is None and "expires on" in caution.text and "make a new one" in caution.text


def test_importing_publish_loads_no_client():
    code = "import sys, qalita_action.publish; print('httpx' in sys.modules or 'stamina' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False\n"
    )
