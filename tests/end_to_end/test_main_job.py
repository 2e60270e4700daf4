"""The main job for real: the command in a process of its own, artifacts of real dbt, a platform over sockets."""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
import threading
from collections import Counter
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from qalita_action import sandbox
from tests.artifact_sets import BASE
from tests.command import run

BUILD = BASE / "1.10" / "build"
SAMPLE = Path(__file__).parents[2] / "examples" / "airquality" / "sample-target"


@pytest.fixture
def platform(tmp_path):
    with sandbox.running(tmp_path / "platform.db") as running:
        yield running


@pytest.fixture
def workspace(tmp_path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


def account(platform) -> dict[str, str]:
    return {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}


def attempt(number: int) -> dict[str, str]:
    """A job of GitHub's on the default branch: a re-run has another attempt and other ids."""
    return {
        "GITHUB_ACTIONS": "true", "CI": "true", "GITHUB_RUN_ID": "4711", "GITHUB_RUN_ATTEMPT": str(number),
        "GITHUB_JOB": "dbt", "INPUT_JOB-ID": str(1000 + number), "GITHUB_SHA": "a" * 40,
        "GITHUB_REF": "refs/heads/main", "GITHUB_REPOSITORY": "acme/shop", "GITHUB_EVENT_NAME": "push",
        "GITHUB_SERVER_URL": "https://github.com",
    }  # fmt: skip


def publish(workspace, platform, *args, env=None, folder=BUILD):
    return run(
        "dbt",
        str(folder),
        "--fail-on",
        "never",
        *args,
        cwd=workspace,
        env={**account(platform), **(env or {})},
    )


def row_counts(database: Path) -> dict[str, int]:
    with closing(sqlite3.connect(database)) as db, db:
        names = [n for (n,) in db.execute("select name from sqlite_master where type = 'table'")]
        counts = {n: db.execute(f'select count(*) from "{n}"').fetchone()[0] for n in names}
    db.close()
    return {n: c for n, c in counts.items() if "sqlite" not in n}


def document(workspace, *args, folder=BUILD) -> dict:
    process = run("dbt", str(folder), "--dry-run", "--output", "json", *args, cwd=workspace)
    assert process.returncode == 0, process.stderr
    (line,) = process.stdout.splitlines()
    return json.loads(line)


@pytest.mark.parametrize("folder", [BUILD, BASE / "2.0rc196" / "build", BASE / "1.5" / "test"], ids=str)
def test_document_and_database_agree_row_for_row(workspace, platform, folder):
    process = publish(workspace, platform, folder=folder)
    assert process.returncode == 0, process.stdout + process.stderr
    sent = document(workspace, folder=folder)
    with closing(sqlite3.connect(platform.database)) as db, db:
        stored = {
            kind: [json.loads(r) for (r,) in db.execute(f"select row from {kind} order by batch, position")]
            for kind in ("datasets", "checks", "results", "causes")
        }
        (key, state) = db.execute("select key, state from runs").fetchone()
    db.close()
    assert (key, state) == (sent["run"]["key"], "complete")
    for kind, rows in stored.items():
        assert rows == sent[kind], kind
    again = platform.stored(key)
    assert again["scores"] == sent["scores"]
    assert again["ledger"] == sent["ledger"]
    assert again["source"] == sent["source"]
    assert {**again["run"], "ci": None, "git": None} == {**sent["run"], "ci": None, "git": None}


def test_a_second_attempt_finds_it_recorded_and_changes_nothing(workspace, platform):
    first = publish(workspace, platform, env=attempt(1))
    assert first.returncode == 0, first.stdout + first.stderr
    before = row_counts(platform.database)
    second = publish(workspace, platform, env=attempt(2))
    assert second.returncode == 0, second.stdout + second.stderr
    assert "already recorded" in second.stdout
    assert row_counts(platform.database) == before
    assert not list((workspace / "qalita-spool").glob("*")), "a complete receipt deletes the spool"


@pytest.mark.parametrize("api", ["ingestion", "results"])
def test_both_apis_take_it_once(workspace, platform, api):
    for expected in ("11", "already recorded"):
        process = publish(workspace, platform, "--api", api)
        assert process.returncode == 0, process.stdout + process.stderr
        assert expected in process.stdout
    with closing(sqlite3.connect(platform.database)) as db, db:
        if api == "ingestion":
            assert db.execute("select count(*), min(state) from runs").fetchone() == (1, "complete")
        else:
            assert db.execute("select count(*), min(state) from runs").fetchone() == (0, None)
    db.close()
    if api == "results":
        answer = httpx.get(
            f"{platform.url}/api/v2/jobs", headers={"Authorization": f"Bearer {platform.token}"}
        )
        assert [job["status"] for job in answer.json()] == ["succeeded"]


def test_the_results_api_gets_the_numbers_of_the_document(workspace, platform):
    process = publish(workspace, platform, "--api", "results", folder=SAMPLE)
    assert process.returncode == 0, process.stdout + process.stderr
    sent = document(workspace, folder=SAMPLE)
    folder = run("dbt", str(SAMPLE), "--api", "folder", "--fail-on", "never", cwd=workspace)
    assert folder.returncode == 0, folder.stderr
    metrics = json.loads((workspace / "qalita-report" / "metrics.json").read_text())
    source = {m["key"]: m["value"] for m in metrics if m["scope"]["value"] == sent["source"]["name"]}
    counts = Counter(r["status"] for r in sent["results"])
    assert source["tests_failed"] == counts["failed"]
    assert source["tests_warned"] == counts["warned"]
    assert float(source["score"]) <= sent["scores"]["overall"] < float(source["score"]) + 0.0001
    recommendations = json.loads((workspace / "qalita-report" / "recommendations.json").read_text())
    assert len(recommendations) == len(sent["causes"])
    assert {r["level"] for r in recommendations} <= {"high", "warning", "info"}


def test_dry_run_prints_the_document_and_nothing_else(workspace):
    process = run("dbt", str(BUILD), "--dry-run", "--output", "json", cwd=workspace)
    assert process.returncode == 0
    assert process.stderr == ""
    assert json.loads(process.stdout)["schemaVersion"] == "1"
    assert list(workspace.iterdir()) == []


@pytest.mark.parametrize("api", ["ingestion", "results"])
def test_dry_run_lists_each_request_without_an_account(workspace, api):
    process = run("dbt", str(BUILD), "--dry-run", "--output", "text", "--api", api, cwd=workspace)
    assert process.returncode == 0, process.stderr
    wanted = "/api/v2/ingest/runs/" if api == "ingestion" else "/api/v1/metrics/upload"
    assert wanted in process.stdout
    assert "nothing was sent" in process.stdout


def test_the_gate_speaks_whatever_happens_to_publishing(workspace):
    env = {
        "QALITA_WORKER_ENDPOINT": "http://127.0.0.1:9",
        "QALITA_WORKER_TOKEN": sandbox.make_token(b"x", sub=1),
    }
    process = run("dbt", str(BUILD), "--publish-timeout", "1", cwd=workspace, env=env)
    assert process.returncode == 1
    assert "qalita-spool/" in process.stdout
    quiet = run("dbt", str(BUILD), "--publish-timeout", "1", "--fail-on", "never", cwd=workspace, env=env)
    assert quiet.returncode == 4
    (spool,) = (workspace / "qalita-spool").glob("*.json.gz")
    assert spool.name in quiet.stdout
    kept = gzip.decompress(spool.read_bytes()).decode()
    assert env["QALITA_WORKER_TOKEN"] not in kept
    warned = run(
        "dbt", str(BUILD), "--publish-timeout", "1", "--fail-on", "never", "--on-publish-failure", "warn",
        cwd=workspace, env=env,
    )  # fmt: skip
    assert warned.returncode == 0
    assert spool.name in warned.stdout


# ------------------------------------------------------------------ endpoints and tokens that cannot work


class WebFrontEnd(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"<!DOCTYPE html><html><title>QALITA</title></html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET

    def log_message(self, *args):
        pass


def test_an_endpoint_that_is_the_web_front_end(workspace):
    with HTTPServer(("127.0.0.1", 0), WebFrontEnd) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        env = {
            "QALITA_WORKER_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "QALITA_WORKER_TOKEN": sandbox.make_token(b"x", sub=1),
        }
        process = run("dbt", str(BUILD), "--fail-on", "never", cwd=workspace, env=env)
        server.shutdown()
    assert process.returncode == 2
    assert "endpoint-not-api" in process.stdout + process.stderr


def test_an_endpoint_that_does_not_resolve(workspace):
    env = {
        "QALITA_WORKER_ENDPOINT": "http://qalita.invalid",
        "QALITA_WORKER_TOKEN": sandbox.make_token(b"x", sub=1),
    }
    process = run("dbt", str(BUILD), "--fail-on", "never", "--publish-timeout", "1", cwd=workspace, env=env)
    assert process.returncode == 4
    assert "qalita.invalid" in process.stdout + process.stderr
    assert "qalita-spool/" in process.stdout


def test_a_token_that_the_platform_refuses(workspace, platform):
    env = {**account(platform), "QALITA_WORKER_TOKEN": sandbox.make_token(b"another secret", sub=1)}
    process = run("dbt", str(BUILD), "--fail-on", "never", cwd=workspace, env=env)
    assert process.returncode == 2
    assert "token-refused" in process.stdout + process.stderr
    assert env["QALITA_WORKER_TOKEN"] not in process.stdout + process.stderr


@pytest.mark.parametrize(("token", "code"), [("not-a-jwt", "token-malformed"), ("expired", "token-expired")])
def test_a_token_that_cannot_work_is_named_without_a_call(workspace, token, code):
    token = sandbox.make_token(b"x", sub=1, expires_at=1.0) if token == "expired" else token
    env = {"QALITA_WORKER_ENDPOINT": "http://127.0.0.1:9", "QALITA_WORKER_TOKEN": token}
    process = run("dbt", str(BUILD), cwd=workspace, env=env)
    assert process.returncode == 2
    assert f"[{code}]" in process.stderr
    assert token not in process.stderr


# ------------------------------------------------------------------ changes, forks, several projects


def test_a_fork_without_secrets_gets_the_report_and_the_gate(workspace):
    event = workspace / "event.json"
    event.write_text(
        json.dumps(
            {
                "number": 12,
                "pull_request": {
                    "number": 12,
                    "head": {
                        "sha": "b" * 40,
                        "ref": "feature",
                        "repo": {"full_name": "fork/shop", "fork": True},
                    },
                    "base": {"sha": "c" * 40, "ref": "main", "repo": {"full_name": "acme/shop"}},
                },
                "repository": {"full_name": "acme/shop", "default_branch": "main"},
            }
        )
    )
    env = {**attempt(1), "GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF": "refs/pull/12/merge",
           "GITHUB_HEAD_REF": "feature", "GITHUB_BASE_REF": "main", "GITHUB_EVENT_PATH": str(event),
           "GITHUB_STEP_SUMMARY": str(workspace / "summary.md"), "GITHUB_OUTPUT": str(workspace / "out")}  # fmt: skip
    process = run("dbt", str(BUILD), cwd=workspace, env=env)
    assert process.returncode == 1, process.stderr
    assert "report and gate only" in process.stdout
    assert process.stdout.count("::error") <= 9
    assert "not_null_stg_air_quality_country" in (workspace / "summary.md").read_text()
    assert "verdict<<" in (workspace / "out").read_text() or "verdict=" in (workspace / "out").read_text()
    main_line = run("dbt", str(BUILD), cwd=workspace, env=attempt(1))
    assert main_line.returncode == 2
    assert "[token-missing]" in main_line.stderr


def test_a_monorepo_publishes_each_project_with_one_verdict(workspace, platform):
    for name, source in (("shop", BUILD), ("air", SAMPLE)):
        folder = workspace / name
        (folder / "target").mkdir(parents=True)
        real = {"shop": "qalita_demo", "air": "opendata_dbt"}[name]
        (folder / "dbt_project.yml").write_text(f"name: {real}\n")
        for file in source.glob("*.json*"):
            shutil.copy(file, folder / "target" / file.name)
    process = run("dbt", cwd=workspace, env=account(platform))
    assert process.returncode == 1, process.stderr
    with closing(sqlite3.connect(platform.database)) as db, db:
        projects = {json.loads(s)["project"] for (s,) in db.execute("select source from runs")}
    db.close()
    assert projects == {"qalita_demo", "opendata_dbt"}
    lines = run("dbt", "--dry-run", "--output", "json", cwd=workspace).stdout.splitlines()
    assert [json.loads(line)["source"]["project"] for line in lines] == ["opendata_dbt", "qalita_demo"]


def test_check_says_what_is_there_and_writes_nothing(workspace, platform):
    before = row_counts(platform.database)
    process = run("check", str(BUILD), cwd=workspace, env=account(platform))
    assert process.returncode == 0, process.stdout + process.stderr
    assert "ingestion" in process.stdout
    assert "qalita_demo" in process.stdout
    assert row_counts(platform.database) == before
    alone = run("check", cwd=workspace)
    assert alone.returncode == 2
    assert "next:" in alone.stdout
