"""A history published: every run once, oldest first, whatever happens on the way. The command in a process of its own,
the stand-in over sockets, histories made from the example's real artifacts."""

from __future__ import annotations

import gzip
import json
import os
import pty
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from qalita_action import sandbox
from qalita_action.dbt import history
from qalita_action.dbt.found import Blob, Candidate, Places
from qalita_action.dbt.heads import HEAD_BYTES, head_of
from tests.artifact_sets import BASE, load
from tests.command import run
from tests.histories import assert_same, complete_runs, make_history, settle
from tests.loopback import Reply, before, reply, serving

SUMMARY = re.compile(
    r"published ([\d,]+) · already there ([\d,]+) · unreadable ([\d,]+) · not delivered ([\d,]+)"
)
BUILD = BASE / "1.10" / "build"


@pytest.fixture
def platform(tmp_path):
    with sandbox.running(tmp_path / "platform.db") as running:
        yield running


def backfill(platform, folder: Path, *args: str, path: str = "runs", since: str = "all", env=None, url=None):
    account = {"QALITA_WORKER_ENDPOINT": url or platform.url, "QALITA_WORKER_TOKEN": platform.token}
    return run("dbt", path, "--since", since, *args, cwd=folder, env={**account, **(env or {})}, timeout=120)


def tally(finished) -> list[int]:
    """published, already there, unreadable, not delivered"""
    (found,) = SUMMARY.findall(finished.stdout + finished.stderr)
    return [int(n.replace(",", "")) for n in found]


def rows(platform, query: str) -> list[tuple]:
    with closing(sqlite3.connect(platform.database)) as db, db:
        found = db.execute(query).fetchall()
    db.close()
    return found


def spoil_after_the_head(folder: Path) -> None:
    for path in folder.rglob("*.json"):
        path.write_bytes(path.read_bytes()[:1200] + b"\0 no longer readable")


# ---------------------------------------------------------------- what becomes of a history


def test_a_history_is_published_once_and_a_repeat_reads_heads_alone(platform, tmp_path):
    made = make_history(tmp_path / "runs", 40)
    first = backfill(platform, tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    assert tally(first) == [40, 0, 0, 0] and "the gate judges no history" in first.stdout
    settle(platform.database)
    course = rows(platform, "select completed_at from scores order by completed_us")
    written = [json.loads((f / "run_results.json").read_text())["metadata"]["generated_at"] for f in made]
    assert [at for (at,) in course] == [w.replace(".000000Z", "Z") for w in written]
    assert rows(platform, "select count(*) from issues where times_opened > 1") > [(0,)]
    assert not (tmp_path / "qalita-spool").exists() and not (tmp_path / "qalita-report").exists()

    spoil_after_the_head(tmp_path / "runs")
    with serving(before(platform.url)) as server:
        again = backfill(platform, tmp_path, url=server.url)
    assert again.returncode == 0, again.stdout + again.stderr
    assert tally(again) == [0, 40, 0, 0]
    assert {s.method for s in server.seen} == {"GET"} and len(server.seen) == 3


def test_since_cuts_and_the_dry_run_lists_without_a_platform(platform, tmp_path):
    make_history(tmp_path / "runs", 30)
    listed = run("dbt", "runs", "--since", "2026-01-02T03:00:00Z", "--dry-run", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    places = re.findall(r"^2026-01-02 \d\d:00:00  (\S+)$", listed.stdout, re.MULTILINE)
    assert places == [f"runs/2026-01-02/{hour:02}" for hour in range(3, 6)]
    assert "3 runs" in listed.stdout and "nothing was sent" in listed.stdout
    as_data = run("dbt", "runs", "--since", "2026-01-02", "--dry-run", "--output", "json", cwd=tmp_path)
    rows_of = [json.loads(line) for line in as_data.stdout.splitlines()]
    assert [r["run"] for r in rows_of] == [f"runs/2026-01-02/{hour:02}" for hour in range(6)]
    assert rows_of[0]["completed_at"] == "2026-01-02T00:00:00+00:00" and len(rows_of[0]["run_ids"]) == 1
    done = backfill(platform, tmp_path, since="2026-01-02T03:00:00Z")
    assert tally(done) == [3, 0, 0, 0] and complete_runs(platform.database) == 3
    assert tally(backfill(platform, tmp_path, since="2026-01-01")) == [27, 3, 0, 0]


def test_a_bad_run_costs_itself_alone(platform, tmp_path):
    made = make_history(tmp_path / "runs", 12)
    made[1].joinpath("run_results.json").write_bytes(made[1].joinpath("run_results.json").read_bytes()[:3000])
    made[3].joinpath("manifest.json").write_bytes(gzip.decompress((BUILD / "manifest.json.gz").read_bytes()))
    stub = json.loads(made[5].joinpath("run_results.json").read_text())
    stub["args"]["which"] = "compile"
    made[5].joinpath("run_results.json").write_text(json.dumps(stub))
    made[7].joinpath("manifest.json").unlink()
    made[9].joinpath("run_results.json").write_bytes(b"")
    made[11].joinpath("run_results.json").unlink()  # no results: no run
    done = backfill(platform, tmp_path)
    assert done.returncode == 3, done.stdout + done.stderr
    assert tally(done) == [6, 0, 5, 0] and complete_runs(platform.database) == 6
    for n in (1, 3, 5, 7, 9):
        assert f"✗ runs/2026-01-01/{n:02}: " in done.stdout, n
    for code in (
        "artifact-truncated",
        "artifacts-foreign",
        "nothing-executed",
        "manifest-not-found",
        "artifact-empty",
    ):
        assert f"[{code}]" in done.stdout, code
    assert "1 of them of an unknown time" in done.stdout
    assert tally(backfill(platform, tmp_path)) == [0, 6, 5, 0]


def test_json_is_one_receipt_a_line(platform, tmp_path):
    make_history(tmp_path / "runs", 5)
    backfill(platform, tmp_path, "--shard", "0/2")
    done = backfill(platform, tmp_path, "--output", "json")
    receipts = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(receipts) == len({r["run_key"] for r in receipts}) == 5
    assert {r["status"] for r in receipts} == {"recorded", "already-recorded"}
    assert {r["source"] for r in receipts} == {"opendata_dbt-default"}
    assert sum(tally(done)) == 5 and "published" in done.stderr


def test_a_terminal_has_one_line_that_is_written_over(platform, tmp_path):
    make_history(tmp_path / "runs", 25)
    main, terminal = pty.openpty()
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    env |= {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
    command = [sys.executable, "-m", "qalita_action", "dbt", "runs", "--since", "all"]
    child = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=terminal, stderr=terminal)
    os.close(terminal)
    told = b""
    with suppress(OSError):  # the other end is closed
        while part := os.read(main, 4096):
            told += part
    os.close(main)
    assert child.wait(60) == 0, told
    lines = told.decode().replace("\r\n", "\n").rstrip("\n").split("\n")
    moved = [x for line in lines for x in line.split("\r\x1b[K") if " of 25 · " in x]
    assert moved and all(re.search(r" a second · \d+ s to go · runs/2026-01-0[12]/\d\d$", x) for x in moved)
    assert len(lines) == 2 and lines[-1].split("\r\x1b[K")[-1].startswith("published 25 "), lines


def test_what_a_pipeline_published_is_there_already_whatever_its_key(platform, tmp_path):
    (made,) = make_history(tmp_path / "runs", 1)
    env = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token, "GITLAB_CI": "true"}
    env |= {
        "CI_COMMIT_SHA": "a" * 40,
        "CI_COMMIT_BRANCH": "main",
        "CI_DEFAULT_BRANCH": "main",
        "CI_JOB_ID": "1",
    }
    env |= {"CI_PIPELINE_CREATED_AT": "2025-01-01T00:00:00Z", "CI_ENVIRONMENT_NAME": "production"}
    named = str(made.relative_to(tmp_path))
    run("dbt", named, "--artifacts-since", "any", "--fail-on", "never", cwd=tmp_path, env=env)
    assert rows(platform, "select environment from runs") == [("production",)]
    assert tally(backfill(platform, tmp_path)) == [0, 1, 0, 0]
    assert tally(backfill(platform, tmp_path, "--env", "production")) == [0, 1, 0, 0]
    assert tally(backfill(platform, tmp_path, "--env", "staging")) == [1, 0, 0, 0], "that is another source"


def test_a_copy_of_a_run_is_that_run(platform, tmp_path):
    make_history(tmp_path / "runs", 3)
    make_history(tmp_path / "runs" / "copy", 2)
    make_history(tmp_path / "runs" / "dbt_packages" / "theirs", 4, seed=9)
    make_history(tmp_path / "runs" / ".cache", 4, seed=9)
    assert tally(backfill(platform, tmp_path)) == [3, 0, 0, 0]


def test_archives_hold_runs_too(platform, tmp_path):
    made = make_history(tmp_path / "runs", 6)
    for n, folder in enumerate(made[:3]):
        shutil.make_archive(str(tmp_path / "kept" / f"run{n}"), ("zip", "gztar", "tar")[n], folder)
    shutil.make_archive(str(tmp_path / "kept" / "rest"), "zip", tmp_path / "runs")
    (tmp_path / "kept" / "broken.zip").write_bytes(b"PK\x03\x04 and no end")
    done = backfill(platform, tmp_path, path="kept")
    assert tally(done) == [6, 0, 1, 0] and "✗ kept/broken.zip" in done.stdout
    assert tally(backfill(platform, tmp_path)) == [0, 6, 0, 0]
    assert tally(backfill(platform, tmp_path, path="kept/r*.zip")) == [0, 6, 0, 0]
    assert tally(backfill(platform, tmp_path, path="kept/run2.tar")) == [0, 1, 0, 0]


def bucket(folder: Path):
    """An answer function: a listing of everything, and objects in whole or in part."""

    def answer(seen):
        parts = urlsplit(seen.path)
        if "list-type" in parts.query:
            keys = sorted(p for p in folder.rglob("*") if p.is_file())
            rows = "".join(
                f"<Contents><Key>{p.relative_to(folder).as_posix()}</Key><Size>{p.stat().st_size}</Size>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                for p in keys
            )
            text = f"<ListBucketResult>{rows}<IsTruncated>false</IsTruncated></ListBucketResult>"
            return Reply(200, text.encode(), {"Content-Type": "application/xml"})
        data = (folder / parts.path.removeprefix("/acme/")).read_bytes()
        dated = {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", "ETag": f'"{hash(data)}"'}
        if "range" not in seen.headers:
            return Reply(200, data, dated)
        first, _, last = seen.headers["range"].removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last or len(data)) + 1]
        span = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
        return Reply(206, part, {**dated, "Content-Range": span})

    return answer


def test_a_bucket_is_listed_by_heads_and_what_is_recorded_is_not_fetched(platform, tmp_path):
    make_history(tmp_path / "kept" / "runs", 12)
    with serving(bucket(tmp_path / "kept")) as store:
        env = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "eu-west-1"}
        env |= {"AWS_ENDPOINT_URL": store.url}
        first = backfill(platform, tmp_path, path="s3://acme/runs/", env=env)
        assert first.returncode == 0 and tally(first) == [12, 0, 0, 0], first.stdout + first.stderr
        store.seen.clear()
        again = backfill(platform, tmp_path, path="s3://acme/runs/", env=env)
        assert tally(again) == [0, 12, 0, 0]
        objects = [s for s in store.seen if s.path.endswith(".json")]
        assert len(objects) == 24 and all(s.headers["range"] == f"bytes=0-{HEAD_BYTES - 1}" for s in objects)
        listed = backfill(platform, tmp_path, "--dry-run", path="s3://acme/runs/*/0[0-3]/", env=env)
        assert "s3://acme/runs/2026-01-01/03" in listed.stdout and "4 runs" in listed.stdout
    assert tally(backfill(platform, tmp_path, path="kept")) == [0, 12, 0, 0]


def test_a_copy_that_cannot_be_read_does_not_hide_one_that_can(platform, tmp_path):
    made = make_history(tmp_path / "runs", 3)
    for n, folder in enumerate(made):
        shutil.copytree(folder, tmp_path / "runs" / f"0{n}")
    (tmp_path / "runs" / "00" / "manifest.json").unlink()
    cut = tmp_path / "runs" / "01" / "run_results.json"
    cut.write_bytes(cut.read_bytes()[:2500])
    done = backfill(platform, tmp_path)
    assert done.returncode == 0 and tally(done) == [3, 0, 0, 0], done.stdout


def test_a_folder_that_cannot_be_looked_into_is_a_run_that_cannot_be_read(platform, tmp_path):
    make_history(tmp_path / "runs", 2)
    here = os.open(tmp_path / "runs", os.O_RDONLY)  # a path of more than 4,096 bytes, which nobody may open
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=here)
        here, outer = os.open("d" * 200, os.O_RDONLY, dir_fd=here), here
        os.close(outer)
    os.close(here)
    done = backfill(platform, tmp_path)
    assert done.returncode == 3 and tally(done) == [2, 0, 1, 0], done.stdout
    assert "[artifact-unreadable]" in done.stdout


def test_a_run_of_unknown_time_is_known_again_whatever_since_says(platform, tmp_path):
    (made,) = make_history(tmp_path / "runs", 1)
    results = json.loads((made / "run_results.json").read_text())
    del results["metadata"]["generated_at"]
    (made / "run_results.json").write_text(json.dumps(results))
    assert tally(backfill(platform, tmp_path)) == [1, 0, 0, 0]
    assert tally(backfill(platform, tmp_path, since="2026-03-01")) == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("pattern", "count"),
    [("runs/**", 30), ("runs/2026-01-02/", 6), ("runs/2026-*/0?", 16), ("runs/*/*/run_results.json", 30)],
)
def test_a_pattern_names_runs(tmp_path, pattern, count):
    make_history(tmp_path / "runs", 30)
    listed = run("dbt", pattern, "--since", "all", "--dry-run", cwd=tmp_path)
    assert f"\n{count} runs" in listed.stdout


def test_a_project_that_splits_datasets_off_is_there_when_its_main_document_is(platform, tmp_path):
    for folder in make_history(tmp_path / "runs", 3):
        manifest = json.loads((folder / "manifest.json").read_text())
        model = next(n for k, n in sorted(manifest["nodes"].items()) if k.startswith("model."))
        model["config"]["meta"] = {"qalita": {"source": "finance"}}
        (folder / "manifest.json").write_text(json.dumps(manifest))

    def main_is_down(seen, n):
        return reply(500) if seen.method == "PUT" and b'"project":"opendata_dbt"' in plain(seen) else None

    with serving(before(platform.url, instead=main_is_down)) as server:
        down = backfill(platform, tmp_path, "--publish-timeout", "5", url=server.url)
    assert down.returncode == 4 and tally(down) == [0, 0, 0, 3]
    assert rows(platform, "select distinct project from runs where state = 'complete'") == [("finance",)]
    assert tally(backfill(platform, tmp_path)) == [3, 0, 0, 0]
    assert complete_runs(platform.database) == 6 and not (tmp_path / "qalita-spool").exists()
    spoil_after_the_head(tmp_path / "runs")
    assert tally(backfill(platform, tmp_path)) == [0, 3, 0, 0]


def plain(seen) -> bytes:
    return gzip.decompress(seen.body) if seen.headers.get("content-encoding") == "gzip" else seen.body


# ---------------------------------------------------------------- bad days


def test_a_platform_that_is_down_ends_it_and_the_same_command_goes_on(platform, tmp_path):
    make_history(tmp_path / "runs", 40)
    is_down = False

    def dies(seen, n):
        nonlocal is_down
        is_down = is_down or (seen.method == "POST" and complete_runs(platform.database) >= 12)
        return reply(503) if is_down else None

    with serving(before(platform.url, instead=dies)) as server:
        down = backfill(platform, tmp_path, "--publish-timeout", "5", url=server.url)
    published, there, unreadable, lost = tally(down)
    assert down.returncode == 4, down.stdout + down.stderr
    assert published == complete_runs(platform.database) >= 12 and (there, unreadable) == (0, 0)
    assert 5 <= lost <= 12 and f"{40 - published - lost} runs left" in down.stderr
    assert "the same command goes on" in down.stderr
    kept = sorted(p.name for p in (tmp_path / "qalita-spool").glob("*.json.gz"))
    assert len(kept) == lost and all(f"qalita-spool/{name}" in down.stdout for name in kept)
    resumed = backfill(platform, tmp_path)
    assert resumed.returncode == 0 and tally(resumed) == [40 - published, published, 0, 0]
    assert not (tmp_path / "qalita-spool").exists()
    settle(platform.database)
    with sandbox.running(tmp_path / "other.db") as other:
        assert tally(backfill(other, tmp_path)) == [40, 0, 0, 0]
        settle(other.database)
    assert_same(platform.database, tmp_path / "other.db")


def test_runs_that_are_refused_for_what_they_hold_stop_no_other(platform, tmp_path):
    made = make_history(tmp_path / "runs", 20)
    bad = [json.loads((f / "run_results.json").read_text())["metadata"]["invocation_id"] for f in made[:9]]

    def refuses(seen, n):
        is_bad = seen.method == "PUT" and any(i.encode() in plain(seen) for i in bad)
        return reply(422, {"title": "no", "code": "bad"}) if is_bad else None

    with serving(before(platform.url, instead=refuses)) as server:
        done = backfill(platform, tmp_path, url=server.url)
    assert done.returncode == 4 and tally(done) == [11, 0, 0, 9], done.stdout


def test_rows_that_were_rejected_are_told_as_often_as_it_is_asked(platform, tmp_path):
    make_history(tmp_path / "runs", 2)
    short = {"accepted": 7, "rejected": [{"key": "test.x", "code": "row-malformed", "detail": "no"}]}

    def rejects(seen, n):
        return reply(200, short) if seen.method == "PUT" and "/results/" in seen.path else None

    with serving(before(platform.url, after=rejects)) as server:
        for counts in ([2, 0, 0, 0], [0, 2, 0, 0]):
            done = backfill(platform, tmp_path, url=server.url)
            assert done.returncode == 4 and tally(done) == counts, done.stdout
            assert "#rows-rejected" in done.stdout
            assert len(list((tmp_path / "qalita-spool").glob("*.json.gz"))) == 2


def test_a_token_that_is_revoked_on_the_way_ends_it_in_its_own_words(platform, tmp_path):
    make_history(tmp_path / "runs", 40)

    def refuses(seen, n):
        return reply(401, {"detail": "expired"}) if complete_runs(platform.database) >= 8 else None

    with serving(before(platform.url, instead=refuses)) as server:
        done = backfill(platform, tmp_path, url=server.url)
    assert done.returncode == 2 and "[token-refused]" in done.stdout, done.stdout
    assert "--publish-timeout" not in done.stdout, "nobody's time was up"
    assert "runs left" in done.stderr and "the same command goes on" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_and_the_same_command_goes_on(platform, tmp_path, number, code):
    make_history(tmp_path / "runs", 30)
    children = []

    def hit(seen, n):
        if seen.method == "POST" and complete_runs(platform.database) >= 10 and children:
            children.pop().send_signal(number)

    with serving(before(platform.url, after=hit)) as server:
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
        env |= {"QALITA_WORKER_ENDPOINT": server.url, "QALITA_WORKER_TOKEN": platform.token}
        child = subprocess.Popen(
            [sys.executable, "-m", "qalita_action", "dbt", "runs", "--since", "all"],
            cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        children.append(child)
        told, _ = child.communicate(timeout=120)
    assert child.returncode == code, told
    assert "the same command goes on" in told and "Traceback" not in told
    assert 10 <= complete_runs(platform.database) < 30
    assert backfill(platform, tmp_path).returncode == 0
    assert complete_runs(platform.database) == 30 and not (tmp_path / "qalita-spool").exists()


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("args", [("--api", "results"), ("--api", "folder"), ("--publish", "never")])
def test_another_way_than_the_ingestion_api_is_refused(platform, tmp_path, args):
    refused = backfill(platform, tmp_path, *args, path="nowhere")
    assert refused.returncode == 2 and "[backfill-needs-ingestion-api]" in refused.stderr
    assert "nowhere" not in refused.stderr, "before anything is looked for"


def test_a_platform_without_the_ingestion_api_is_refused(tmp_path):
    with sandbox.running(tmp_path / "platform.db", quirks=sandbox.Quirks(ingestion=404)) as platform:
        refused = backfill(platform, tmp_path, path="nowhere")
        assert refused.returncode == 2 and "[backfill-needs-ingestion-api]" in refused.stderr
        assert "e-mail" in refused.stderr and "nowhere" not in refused.stderr
        assert rows(platform, "select count(*) from jobs") == [(0,)]


def test_settings_of_one_run_and_a_change_are_refused_together(platform, tmp_path):
    change = {"GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_IID": "7"}
    change |= {"CI_JOB_ID": "1", "CI_PIPELINE_ID": "2"}
    refused = backfill(platform, tmp_path, "--run-id", "7", "--manifest", "m.json", env=change)
    assert refused.returncode == 2
    for code in ("backfill-one-run", "backfill-in-change"):
        assert f"[{code}]" in refused.stderr
    assert "--run-id" in refused.stderr and "--manifest" in refused.stderr


def test_a_part_of_nothing_is_refused(tmp_path):
    refused = run("dbt", "runs", "--shard", "0/2", "--publish", "never", cwd=tmp_path)
    assert refused.returncode == 2 and "[setting-invalid]" in refused.stderr and "--since" in refused.stderr


def test_where_there_is_no_run(platform, tmp_path):
    (tmp_path / "runs").mkdir()
    for path in ("runs", "nowhere", "run*/x"):
        refused = backfill(platform, tmp_path, path=path)
        assert refused.returncode == 3 and "[artifacts-not-found]" in refused.stderr, path


# ---------------------------------------------------------------- parts


names = st.text(min_size=1, max_size=40)
runs = st.lists(st.tuples(st.lists(names, max_size=3), names), max_size=40, unique_by=str)


def candidate(ids, where) -> Candidate:
    def opened():
        raise AssertionError("a part is chosen unread")

    return Candidate(where=where, at=None, run_ids=tuple(ids), open=opened)


@given(runs, st.integers(1, 9), st.randoms(use_true_random=False))
def test_parts_share_a_history_out_whatever_its_order(found, parts, rng):
    all_of_them = [candidate(*f) for f in found]
    shares = [[c for c in all_of_them if history.part_of(c, parts) == part] for part in range(parts)]
    assert sum(len(share) for share in shares) == len(all_of_them)
    of = {(c.run_ids, c.where): history.part_of(c, parts) for c in all_of_them}
    fewer = [c for c in all_of_them if rng.random() < 0.5]
    rng.shuffle(fewer)
    assert all(history.part_of(c, parts) == of[c.run_ids, c.where] for c in fewer)
    elsewhere = [candidate(c.run_ids, f"/other/{c.where}") for c in all_of_them if c.run_ids]
    assert all(history.part_of(c, parts) == of[c.run_ids, c.where.removeprefix("/other/")] for c in elsewhere)


def test_parts_of_a_history_are_about_as_large(tmp_path):
    ids = [candidate([str(n)], "x") for n in range(3000)]
    assert all(900 < sum(history.part_of(c, 3) == part for c in ids) < 1100 for part in range(3))


# ---------------------------------------------------------------- heads


RESULTS = sorted(p for name in ("run_results", "sources") for p in BASE.rglob(f"{name}*.json*"))


def blob(data: bytes, *, head=True) -> Blob:
    reads = []

    def load():
        reads.append(data)
        return data

    made = Blob(where="a", name="run_results.json", load=load, head=(lambda n: data[:n]) if head else None)
    return made, reads


def known(path: Path) -> tuple[datetime | None, str | None]:
    """By the whole file, with another reader."""
    try:
        metadata = load(path)["metadata"]
    except ValueError:
        return None, None
    at = metadata.get("generated_at")
    when = datetime.fromisoformat(at.rstrip("Z")[:26]).replace(tzinfo=timezone.utc) if at else None
    return when, metadata.get("invocation_id") or None


def plain_bytes(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


@pytest.mark.parametrize("packed", [lambda b: b, gzip.compress, zstd.compress], ids=["plain", "gzip", "zstd"])
def test_heads_say_what_whole_files_say(packed):
    assert len(RESULTS) > 50
    for path in RESULTS:
        made, reads = blob(packed(plain_bytes(path)))
        head = head_of(made, 1 << 30)
        assert (head.generated_at, head.invocation_id) == known(path), path
        assert not reads or known(path) == (None, None) or path.name.startswith("sources"), path


def made(metadata: dict, **more) -> bytes:
    return json.dumps({"metadata": metadata, "results": [], **more}).encode()


SAID = {"generated_at": "2026-01-01T00:00:00Z", "invocation_id": "i1"}
LONG = {f"K{n}": "x" * 100 for n in range(200)}


@pytest.mark.parametrize(
    ("data", "is_read"),
    [
        (made({**SAID, "env": LONG}), False),
        (
            made({"env": {**LONG, "generated_at": "2020-01-01T00:00:00Z", "invocation_id": "no"}, **SAID}),
            True,
        ),
        (json.dumps({"args": {"vars": {"invocation_id": "no"}}, "metadata": SAID}).encode(), True),
        (b"\xef\xbb\xbf" + made(SAID), False),
        (json.dumps({"metadata": SAID, "x": 1}, indent=2).encode(), False),
        (made(SAID, elapsed_time=float("nan")), False),
    ],
    ids=["long env", "env first", "sorted keys", "BOM", "indented", "NaN"],
)
def test_a_head_that_does_not_tell_is_no_guess(data, is_read):
    found, reads = blob(data)
    head = head_of(found, 1 << 30)
    assert (head.generated_at, head.invocation_id) == (datetime(2026, 1, 1, tzinfo=timezone.utc), "i1")
    assert bool(reads) == is_read
    whole, _ = blob(data, head=False)
    assert head_of(whole, 1 << 30) == head


@given(st.binary(max_size=400), st.integers(0, 300))
def test_no_bytes_end_a_listing(noise, cut):
    for data in (noise, made(SAID)[:cut] + noise, gzip.compress(made(SAID))[:cut] + noise):
        found, _ = blob(data)
        head_of(found, 1 << 20)


def test_a_history_is_the_same_list_in_any_order_on_disk(tmp_path):
    made = make_history(tmp_path / "runs", 10)
    found = history.history(Places(path="runs"), tmp_path, None)
    assert [c.where for c in found] == [f.relative_to(tmp_path).as_posix() for f in made]
    assert len({c.run_ids for c in found}) == 10
    rng = random.Random(1)
    for n, folder in enumerate(rng.sample(made, 10)):
        folder.rename(tmp_path / "runs" / f"moved{n}")
    moved = history.history(Places(path=str(tmp_path / "runs")), Path("/"), None)
    assert [(c.at, c.run_ids) for c in moved] == [(c.at, c.run_ids) for c in found]
    assert all(len(json.dumps(c.where)) < HEAD_BYTES for c in moved)
