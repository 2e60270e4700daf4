"""Runs of dbt Cloud through the real command: the right steps, the run's own identity, patience and plain words."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta, timezone

import pytest

from qalita_action import dbt, sandbox
from qalita_action.dbt.sources import cloud as source
from qalita_action.errors import ArtifactError
from qalita_action.redact import Secret
from tests.command import run
from tests.dbt_cloud import (
    ACCOUNT,
    BUILD,
    CANCELLED,
    ERROR,
    JOB,
    QUEUED,
    RUNNING,
    SHA,
    SUCCESS,
    TOKEN,
    Cloud,
    Run,
    Step,
    a_build,
    dbt_cloud,
    edited,
    files,
    setup,
)
from tests.loopback import before, reply, serving

ONE, NEWEST = f"dbtcloud://{ACCOUNT}/runs/901", f"dbtcloud://{ACCOUNT}/jobs/{JOB}"
DRY = ("--dry-run", "--output", "json")
PULL_REQUEST = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_EVENT_NAME": "pull_request",
    "GITHUB_REPOSITORY": "acme/tools",
    "GITHUB_SERVER_URL": "https://github.example.com",
    "GITHUB_REF": "refs/pull/77/merge",
    "GITHUB_HEAD_REF": "feature",
    "GITHUB_BASE_REF": "trunk",
    "GITHUB_SHA": "1" * 40,
    "GITHUB_RUN_ID": "5",
    "GITHUB_RUN_ATTEMPT": "1",
}
NIGHTLY = {
    "GITLAB_CI": "true",
    "CI_PIPELINE_SOURCE": "schedule",
    "CI_COMMIT_SHA": "2" * 40,
    "CI_COMMIT_BRANCH": "main",
    "CI_DEFAULT_BRANCH": "main",
    "CI_ENVIRONMENT_NAME": "collectors",
    "CI_PROJECT_URL": "https://gitlab.example.com/acme/poller",
    "CI_PIPELINE_ID": "9",
}
A_CHANGE = {"cause": "PR 12", "cause_category": "github_pull_request", "github_pull_request_id": 12}


@pytest.fixture
def go(tmp_path):
    """The command against a stand-in. The token is in the environment, and nowhere in what comes out."""

    def command(cloud, address, *args, env=None, name="dbt"):
        where = ("--dbt-cloud-host", cloud.url) if cloud else ()
        process = run(
            name, address, *where, *args, cwd=tmp_path, env={"DBT_CLOUD_API_TOKEN": TOKEN, **(env or {})}
        )
        said = (process.stdout + process.stderr).replace(f"::add-mask::{TOKEN}\n", "")  # GitHub hides it
        assert TOKEN not in said, "the token was printed"
        assert "Traceback" not in process.stderr, process.stderr
        return process

    return command


def document(process) -> dict:
    assert process.returncode == 0, process.stderr
    (line,) = process.stdout.splitlines()
    return json.loads(line)


def executed(found: dict) -> int:
    return sum(kind["executed"] for kind in found["ledger"].values())


def ran_in(data: bytes) -> set[str]:
    """Those that ran: an independent reading."""
    rows = json.loads(data)["results"]
    ran = {"pass", "fail", "warn", "error"}
    return {r["unique_id"] for r in rows if "test." in r["unique_id"] and r["status"] in ran}


def checked(found: dict) -> set[str]:
    words = {"passed", "warned", "failed", "errored"}
    return {r["check"] for r in found["results"] if r["status"] in words and "test." in r["check"]}


# ---------------------------------------------------------------- which steps, which files


def test_a_run_is_read_by_its_steps_and_says_itself_what_it_is(go):
    with dbt_cloud(a_build()) as cloud:
        found = document(go(cloud, ONE, *DRY))
    assert checked(found) == ran_in(files("build")["run_results.json"])
    assert sorted(cloud.artifacts()) == ["4/manifest.json", "4/run_results.json"], "never the docs' results"
    assert cloud.tokens == {f"Bearer {TOKEN}"}
    ran = found["run"]
    assert ran["git"]["sha"] == SHA, "the run's commit, not what the artifacts are stamped with"
    assert ran["git"]["branch"] == "main"
    assert ran["git"]["repository_url"] == "https://git.example.com/acme/shop"
    assert found["source"]["environment"] == "Production"
    assert ran["orchestrator"] == {
        "name": "dbt-cloud",
        "job": "Nightly build",
        "task": None,
        "run_id": "901",
        "attempt": None,
        "url": f"https://cloud.getdbt.com/deploy/{ACCOUNT}/projects/3/runs/901/",
    }
    assert ran["ci"]["event"] == "scheduled" and ran["ci"]["started_at"] == "2026-11-20T07:07:00Z"


# A step of each kind, and whether it executes something.
STEPS = {
    "Clone git repository": None,
    "Create profile from connection DuckDB": None,
    "Invoke dbt with `dbt deps`": None,
    "Invoke dbt with `dbt seed`": "run_results.json",
    "Invoke dbt with `dbt --warn-error snapshot --select 's'`": "run_results.json",
    "Invoke dbt with `dbt run --select tag:nightly`": "run_results.json",
    'Invoke dbt with `dbt test --exclude "unclosed`': "run_results.json",
    "Invoke dbt with `dbt source freshness`": "sources.json",
    "Invoke dbt with `dbt retry`": "run_results.json",
    "Invoke dbt with `dbt build`": "run_results.json",
    "Invoke dbt with `dbt --log-level debug -t docs build`": "run_results.json",
    "Invoke dbt with `dbt --profile build --log-format=text parse`": None,
    "Invoke dbt with `dbt run-operation build_index`": None,
    "Invoke dbt with `dbt compile --select build`": None,
    "Invoke dbt with `dbt clone`": None,
    "Invoke dbt with `dbt docs generate`": None,
}


def test_every_step_that_executes_something_is_asked_for_and_no_other(go):
    built = files("build")
    with dbt_cloud(Run(901, [Step(name, built) for name in STEPS])) as cloud:
        document(go(cloud, ONE, *DRY))
    wanted = [f"{n}/{name}" for n, name in enumerate(STEPS.values(), 1) if name]
    assert [path for path in cloud.artifacts() if "manifest" not in path] == wanted


def test_a_step_that_says_its_command_is_not_judged_by_its_name(go):
    steps = [
        Step("Nightly", files("build"), command="dbt build"),
        Step("Docs of `dbt build`", command="dbt docs"),
    ]
    with dbt_cloud(Run(901, steps)) as cloud:
        assert executed(document(go(cloud, ONE, *DRY)))
    assert cloud.artifacts() == ["1/run_results.json", "1/manifest.json"]


def test_several_steps_are_one_run(go):
    steps = setup(
        Step("Invoke dbt with `dbt source freshness`", files("source_freshness"), ERROR),
        Step("Invoke dbt with `dbt run`", files("run")),
        Step("Invoke dbt with `dbt test`", files("test"), ERROR),
    )
    with dbt_cloud(Run(901, steps, [ERROR])) as cloud:
        found = document(go(cloud, ONE, *DRY))
    assert found["run"]["commands"] == ["run", "test", "source freshness"]
    assert checked(found) == ran_in(files("test")["run_results.json"])
    assert found["ledger"]["freshness"]["executed"] == len(
        json.loads(files("source_freshness")["sources.json"])["results"]
    )
    built = {r["unique_id"] for r in json.loads(files("run")["run_results.json"])["results"]}
    assert built >= {d["key"] for d in found["datasets"] if d["run"] and d["kind"] == "model"}
    assert "6/manifest.json" in cloud.artifacts(), "the last step's manifest speaks for all"


def test_a_retry_counts_with_what_it_retries(go):
    first = files("awkward/retry")
    retried = {"manifest.json": first["manifest.json"], "run_results.json": first["run_results.json"]}
    before = {**retried, "run_results.json": first["run_results.first.json"]}
    both = setup(
        Step("Invoke dbt with `dbt run`", before, ERROR), Step("Invoke dbt with `dbt retry`", retried)
    )
    with dbt_cloud(Run(901, both)) as cloud:
        whole = document(go(cloud, ONE, *DRY))["run"]
    with dbt_cloud(Run(901, setup(Step("Invoke dbt with `dbt retry`", retried)))) as cloud:
        alone = document(go(cloud, ONE, *DRY))["run"]
    assert whole["extent"] != "partial"
    assert (alone["extent"], alone["extent_reason"]) == (
        "partial",
        "retry without the results of its first run",
    )


def test_an_api_that_serves_the_last_steps_files_at_every_step_is_never_green(go):
    with dbt_cloud(a_build(statuses=[SUCCESS]), knows_step=False) as cloud:
        process = go(cloud, ONE, "--publish", "never")
    assert process.returncode == 3 and "[nothing-executed]" in process.stderr
    two = [Step("Invoke dbt with `dbt seed`", files("seed")), Step(BUILD, files("build"), ERROR)]
    with dbt_cloud(Run(901, setup(*two), [ERROR]), knows_step=False) as cloud:
        found = document(go(cloud, ONE, *DRY))
    assert found["run"]["commands"] == ["build"], "the same file counts once"
    texts = [w["text"] for w in found["run"]["warnings"] if w["code"] == "step-without-results"]
    assert texts == ["step 5 (dbt build, error) has no run_results.json of its own: it is that of step 4"]


def test_a_step_that_failed_before_it_wrote_is_no_reason_to_stop_and_never_green(go):
    green = edited(files("build")["run_results.json"], all_green=True)
    built = {**files("build"), "run_results.json": green}
    steps = setup(Step(BUILD, built), Step("Invoke dbt with `dbt test`", {}, ERROR))
    with dbt_cloud(Run(901, steps, [ERROR])) as cloud:
        red = go(cloud, ONE, "--publish", "never")
        found = document(go(cloud, ONE, *DRY))
    assert red.returncode == 1, "dbt Cloud says that the run failed, and no row says why"
    assert found["run"]["dbt_exit_code"] == 1
    assert ("step-without-results", "step 5 (dbt test, error) left no run_results.json") in [
        (w["code"], w["text"]) for w in found["run"]["warnings"]
    ]
    with dbt_cloud(Run(901, setup(Step(BUILD, built)))) as cloud:
        assert go(cloud, ONE, "--publish", "never").returncode == 0


def test_a_step_that_crashed_is_not_explained_by_failures_that_are_allowed(go):
    """dbt Cloud goes on after freshness that failed, and that is on the list."""
    stale = Step("Invoke dbt with `dbt source freshness`", files("source_freshness"), ERROR)
    with dbt_cloud(Run(901, setup(stale))) as cloud:
        assert go(cloud, ONE, "--reason", "known", name="accept").returncode == 0
    allowed = ("--publish", "never", "--allow-failures", ".qalita/allow-failures.yml")
    for name in (BUILD, "Invoke dbt with `dbt run-operation check_it`"):
        with dbt_cloud(Run(901, setup(stale, Step(name, {}, ERROR)), [ERROR])) as cloud:
            crashed = go(cloud, ONE, *allowed)
        assert crashed.returncode == 1, crashed.stdout
        assert "the run did not finish what it selected: step 5" in crashed.stdout
    with dbt_cloud(Run(901, setup(stale))) as cloud:
        assert go(cloud, ONE, *allowed).returncode == 0


@pytest.mark.parametrize("left", [{}, files("run")], ids=["nothing", "what the step before it left"])
def test_tests_that_never_began_are_not_excused_with_the_model_that_stopped_them(go, left):
    broken = Step("Invoke dbt with `dbt run`", files("run"), ERROR)
    steps = setup(broken, Step("Invoke dbt with `dbt test`", left, CANCELLED))
    with dbt_cloud(Run(901, steps, [ERROR])) as cloud:
        found = document(go(cloud, ONE, *DRY))["run"]
        assert found["extent"] == "selected", "what broke is an issue of the platform all the same"
        assert go(cloud, ONE, "--reason", "known", name="accept").returncode == 0
        excused = go(cloud, ONE, "--publish", "never", "--allow-failures", ".qalita/allow-failures.yml")
    assert excused.returncode == 1, excused.stdout
    assert "the run did not finish: step 5 (dbt test, cancelled) never ran" in excused.stdout


def test_what_a_step_found_and_nobody_has_is_not_taken_for_the_whole(go):
    steps = setup(
        Step(BUILD, {**files("build"), "run_results.json": green(files("build"))}),
        Step("Invoke dbt with `dbt test --select x`"),
    )
    with dbt_cloud(Run(901, steps)) as cloud:
        found = document(go(cloud, ONE, *DRY))["run"]
    assert found["extent"] == "partial", "it moves no score and resolves nothing"
    assert found["extent_reason"] == "step 5 (dbt test, success) left no results"
    just_now = datetime.now(timezone.utc) - timedelta(seconds=20)
    with dbt_cloud(Run(901, steps, finished=just_now, saved=False)) as cloud:
        early = go(cloud, ONE, "--wait", "--wait-timeout", "1", *DRY)
    assert early.returncode == 3 and "[dbt-cloud-unfinished]" in early.stderr, "a run is published once"
    assert "step 5: dbt test: no run_results.json" in early.stderr


def green(built: dict[str, bytes]) -> bytes:
    return edited(built["run_results.json"], all_green=True)


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        (setup(Step("Invoke dbt with `dbt parse`", files("list"))), "dbt-cloud-nothing-executed"),
        ([], "dbt-cloud-nothing-executed"),
        (setup(Step(BUILD, {}, ERROR)), "dbt-cloud-no-artifacts"),
    ],
)
def test_a_run_that_shows_nothing_is_told_with_its_steps(go, steps, code):
    with dbt_cloud(Run(901, steps, [ERROR])) as cloud:
        process = go(cloud, ONE, *DRY)
    assert process.returncode == 3 and f"[{code}]" in process.stderr
    assert all(f"step {n}: {step.name}: " in process.stderr for n, step in enumerate(steps, 1))


# ---------------------------------------------------------------- which run of a job


def test_of_a_job_the_newest_run_that_finished_is_taken_red_or_green(go):
    runs = [
        a_build(901, statuses=[SUCCESS]),
        a_build(902),  # red
        a_build(903, statuses=[CANCELLED]),
        a_build(904, statuses=[RUNNING]),
    ]
    with dbt_cloud(*runs) as cloud:
        found = document(go(cloud, NEWEST, *DRY))
    assert found["run"]["orchestrator"]["run_id"] == "902"
    assert found["run"]["dbt_exit_code"] == 1
    texts = [w["text"] for w in found["run"]["warnings"]]
    assert "run 903 was cancelled: an older one was taken" in texts
    assert "run 904 is running: it was not waited for" in texts


def test_a_job_whose_newest_runs_were_all_cancelled_is_paged_through(go):
    cancelled = [Run(n, statuses=[CANCELLED]) for n in range(902, 1032)]
    with dbt_cloud(a_build(901), *cancelled) as cloud:
        assert document(go(cloud, NEWEST, *DRY))["run"]["orchestrator"]["run_id"] == "901"
    assert sum("offset=" in path for path in cloud.asked) == 2


def test_with_wait_a_run_under_way_is_waited_for(go):
    runs = [a_build(901), a_build(902, statuses=[QUEUED, QUEUED, RUNNING, RUNNING, ERROR])]
    with dbt_cloud(*runs) as cloud:
        process = go(cloud, NEWEST, "--wait", *DRY)
    assert document(process)["run"]["orchestrator"]["run_id"] == "902"
    assert "dbtcloud://4711/runs/902 is running: waiting for it" in process.stderr
    with dbt_cloud(a_build(901), a_build(902, statuses=[RUNNING, RUNNING, CANCELLED])) as cloud:
        assert document(go(cloud, NEWEST, "--wait", *DRY))["run"]["orchestrator"]["run_id"] == "901"


@pytest.mark.parametrize(
    ("args", "words"), [((), "--wait, with --wait-timeout"), (("--wait", "--wait-timeout", "1"), "after 1 s")]
)
def test_a_run_that_does_not_finish_ends_the_step(go, args, words):
    with dbt_cloud(a_build(901, statuses=[RUNNING])) as cloud:
        for address in (ONE, NEWEST):
            process = go(cloud, address, *args, *DRY)
            assert process.returncode == 3 and "[dbt-cloud-unfinished]" in process.stderr
            assert words in process.stderr


def test_a_cancelled_run_that_was_named_is_refused(go):
    with dbt_cloud(a_build(901, statuses=[CANCELLED])) as cloud:
        process = go(cloud, ONE, *DRY)
    assert process.returncode == 3 and "[dbt-cloud-cancelled]" in process.stderr
    assert cloud.artifacts() == []


def test_artifacts_that_come_a_moment_after_the_end_are_waited_for(go):
    just_now = datetime.now(timezone.utc) - timedelta(seconds=20)
    with dbt_cloud(a_build(901, late=3, finished=just_now)) as cloud:
        process = go(cloud, ONE, *DRY)
    assert executed(document(process)) and "has just finished" in process.stderr
    # Each step that ran owes its file, whatever the others have, until the run says that all are saved.
    steps = setup(
        Step("Invoke dbt with `dbt seed`", files("seed")),
        Step(BUILD, files("build"), ERROR),
        Step("Invoke dbt with `dbt test`", {}, ERROR),
    )
    with dbt_cloud(Run(901, steps, [ERROR], finished=just_now, late=4)) as cloud:
        assert document(go(cloud, ONE, *DRY))["run"]["commands"] == ["seed", "build"]


# ---------------------------------------------------------------- whose run it is


def test_who_fetches_changes_nothing_of_the_run(go):
    with dbt_cloud(a_build()) as cloud:
        documents = [document(go(cloud, ONE, *DRY, env=env)) for env in ({}, PULL_REQUEST, NIGHTLY)]
    keys = {(d["run"]["key"], d["run"]["content_digest"], d["source"]["environment"]) for d in documents}
    assert len(keys) == 1 and {d["source"]["environment"] for d in documents} == {"Production"}
    assert [d["run"]["ci"]["provider"] for d in documents] == [None, "github", "gitlab"]
    assert {d["run"]["ci"]["change_id"] for d in documents} == {None}
    warned = {w["code"] for d in documents for w in d["run"]["warnings"]}
    assert not warned & {"sha-unknown", "change-unknown"}, "nothing is missing of the run"


def test_a_run_of_a_pull_request_is_a_change_wherever_it_is_fetched(go):
    change = a_build(901, trigger=A_CHANGE, git_branch="feature", environment="CI jobs")
    with dbt_cloud(change) as cloud:
        nightly, local = (document(go(cloud, ONE, *DRY, env=env)) for env in (NIGHTLY, {}))
        named = document(go(cloud, ONE, *DRY, "--env", "prod", "--change-env", "pr", env=NIGHTLY))
    assert nightly["source"]["environment"] == local["source"]["environment"] == "ci"
    assert named["source"]["environment"] == "pr", "--env names what it is compared with"
    assert nightly["run"]["ci"]["change_id"] == "12"
    assert nightly["run"]["ci"]["event"] == "github_pull_request"
    assert nightly["run"]["key"] == local["run"]["key"]


def test_off_the_default_branch_that_the_user_names_a_run_is_a_changes(go):
    with dbt_cloud(a_build(901, git_branch="next")) as cloud:
        plain = document(go(cloud, ONE, *DRY, env=PULL_REQUEST))
        named = document(go(cloud, ONE, *DRY, "--default-branch", "main"))
    assert (plain["source"]["environment"], plain["run"]["git"]["default_branch"]) == ("Production", None)
    assert (named["source"]["environment"], named["run"]["git"]["default_branch"]) == ("ci", "main")


@pytest.mark.parametrize(
    ("number", "repository", "is_written"),
    [(77, "acme/shop", True), (12, "acme/shop", False), (77, "acme/other", False)],
)
def test_a_comment_is_written_on_the_very_change_that_the_run_is_of(go, number, repository, is_written):
    trigger = {**A_CHANGE, "github_pull_request_id": number}
    with (
        serving(lambda seen: reply(200, []) if seen.method == "GET" else reply(201, {"id": 1})) as github,
        dbt_cloud(a_build(901, trigger=trigger)) as cloud,
    ):
        env = {
            **PULL_REQUEST,
            "GITHUB_API_URL": github.url,
            "GITHUB_SERVER_URL": "https://git.example.com",
            "GITHUB_REPOSITORY": repository,
            "QALITA_GITHUB_TOKEN": "ghs_0123456789abcdef",
        }
        go(cloud, ONE, "--publish", "never", "--comment", "always", env=env)
    assert bool(github.count("POST", "/issues/77/comments")) == is_written
    assert bool(github.seen) == is_written


def test_the_users_own_words_come_first(go):
    with dbt_cloud(a_build()) as cloud:
        said = document(go(cloud, ONE, *DRY, "--env", "prod", "--project", "shop", "--suite", "hourly"))
        plain = document(go(cloud, ONE, *DRY))
    assert said["source"]["name"] == "shop-prod-hourly"
    assert said["run"]["key"] != plain["run"]["key"]


@pytest.mark.parametrize("api", ["results", "ingestion"])
def test_it_is_published_once_whoever_polls(go, tmp_path, api):
    with sandbox.running(tmp_path / "platform.db") as platform, dbt_cloud(a_build()) as cloud:
        env = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
        args = ("--api", api, "--fail-on", "never")
        first = go(cloud, ONE, *args, env={**NIGHTLY, **env})
        again = go(cloud, ONE, *args, env={**PULL_REQUEST, **env})
    assert first.returncode == again.returncode == 0, (first.stderr, again.stderr)
    assert "PUBLISHED  QALITA" in first.stdout and "already" not in first.stdout
    assert "already recorded" in again.stdout
    assert cloud.tokens == {f"Bearer {TOKEN}"}, "QALITA's token goes to QALITA alone"


def test_a_run_of_a_pull_request_moves_no_score_of_production(go, tmp_path):
    change = a_build(901, trigger=A_CHANGE, git_branch="feature")
    with sandbox.running(tmp_path / "platform.db") as platform, dbt_cloud(change) as cloud:
        env = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
        for api, said in {"results": "not sent: change run", "ingestion": "PUBLISHED  QALITA"}.items():
            args = ("--api", api, "--fail-on", "never")
            assert said in go(cloud, ONE, *args, env={**NIGHTLY, **env}).stdout
        with closing(sqlite3.connect(platform.database)) as database, database:
            assert database.execute("select is_change from runs").fetchall() == [(1,)]


def test_check_and_accept_read_the_same_address(go, tmp_path):
    with dbt_cloud(a_build()) as cloud:
        checked = go(cloud, ONE, name="check")
        accepted = go(cloud, ONE, "--reason", "known", name="accept")
    assert "executed" in checked.stdout
    assert accepted.returncode == 0, accepted.stderr
    assert (tmp_path / ".qalita" / "allow-failures.yml").is_file()


# ---------------------------------------------------------------- bad days


def test_a_service_that_is_busy_is_asked_again(go):
    trouble = {"/runs/901/?": [reply(429, {}, Retry_After="0"), reply(503, {}, Retry_After="0")]}
    trouble["run_results.json"] = [reply(500, {}, Retry_After="0")]
    with dbt_cloud(a_build(), trouble=trouble) as cloud:
        assert executed(document(go(cloud, ONE, *DRY)))
    assert Counter(cloud.artifacts())["4/run_results.json"] == 2


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused(go, status):
    with dbt_cloud(a_build(), trouble={"/runs/": [reply(status, {"status": {"code": status}})]}) as cloud:
        process = go(cloud, ONE, *DRY)
    assert process.returncode == 2 and "[dbt-cloud-token-refused]" in process.stderr
    assert "QALITA_WORKER_TOKEN" not in process.stderr


def test_what_cannot_be_found(go):
    with dbt_cloud(a_build()) as cloud:
        for address in (
            f"dbtcloud://{ACCOUNT}/runs/7",
            "dbtcloud://1/runs/901",
            f"dbtcloud://{ACCOUNT}/jobs/8",
        ):
            process = go(cloud, address, *DRY)
            assert process.returncode == 3 and "[dbt-cloud-not-found]" in process.stderr, process.stderr


@pytest.mark.parametrize(
    "address",
    [
        "dbtcloud://acme/runs/1",
        f"dbtcloud://{ACCOUNT}",
        f"dbtcloud://{ACCOUNT}/run/1",
        f"dbtcloud://{ACCOUNT}/runs/1/artifacts",
        f"dbtcloud://{ACCOUNT}/runs/1?since=2026-01-01",
        f"dbtcloud://{ACCOUNT}/jobs/1?since=yesterday",
        f"dbtcloud://{ACCOUNT}/jobs/1?until=2026-01-01",
    ],
)
def test_an_address_that_is_none(go, address):
    process = go(None, address, *DRY)
    assert process.returncode == 2 and "[dbt-cloud-address]" in process.stderr


@pytest.mark.parametrize(
    "host",
    [
        "http://cloud.getdbt.com",
        "https://cloud.getdbt.com/deploy/1",
        "ftp://x",
        "user:pw-hunter2@emea.dbt.com",
    ],
)
def test_a_host_that_is_none(go, host):
    process = go(None, ONE, *DRY, "--dbt-cloud-host", host)
    assert process.returncode == 2 and "[dbt-cloud-host]" in process.stderr
    assert "hunter2" not in process.stderr


def test_without_a_token_no_call_is_made(tmp_path):
    with dbt_cloud(a_build()) as cloud:
        process = run("dbt", ONE, "--dbt-cloud-host", cloud.url, *DRY, cwd=tmp_path)
    assert process.returncode == 2 and "[dbt-cloud-token-missing]" in process.stderr
    assert cloud.asked == []


def test_a_host_that_is_something_else(go):
    page = reply(200, None, Content_Type="text/html")._replace(body=b"<!doctype html><p>hello")
    with dbt_cloud(a_build(), trouble={"/runs/": [page]}) as cloud:
        process = go(cloud, ONE, *DRY)
    assert process.returncode == 2 and "[dbt-cloud-host]" in process.stderr
    with dbt_cloud(a_build(), trouble={"/runs/": [reply(200, {"data": {"id": "many"}})]}) as cloud:
        process = go(cloud, ONE, *DRY)
    assert process.returncode == 3 and "[dbt-cloud-unreadable]" in process.stderr


def test_an_artifact_beyond_the_limit(go):
    with dbt_cloud(a_build()) as cloud:
        process = go(cloud, ONE, *DRY, "--max-artifact-size", "20KiB")
    assert process.returncode == 3 and "[artifact-too-large]" in process.stderr


# ---------------------------------------------------------------- a window of a job's runs

DAY = datetime(2026, 11, 20, 7, 0, tzinfo=timezone.utc)
WINDOW = f"{NEWEST}?since=2026-11-19"


def day(run: int, n: int, **changes) -> Run:
    """The job's run of the n-th day, by real dbt, with its own invocation and moment."""
    built = files("build")
    content = json.loads(edited(built["run_results.json"], invocation=f"00000000-0000-4000-8000-{run:012d}"))
    content["metadata"]["generated_at"] = f"2026-11-{20 + n}T06:59:00.000000Z"
    step = Step(BUILD, {**built, "run_results.json": json.dumps(content).encode()}, ERROR)
    return Run(run, setup(step), [ERROR], finished=DAY + timedelta(days=n), **changes)


def fetched(cloud) -> list[str]:
    """Runs whose results were asked for, in that order."""
    return [path.split("/runs/")[1].split("/")[0] for path in cloud.asked if "run_results.json" in path]


@pytest.mark.parametrize("api", ["results", "ingestion"])
def test_a_window_is_caught_up_with_newest_first_and_each_run_fetched_once(go, tmp_path, api):
    runs = [day(901, 0), day(902, 1), day(903, 2), Run(904, statuses=[CANCELLED], finished=DAY)]
    with sandbox.running(tmp_path / "platform.db") as platform, dbt_cloud(*runs) as cloud:
        env = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
        first = go(cloud, WINDOW, "--api", api, env=env)
        assert first.returncode == 1, "the gate judges the newest run, and it is red"
        assert fetched(cloud) == ["903", "901", "902"]
        late = first.stdout.count("recorded late, numbers withheld")
        assert late == (2 if api == "results" else 0), first.stdout

        cloud.runs.append(day(905, 3))
        cloud.asked.clear()
        second = go(cloud, WINDOW, "--api", api, env=env)
        assert second.returncode == 1
        assert fetched(cloud) == ["905"], "what is recorded is not fetched, and the newest always is"
        for run in ("901", "902", "903"):
            assert f"dbtcloud://{ACCOUNT}/runs/{run}: recorded already" in second.stdout

        cloud.asked.clear()
        third = go(cloud, WINDOW, "--api", api, env=env)
        assert (third.returncode, fetched(cloud)) == (1, ["905"]), "recorded, and judged all the same"
        with closing(sqlite3.connect(platform.database)) as database, database:
            table = "runs" if api == "ingestion" else "jobs"
            assert database.execute(f"select count(*) from {table}").fetchone() == (4,)


def test_a_run_of_the_window_that_cannot_be_read_costs_itself_alone(go, tmp_path):
    broken = Run(902, setup(Step(BUILD, {}, ERROR)), [ERROR], finished=DAY + timedelta(days=1))
    with (
        sandbox.running(tmp_path / "platform.db") as platform,
        dbt_cloud(day(901, 0), broken, day(903, 2)) as cloud,
    ):
        env = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
        process = go(cloud, WINDOW, "--fail-on", "never", env=env)
        assert process.returncode == 0
        assert f"dbtcloud://{ACCOUNT}/runs/902: cannot be read" in process.stdout
        assert fetched(cloud) == ["903", "901", "902"]
        with closing(sqlite3.connect(platform.database)) as database, database:
            assert database.execute("select count(*) from runs").fetchone() == (2,)


def test_a_run_of_the_window_that_began_earlier_and_was_done_later_is_published_and_red_is_said(go, tmp_path):
    with sandbox.running(tmp_path / "platform.db") as platform, dbt_cloud(day(901, 2), day(902, 1)) as cloud:
        env = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
        process = go(cloud, WINDOW, "--min-score", "0", env=env)
        assert fetched(cloud) == ["902", "901"], "no later poll would look at it"
        assert f"dbtcloud://{ACCOUNT}/runs/901: its gate would say no, by " in process.stdout


def test_a_run_of_the_window_that_cannot_be_kept_fails_the_step(go, tmp_path):
    def spoils(seen):
        if "/runs/901/artifacts" in seen.path:
            shutil.rmtree(tmp_path / "qalita-spool", ignore_errors=True)
            (tmp_path / "qalita-spool").write_text("no folder")
        return cloud.answer(seen)

    cloud = Cloud([day(901, 0), day(902, 1)])
    with sandbox.running(tmp_path / "platform.db") as platform, serving(spoils) as server:
        cloud.url = server.url
        env = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
        process = go(cloud, WINDOW, "--fail-on", "never", env=env)
    assert process.returncode == 2, process.stderr
    assert f"dbtcloud://{ACCOUNT}/runs/901: not published: " in process.stdout
    assert "[spool-unwritable]" in process.stdout


def test_a_newest_run_that_is_older_than_the_window_is_judged_and_said(go):
    with dbt_cloud(day(901, -4), day(902, -3)) as cloud:
        process = go(cloud, WINDOW, "--publish", "never")
    assert process.returncode == 1
    assert "run 902 finished 2026-11-17 07:00Z, before the window: none has since" in process.stdout


def test_a_history_in_which_nothing_ran_is_empty_and_a_job_that_never_ran_is_an_error(go, tmp_path):
    with sandbox.running(tmp_path / "platform.db") as platform, dbt_cloud(day(901, -4)) as cloud:
        env = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
        quiet = go(cloud, NEWEST, "--since", "2026-11-19", env=env)
        assert quiet.returncode == 0 and "0 runs to publish" in quiet.stdout, quiet.stderr
        wrong = go(cloud, f"dbtcloud://{ACCOUNT}/jobs/8", "--since", "2026-11-19", env=env)
        assert wrong.returncode == 3 and "[dbt-cloud-not-found]" in wrong.stderr


def test_a_history_knows_its_runs_whatever_environment_the_fetching_job_has(go, tmp_path):
    change = day(902, 1, trigger=A_CHANGE, git_branch="feature")
    with sandbox.running(tmp_path / "platform.db") as platform, dbt_cloud(day(901, 0), change) as cloud:
        env = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token, **NIGHTLY}
        args = ("--since", "all", "--project", "qalita_demo")
        assert "published 2 · already there 0" in go(cloud, NEWEST, *args, env=env).stdout
        cloud.asked.clear()
        assert "published 0 · already there 2" in go(cloud, NEWEST, *args, env=env).stdout
        assert fetched(cloud) == []


def test_a_change_of_a_history_that_waits_on_disk_stays_a_change(go, tmp_path):
    change = day(901, 0, trigger=A_CHANGE, git_branch="feature")

    def is_down(seen, n):
        return reply(503) if seen.method == "PUT" else None

    with sandbox.running(tmp_path / "platform.db") as platform, dbt_cloud(change) as cloud:
        with serving(before(platform.url, instead=is_down)) as down:
            env = {"QALITA_WORKER_ENDPOINT": down.url, "QALITA_WORKER_TOKEN": platform.token}
            lost = go(cloud, NEWEST, "--since", "all", "--publish-timeout", "2", env=env)
        assert lost.returncode == 4, lost.stderr
        env = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
        sent = run("replay", "qalita-spool", "--api", "results", cwd=tmp_path, env=env)
        assert "change run" in sent.stdout + sent.stderr, sent
        with closing(sqlite3.connect(platform.database)) as database, database:
            assert database.execute("select count(*) from jobs").fetchone() == (0,)


def test_a_history_holds_what_a_poll_recorded_and_takes_it_for_recorded(go, tmp_path):
    with (
        sandbox.running(tmp_path / "platform.db") as platform,
        dbt_cloud(day(901, 0), day(902, 1), day(903, 2)) as cloud,
    ):
        env = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
        assert go(cloud, NEWEST, env={**NIGHTLY, **env}).returncode == 1
        history = go(cloud, NEWEST, "--since", "2026-11-19", "--project", "qalita_demo", env=env)
        assert history.returncode == 0, history.stderr
        assert "published 2 · already there 1" in history.stdout
        assert fetched(cloud) == ["903", "901", "902"]
        with closing(sqlite3.connect(platform.database)) as database, database:
            assert database.execute("select count(*), count(distinct source_id) from runs").fetchone() == (
                3,
                1,
            )


def test_a_window_without_a_platform_is_its_newest_run(go):
    with dbt_cloud(day(901, 0), day(902, 1)) as cloud:
        assert go(cloud, WINDOW, "--publish", "never").returncode == 1
        assert document(go(cloud, WINDOW, *DRY))["run"]["orchestrator"]["run_id"] == "902"
        assert set(fetched(cloud)) == {"902"}
        process = go(cloud, WINDOW, "--run-id", "mine", "--publish", "never")
        assert process.returncode == 2 and "[dbt-cloud-window]" in process.stderr


# ---------------------------------------------------------------- as a library: time and history


def places(cloud, **changes):
    reach = dbt.Reach(cloud_host=cloud.url, cloud_token=Secret(TOKEN), **changes)
    return dbt.Places(reach=reach)


def test_a_service_that_stays_away_is_no_failed_delivery():
    with dbt_cloud(a_build()) as cloud:
        where = places(cloud, patience_s=1.0)
        cloud.trouble["/runs/"] = [reply(503, {})] * 20
        with pytest.raises(ArtifactError) as caught:
            source.found_at(ONE, where)
        assert caught.value.code == "dbt-cloud-unreachable"
    with pytest.raises(ArtifactError) as caught:
        source.found_at(ONE, where)
    assert caught.value.code == "dbt-cloud-unreachable"
    assert "the same job" not in str(caught.value), "nothing of QALITA's advice"


def test_a_history_is_every_finished_run_oldest_first_and_read_when_wanted():
    runs = [
        a_build(901, finished=DAY),
        a_build(902, finished=DAY + timedelta(days=1), statuses=[SUCCESS]),
        a_build(903, finished=DAY + timedelta(days=2), statuses=[CANCELLED]),
        a_build(904, finished=DAY + timedelta(days=4)),
        a_build(905, finished=DAY + timedelta(days=3)),  # began later, was done earlier
        a_build(906, statuses=[RUNNING]),
    ]
    with dbt_cloud(*runs) as cloud:
        found = source.history(NEWEST, places(cloud), None)
        assert [c.ran_by.run for c in found] == ["901", "902", "905", "904"]
        assert [c.run_ids for c in found][:1] == [(f"dbtcloud/{ACCOUNT}/901",)]
        assert {(c.ran_by.environment, c.ran_by.sha) for c in found} == {("Production", SHA)}
        assert [c.at for c in found] == sorted(c.at for c in found)
        assert cloud.artifacts() == [], "nothing is fetched before somebody wants it"
        assert sum("/runs/9" in path for path in cloud.asked) == 1, "one look for the environment's name"
        opened = found[0].open()
        assert opened.ran_by == found[0].ran_by or opened.ran_by.repository, "the same run, told in full"
        assert dbt.read(opened, dbt.Vetting()).run_ids == found[0].run_ids

        since = source.history(NEWEST, places(cloud), DAY + timedelta(days=2))
        assert [c.ran_by.run for c in since] == ["905", "904"]
        by_address = source.history(f"{NEWEST}?since=2026-11-22", places(cloud), None)
        assert [c.ran_by.run for c in by_address] == ["905", "904"]
        assert [c.ran_by.run for c in source.history(ONE, places(cloud), None)] == ["901"]
        assert source.history(f"{NEWEST}?since=2027-01-01", places(cloud), None) == ()
