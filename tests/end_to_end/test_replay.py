"""`qalita-ingest replay`: runs that wait in files, sent from any machine, in any order, any number of times. The
command in a process of its own, a platform over sockets."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from qalita_action import publish, sandbox
from qalita_action.model import to_json
from qalita_action.publish import spool
from tests.artifact_sets import BASE
from tests.command import run
from tests.make_ingest import make_ingest

BUILD = BASE / "1.10" / "build"
PAGE = b"<!doctype html><title>run</title>"
NOWHERE = {
    "QALITA_WORKER_ENDPOINT": "http://127.0.0.1:9",
    "QALITA_WORKER_TOKEN": sandbox.make_token(b"x", sub=1),
}


@pytest.fixture
def platform(tmp_path):
    with sandbox.running(tmp_path / "platform.db") as running:
        yield running


@pytest.fixture
def workspace(tmp_path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


def replay(workspace, platform, *args, env=None):
    account = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
    return run("replay", *args, cwd=workspace, env={**account, **(env or {})})


def keep(folder: Path, *ingests, **kw) -> list[Path]:
    return [spool.write(ingest, PAGE, folder, **kw) for ingest in ingests]


def recorded(platform) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(platform.database)) as db, db:
        rows = db.execute("select key, state from runs order by id").fetchall()
    db.close()
    return rows


def jobs(platform) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(platform.database)) as db, db:
        rows = db.execute("select status, name from jobs where kind = 'pack' order by id").fetchall()
    db.close()
    return rows


def told(process) -> str:
    return process.stdout + process.stderr


def test_an_outage_and_a_replay_are_the_same_as_no_outage(workspace, platform, tmp_path):
    """The run waits in a file that is named; another machine sends it; the first machine's next attempt sees it."""
    down = run("dbt", str(BUILD), "--fail-on", "never", "--publish-timeout", "1", cwd=workspace, env=NOWHERE)
    assert down.returncode == 4
    (path,) = (workspace / "qalita-spool").glob("*.json.gz")
    assert f"qalita-spool/{path.name}" in down.stdout
    waiting = spool.read(path)
    elsewhere = tmp_path / "another-machine"
    elsewhere.mkdir()
    os.rename(path, elsewhere / path.name)
    sent = replay(elsewhere, platform, path.name)
    assert sent.returncode == 0, told(sent)
    assert waiting.run.key in sent.stdout
    assert recorded(platform) == [(waiting.run.key, "complete")]
    stored = platform.stored(waiting.run.key)
    assert {**stored, "state": None} == {**msgspec.json.decode(to_json(waiting)), "state": None}
    assert not (elsewhere / path.name).exists()
    env = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
    again = run("dbt", str(BUILD), "--fail-on", "never", cwd=workspace, env=env)
    assert again.returncode == 0
    assert "already recorded" in again.stdout
    assert len(recorded(platform)) == 1


def test_folders_files_twice_and_in_any_order(workspace, platform):
    """Oldest first, whatever the order on the command line; a copy of a file is the same run."""
    newer = make_ingest(run_id="b", completed_at="2026-03-05T07:00:00Z")
    older = make_ingest(run_id="a", completed_at="2026-03-04T07:00:00Z")
    (one,) = keep(workspace / "x" / "qalita-spool", newer)
    (two,) = keep(workspace / "y", older)
    copy = workspace / "copy.json.gz"
    copy.write_bytes(two.read_bytes())
    sent = replay(workspace, platform, "x", str(one), "copy.json.gz", "y")
    assert sent.returncode == 0, told(sent)
    assert [key for key, _ in recorded(platform)] == [older.run.key, newer.run.key]
    assert "already recorded" in sent.stdout
    assert not list(workspace.rglob("*.json.gz"))
    assert replay(workspace, platform, "x", "y").stdout == "nothing waits\n"


def test_receipts_as_lines_of_json(workspace, platform):
    ingests = [make_ingest(project=name) for name in ("shop", "store")]
    keep(workspace / "s", *ingests)
    sent = replay(workspace, platform, "s", "--output", "json", env={"GITHUB_ACTIONS": "true"})
    assert sent.returncode == 0, told(sent)
    receipts = [json.loads(line) for line in sent.stdout.splitlines()]
    assert {r["run_key"] for r in receipts} == {i.run.key for i in ingests}
    assert {r["status"] for r in receipts} == {"recorded"}
    assert receipts[0]["counts"]["checks"] == 5
    assert platform.token not in sent.stdout


def test_a_late_run_sends_its_job_and_page_and_no_numbers(workspace, platform):
    """The results API dates uploads by arrival: yesterday's score would be taken for today's."""
    late = make_ingest(run_id="a", completed_at="2026-03-04T07:00:00Z")
    keep(workspace / "new", make_ingest(run_id="b", completed_at="2026-03-05T07:00:00Z"))
    keep(workspace / "old", late)
    assert replay(workspace, platform, "new", "--api", "results").returncode == 0
    with closing(sqlite3.connect(platform.database)) as db, db:
        before = db.execute("select count(*) from metrics").fetchone()
    sent = replay(workspace, platform, "old", "--api", "results")
    assert sent.returncode == 0, told(sent)
    assert "recorded late, numbers withheld" in sent.stdout
    with closing(sqlite3.connect(platform.database)) as db, db:
        assert db.execute("select count(*) from metrics").fetchone() == before
        assert db.execute("select count(*) from outputs").fetchone() == (2,)
    db.close()
    assert [status for status, _ in jobs(platform)] == ["succeeded", "succeeded"]
    assert jobs(platform)[1][1].endswith(late.run.key)


@pytest.mark.parametrize(
    "wrong", [("--project", "store"), ("--env", "staging"), ("--suite", "nightly")], ids=lambda w: w[0]
)
def test_a_run_of_something_else_is_refused_unless_trusted(workspace, platform, wrong):
    (path,) = keep(workspace / "s", make_ingest(project="shop", environment="prod"))
    refused = replay(workspace, platform, "s", *wrong)
    assert refused.returncode == 3
    assert "[spool-foreign]" in refused.stderr
    assert "--trust-spool" in refused.stderr
    assert recorded(platform) == []
    assert path.exists()
    assert replay(workspace, platform, "s", *wrong, "--trust-spool").returncode == 0
    assert len(recorded(platform)) == 1


def test_a_settings_file_names_the_project_too(workspace, platform):
    (workspace / "qalita.yml").write_text("project: store\nenv: prod\n")
    keep(workspace / "s", make_ingest(project="shop"), make_ingest(project="store"))
    sent = replay(workspace, platform, "s")
    assert sent.returncode == 3
    assert [key for key, _ in recorded(platform)] == [make_ingest(project="store").run.key]


def test_a_change_s_run_belongs_to_the_change_environment(workspace, platform):
    keep(workspace / "s", make_ingest(environment="ci", change_id="7"), is_change=True)
    assert replay(workspace, platform, "s", "--env", "prod").returncode == 0
    keep(workspace / "t", make_ingest(environment="ci", run_id="x"))
    assert replay(workspace, platform, "t", "--env", "prod").returncode == 3


def test_a_change_s_run_stays_out_of_the_results_api(workspace, platform):
    """Only the CI that it ran in knew that it was a change's: the file keeps that."""
    (path,) = keep(workspace / "s", make_ingest(environment="ci"), is_change=True)
    sent = replay(workspace, platform, "s", "--api", "results")
    assert sent.returncode == 0, told(sent)
    assert "change run" in sent.stdout
    assert jobs(platform) == []
    assert path.exists(), "somebody kept it: it is not thrown away unsent"
    assert replay(workspace, platform, "s", "--api", "results", "--publish", "always").returncode == 0
    assert len(jobs(platform)) == 1


def test_a_damaged_file_costs_the_others_nothing(workspace, platform):
    whole, damaged = keep(workspace / "s", make_ingest(), make_ingest(project="store"))
    damaged.write_bytes(damaged.read_bytes()[:200])
    sent = replay(workspace, platform, "s", "missing.json.gz")
    assert sent.returncode == 3
    assert sent.stderr.count("[spool-unreadable]") == 2
    assert damaged.name in sent.stderr
    assert len(recorded(platform)) == 1
    assert damaged.exists() and not whole.exists()


def test_the_platform_is_still_down(workspace):
    (path,) = keep(workspace / "s", make_ingest())
    env = {**NOWHERE, "GITHUB_ACTIONS": "true", "RUNNER_ENVIRONMENT": "github-hosted", "GITHUB_RUN_ID": "1"}
    down = run("replay", "s", "--publish-timeout", "1", cwd=workspace, env=env)
    assert down.returncode == 4
    assert f"s/{path.name}" in down.stdout
    assert "thrown away with the job" in down.stdout
    assert any(
        line.startswith("::warning title=QALITA has not got shop-prod") for line in down.stdout.splitlines()
    )
    warned = run(
        "replay", "s", "--publish-timeout", "1", "--on-publish-failure", "warn", cwd=workspace, env=env
    )
    assert warned.returncode == 0
    assert "NOT DELIVERED" in warned.stdout and "::warning" in warned.stdout
    assert path.exists()
    assert run("replay", "s", "--publish", "never", cwd=workspace).returncode == 0
    assert path.exists()


def rejected_one():
    ingest = make_ingest(10, 1)
    bad = msgspec.structs.replace(ingest.results[3], duration_s=-1.0)
    return msgspec.structs.replace(ingest, results=(*ingest.results[:3], bad, *ingest.results[4:])), bad.check


def test_a_later_attempt_tells_of_rejected_rows_too(workspace, platform):
    """The same machine, and one that knows nothing of the first attempt: the run is there, and not whole."""
    ingest, check = rejected_one()
    keep(workspace / "s", ingest)
    keep(workspace / "elsewhere", ingest)
    with closing(sqlite3.connect(platform.database)) as db, db:
        for folder in ("s", "s", "elsewhere"):
            sent = replay(workspace, platform, folder)
            assert sent.returncode == 4, told(sent)
            assert "[row-malformed]" in sent.stdout and check in sent.stdout
            assert list((workspace / folder).glob("*.json.gz"))
            assert db.execute("select count(*) from results").fetchone() == (9,)
    db.close()
    assert len(recorded(platform)) == 1


def test_nobody_but_the_owner_of_the_folder_reads_what_root_wrote(tmp_path):
    """A container runs as root in a workspace of another user."""
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    os.chown(workspace, 1234, 1235)
    path = spool.write(make_ingest(), PAGE, workspace / "deep" / "qalita-spool")
    publish.spool.Journal(path).add(spool.Entry(call="run/0", digest="d", status=201))
    for made in (path, spool.journal_path(path), path.parent, path.parent.parent):
        assert (made.stat().st_uid, made.stat().st_gid) == (1234, 1235), made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_help_names_the_files(tmp_path):
    done = run("replay", "--help", cwd=tmp_path, env={"COLUMNS": "200"})
    assert done.returncode == 0
    assert "--trust-spool" in done.stdout and "--run-id" not in done.stdout
