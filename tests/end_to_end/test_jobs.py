"""dbt in one job, the publishing step in another: handed over, downloaded, retried the next day, or restored
from a cache. The command in a process of its own, real artifacts, real git, a platform over sockets.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from qalita_action import sandbox
from tests.artifact_sets import BASE
from tests.command import run

BUILD = BASE / "1.10" / "build"
STALE = BASE / "1.10" / "awkward" / "parse_error_stale"
PROJECT = "qalita_demo"
CREATED = datetime(2026, 11, 23, 6, 0, tzinfo=timezone.utc)  # when the pipeline began
DBT_DONE = CREATED + timedelta(minutes=7)


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def artifacts(folder: Path, fixture: Path, at: datetime) -> None:
    """A fixture's files as `dbt build` would have left them at that time: dbt stamps them inside the JSON, and
    a hand-over between jobs gives them the time of the download as theirs."""
    folder.mkdir(parents=True)
    for path in fixture.glob("*.json.gz"):
        content = json.loads(gzip.decompress(path.read_bytes()))
        content["metadata"].update(generated_at=stamp(at), env={})
        (folder / path.name.removesuffix(".gz")).write_text(json.dumps(content), encoding="utf-8")


def git(folder: Path, *args: str) -> str:
    """Commits are an hour older than the pipeline that they start."""
    when = stamp(CREATED - timedelta(hours=1))
    person = {"NAME": "Ada", "EMAIL": "ada@example.com", "DATE": when}
    env = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in person.items()}
    done = subprocess.run(
        ["git", *args], cwd=folder, env={**os.environ, **env}, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def platform(tmp_path):
    with sandbox.running(tmp_path / "platform.db") as running:
        yield running


@pytest.fixture
def origin(tmp_path) -> Path:
    """The team's repository: one dbt project, one commit."""
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "dbt_project.yml").write_text(f"name: {PROJECT}\n")
    (folder / ".gitignore").write_text("target/\nqalita-*/\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=a project")
    return folder


def checkout(origin: Path, folder: Path) -> Path:
    """What a runner does before the job's own commands: nothing of an earlier job is left."""
    if folder.exists():
        shutil.rmtree(folder)
    git(origin.parent, "clone", "--quiet", str(origin), str(folder))
    return folder


def gitlab(origin: Path, job: int, *, created: datetime = CREATED, pipeline: int = 900) -> dict[str, str]:
    """Variables of a job on the default branch; GitLab writes times in its own zone, with the offset."""
    local = created.astimezone(timezone(timedelta(hours=2)))
    return {
        "GITLAB_CI": "true", "CI": "true", "CI_SERVER_URL": "https://gitlab.example.com",
        "CI_PIPELINE_ID": str(pipeline), "CI_PIPELINE_IID": "12", "CI_PIPELINE_SOURCE": "push",
        "CI_PIPELINE_CREATED_AT": local.isoformat(), "CI_PIPELINE_URL": f"https://gitlab.example.com/acme/shop/-/pipelines/{pipeline}",
        "CI_JOB_ID": str(job), "CI_JOB_NAME": "qalita", "CI_JOB_URL": f"https://gitlab.example.com/acme/shop/-/jobs/{job}",
        "CI_JOB_STARTED_AT": (local + timedelta(minutes=10)).isoformat(),
        "CI_COMMIT_SHA": git(origin, "rev-parse", "HEAD"), "CI_COMMIT_BRANCH": "main", "CI_COMMIT_REF_NAME": "main",
        "CI_DEFAULT_BRANCH": "main", "CI_PROJECT_PATH": "acme/shop", "CI_PROJECT_URL": "https://gitlab.example.com/acme/shop",
    }  # fmt: skip


def github(origin: Path, attempt: int, job: int) -> dict[str, str]:
    return {
        "GITHUB_ACTIONS": "true", "CI": "true", "GITHUB_RUN_ID": "4711", "GITHUB_RUN_ATTEMPT": str(attempt),
        "GITHUB_JOB": "qalita", "INPUT_JOB-ID": str(job), "GITHUB_SHA": git(origin, "rev-parse", "HEAD"),
        "GITHUB_REF": "refs/heads/main", "GITHUB_REPOSITORY": "acme/shop", "GITHUB_EVENT_NAME": "push",
        "GITHUB_SERVER_URL": "https://github.com",
    }  # fmt: skip


def publish(workspace: Path, platform, env: dict[str, str], *args: str):
    account = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
    return run("dbt", *args, cwd=workspace, env={**account, **env})


def recorded(platform) -> list[tuple[str, str]]:
    """(key, state) of each run that the platform holds."""
    with closing(sqlite3.connect(platform.database)) as db, db:
        rows = db.execute("select key, state from runs").fetchall()
    db.close()
    return rows


def assert_once(platform, *processes) -> str:
    """Each process was red by its gate alone, the platform holds one complete run, and a later attempt said so."""
    for process in processes:
        told = process.stdout + process.stderr
        assert process.returncode == 1, told
        assert "GATE" in process.stdout, told
        assert "artifacts-stale" not in told
    for later in processes[1:]:
        assert "already recorded" in later.stdout
    ((key, state),) = recorded(platform)
    assert state == "complete"
    return key


def test_gitlab_hands_target_over_to_the_next_job(origin, platform, tmp_path):
    """`artifacts: {when: always, paths: [target/*.json]}`: the ingest job finds them with fresh mtimes."""
    workspace = checkout(origin, tmp_path / "builds")
    artifacts(workspace / "target", BUILD, DBT_DONE)
    key = assert_once(platform, publish(workspace, platform, gitlab(origin, 2)))
    stored = platform.stored(key)
    assert stored["run"]["git"]["sha"] == git(origin, "rev-parse", "HEAD")
    assert stored["run"]["ci"]["pipeline_id"] == "900"
    assert stored["run"]["completed_at"].startswith("2026-11-23T06:07")


def test_gitlab_retries_the_ingest_job_the_next_day(origin, platform, tmp_path):
    """The same pipeline, another job id, a later clock, a new checkout and a new download: the same run."""
    first = checkout(origin, tmp_path / "builds")
    artifacts(first / "target", BUILD, DBT_DONE)
    one = publish(first, platform, gitlab(origin, 2))
    second = checkout(origin, tmp_path / "builds")
    artifacts(second / "target", BUILD, DBT_DONE)
    tomorrow = {"CI_JOB_STARTED_AT": stamp(CREATED + timedelta(days=1))}
    two = publish(second, platform, {**gitlab(origin, 77), **tomorrow})
    assert_once(platform, one, two)


def test_gitlab_publishes_beside_dbt_and_again_in_a_job_of_its_own(origin, platform, tmp_path):
    """A team that splits its job in two during one pipeline does not record the run twice."""
    beside = checkout(origin, tmp_path / "builds")
    artifacts(beside / "target", BUILD, DBT_DONE)
    other = checkout(origin, tmp_path / "other-runner")
    artifacts(other / "target", BUILD, DBT_DONE)
    env = {"CI_JOB_NAME": "dbt"}
    one = publish(beside, platform, {**gitlab(origin, 1), **env})
    assert_once(platform, one, publish(other, platform, gitlab(origin, 2)))


def test_github_uploads_and_downloads_into_another_folder(origin, platform, tmp_path):
    """upload-artifact, then download-artifact on another runner: no checkout, another folder, the same run."""
    runner = tmp_path / "runner"
    runner.mkdir()
    artifacts(runner / "dbt-artifacts", BUILD, DBT_DONE)
    one = publish(runner, platform, github(origin, 1, 11), "dbt-artifacts")
    again = tmp_path / "another-runner"
    again.mkdir()
    artifacts(again / "downloaded" / "here", BUILD, DBT_DONE)
    two = publish(again, platform, github(origin, 2, 12), "downloaded/here")
    assert_once(platform, one, two)


def test_github_downloads_into_the_checkout(origin, platform, tmp_path):
    """The project is checked out for its dbt_project.yml, and the artifacts come down where dbt left them."""
    workspace = checkout(origin, tmp_path / "work")
    artifacts(workspace / "target", BUILD, DBT_DONE)
    one = publish(workspace, platform, github(origin, 1, 11))
    again = checkout(origin, tmp_path / "work")
    artifacts(again / "target", BUILD, DBT_DONE)
    assert_once(platform, one, publish(again, platform, github(origin, 2, 12)))


def test_results_that_a_cache_brought_back_are_stale(origin, platform, tmp_path):
    """dbt failed at a parse error and wrote nothing; the cache of an older pipeline had filled target/."""
    workspace = checkout(origin, tmp_path / "builds")
    artifacts(workspace / "target", STALE, CREATED - timedelta(hours=20))
    for name in ("first attempt", "retried"):
        process = publish(workspace, platform, gitlab(origin, 2 if name == "first attempt" else 3))
        told = process.stdout + process.stderr
        assert process.returncode == 3, told
        assert "[artifacts-stale]" in told
        assert "they are another run's" in told
        assert "it may have failed before it wrote anything" in told
        assert "cache" in told
        assert "2026-11-22T10:00" in told, "when the files were written"
        assert "2026-11-23T06:00" in told, "when the pipeline began"
    assert recorded(platform) == []


def test_what_the_cache_brought_is_not_mixed_with_what_dbt_wrote(origin, platform, tmp_path):
    """The results are this pipeline's; a sources.json of another day lies beside them and is left out."""
    workspace = checkout(origin, tmp_path / "builds")
    target = workspace / "target"
    artifacts(target, BUILD, DBT_DONE)
    old = tmp_path / "old"
    artifacts(old, BASE / "1.10" / "source_freshness", CREATED - timedelta(days=1))
    shutil.copy(old / "sources.json", target / "sources.json")
    key = assert_once_but_stale_file(platform, publish(workspace, platform, gitlab(origin, 2)))
    assert platform.stored(key)["ledger"]["freshness"]["executed"] == 0


def assert_once_but_stale_file(platform, process) -> str:
    assert process.returncode == 1, process.stdout + process.stderr
    assert "sources.json is older than" in process.stdout
    assert "was left out [stale-file]" in process.stdout
    ((key, state),) = recorded(platform)
    assert state == "complete"
    return key


@pytest.mark.parametrize("name", ["--target-path", "--manifest"])
def test_files_that_are_named_are_meant(origin, platform, tmp_path, name):
    """A backfill names yesterday's files, and no pipeline's start makes them another run's."""
    workspace = checkout(origin, tmp_path / "builds")
    artifacts(workspace / "yesterday", BUILD, CREATED - timedelta(days=1))
    args = {
        "--target-path": ("yesterday",),
        "--manifest": ("--manifest", "yesterday/manifest.json", "--results", "yesterday/run_results.json"),
    }[name]
    process = publish(workspace, platform, gitlab(origin, 2), *args)
    assert_once(platform, process)
