"""A fork's change published by a trusted `workflow_run` job: its files are data, and never say what they are. Real
event files, the command in a process of its own, a platform over sockets."""

from __future__ import annotations

import gzip
import json
import sqlite3
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest

from qalita_action import sandbox
from qalita_action.publish import spool
from tests.artifact_sets import BASE
from tests.command import run
from tests.make_ingest import make_ingest

BUILD = BASE / "1.10" / "build"
HEAD, TIP, MAIN = "b" * 40, "a" * 40, "https://github.com/acme/shop"
BEGAN = datetime(2026, 11, 23, 6, 0, tzinfo=timezone.utc)


@pytest.fixture
def platform(tmp_path):
    with sandbox.running(tmp_path / "platform.db") as running:
        yield running


@pytest.fixture
def workspace(tmp_path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


def artifacts(workspace: Path, **stamps: str) -> Path:
    """What the change's own job uploaded; stamps: what its environment wrote into metadata.env."""
    folder = workspace / "downloaded"
    folder.mkdir()
    for path in BUILD.glob("*.json.gz"):
        content = json.loads(gzip.decompress(path.read_bytes()))
        written = (BEGAN + timedelta(minutes=3)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        content["metadata"].update(generated_at=written, env=stamps)
        (folder / path.name.removesuffix(".gz")).write_text(json.dumps(content))
    return folder


def environment(
    workspace: Path, platform, *, event: str = "pull_request", branch: str = "feature"
) -> dict[str, str]:
    """The job that `on: workflow_run` starts: GITHUB_SHA is the default branch, and the event tells of the head.
    A fork's change is in no `pull_requests`."""
    payload = {
        "action": "completed",
        "workflow_run": {
            "id": 77, "name": "dbt", "event": event, "head_branch": branch, "head_sha": HEAD, "run_attempt": 1,
            "created_at": "2026-11-23T06:00:00Z", "pull_requests": [],
            "head_repository": {"full_name": "fork/shop" if event == "pull_request" else "acme/shop"},
            "repository": {"full_name": "acme/shop"}, "actor": {"login": "mallory"},
        },
        "repository": {"full_name": "acme/shop", "default_branch": "main"},
    }  # fmt: skip
    path = workspace / "event.json"
    path.write_text(json.dumps(payload))
    return {
        "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "workflow_run", "GITHUB_EVENT_PATH": str(path),
        "GITHUB_SHA": TIP, "GITHUB_REF": "refs/heads/main", "GITHUB_REPOSITORY": "acme/shop", "GITHUB_RUN_ID": "78",
        "GITHUB_SERVER_URL": "https://github.com", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_JOB": "publish",
        "QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token,
    }  # fmt: skip


def recorded(platform) -> list[tuple]:
    with sqlite3.connect(platform.database) as db:
        rows = db.execute(
            "select project, environment, branch, is_change, run from runs where state = 'complete'"
        ).fetchall()
    db.close()
    return [(*row[:4], json.loads(row[4])["git"]["sha"]) for row in rows]


def test_identity_comes_from_the_event_and_the_settings(workspace, platform):
    artifacts(workspace)
    args = ("downloaded", "--project", "qalita_demo", "--env", "prod", "--fail-on", "never")
    done = run("dbt", *args, cwd=workspace, env=environment(workspace, platform))
    assert done.returncode == 0, done.stdout + done.stderr
    assert recorded(platform) == [("qalita_demo", "ci", "feature", 1, HEAD)]


def test_the_default_branch_s_own_run_is_the_head_s_too(workspace, platform):
    """The default branch may have moved on since: the tip is not what dbt ran on."""
    artifacts(workspace)
    env = environment(workspace, platform, event="push", branch="main")
    done = run("dbt", "downloaded", "--env", "prod", "--fail-on", "never", cwd=workspace, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert recorded(platform) == [("qalita_demo", "prod", "main", 0, HEAD)]


@pytest.mark.parametrize(
    ("stamps", "project"),
    [({"GITHUB_SHA": "c" * 40}, "qalita_demo"), ({}, "shop")],
    ids=["commit", "project"],
)
def test_files_that_disagree_are_refused(workspace, platform, stamps, project):
    artifacts(workspace, **stamps)
    done = run("dbt", "downloaded", "--project", project, cwd=workspace, env=environment(workspace, platform))
    assert done.returncode == 3, done.stdout + done.stderr
    assert "[handover-differs]" in done.stderr
    assert recorded(platform) == []


@pytest.mark.parametrize("args", [(), ("--project", "qalita_demo", "--change-env", "same")])
def test_settings_that_let_a_file_choose_are_refused(workspace, platform, args):
    artifacts(workspace)
    done = run("dbt", "downloaded", *args, cwd=workspace, env=environment(workspace, platform))
    assert done.returncode == 2
    assert "[handover-unsafe]" in done.stderr
    assert recorded(platform) == []


def waiting(**git):
    ingest = make_ingest(project="shop", environment=git.pop("environment", "ci"))
    said = {"sha": HEAD, "branch": "feature", "repository_url": MAIN, "head_repository": "fork/shop", **git}
    return msgspec.structs.replace(
        ingest, run=msgspec.structs.replace(ingest.run, git=msgspec.structs.replace(ingest.run.git, **said))
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"sha": "c" * 40},
        {"branch": "main"},
        {"repository_url": "https://github.com/fork/shop"},
        {"environment": "prod"},
    ],
    ids=lambda w: next(iter(w)),
)
def test_a_waiting_run_that_disagrees_is_refused_whatever_is_trusted(workspace, platform, wrong):
    spool.write(waiting(**wrong), b"", workspace / "downloaded")
    args = ("replay", "downloaded", "--project", "shop", "--env", "prod", "--trust-spool")
    done = run(*args, cwd=workspace, env=environment(workspace, platform))
    assert done.returncode == 3, done.stdout + done.stderr
    assert "[handover-differs]" in done.stderr
    assert recorded(platform) == []


def test_a_waiting_run_is_a_change_s_whatever_it_says(workspace, platform):
    spool.write(waiting(), b"", workspace / "downloaded", is_change=False)
    env = environment(workspace, platform)
    over_results = run(
        "replay", "downloaded", "--project", "shop", "--api", "results", cwd=workspace, env=env
    )
    assert over_results.returncode == 0
    assert "change run" in over_results.stdout
    done = run("replay", "downloaded", "--project", "shop", cwd=workspace, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert recorded(platform) == [("shop", "ci", "feature", 1, HEAD)]
