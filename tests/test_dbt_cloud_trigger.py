"""`dbt-cloud trigger` in a process of its own, against a stand-in of dbt Cloud's API over sockets that loses answers, and
against the sandbox. However the network behaves, one order is one run.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from qalita_action import dbt, sandbox
from qalita_action.dbt.sources import cloud_trigger
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
    edited,
    files,
    setup,
)  # fmt: skip
from tests.loopback import DROP, Reply, reply, serving

ADDRESS = f"dbtcloud://{ACCOUNT}/jobs/{JOB}"
PATH = f"/api/v2/accounts/{ACCOUNT}/jobs/{JOB}/run/"
FIRST = f"dbtcloud://{ACCOUNT}/runs/901"
HEAD = "b" * 40


class Starting:
    """The stand-in of dbt Cloud, and beside it the call that starts a job.

    hurdles   one for each POST that comes: a Reply or DROP in place of any work; "late": done, then DROP; "mute": done, and not said;
              "slow": no answer for five seconds
    course    the states of each run, one for each look at it; the last one stays
    shows     whether a listing tells causes; hides: how many listings show nothing yet
    """

    def __init__(self, *, hurdles=(), course=(SUCCESS,), is_green=False, shows=True, hides=0):
        self.hurdles, self.course, self.shows, self.hides = list(hurdles), list(course), shows, hides
        self.files = files("build")
        if is_green:
            self.files["run_results.json"] = edited(self.files["run_results.json"], all_green=True)
        self.orders: list[dict] = []
        self.cloud = Cloud(runs=[])

    @property
    def runs(self):
        return self.cloud.runs

    def answer(self, seen):
        if seen.headers.get("authorization") != f"Bearer {TOKEN}":
            return said(401, "Invalid token.")
        if seen.method == "POST":
            return self._ordered(json.loads(seen.body)) if seen.path == PATH else said(404, "Not found")
        found = self.cloud.answer(seen)
        return self._listed(found) if "/runs/?" in seen.path else found

    def _ordered(self, body):
        self.orders.append(body)
        hurdle = self.hurdles.pop(0) if self.hurdles else None
        if hurdle == "slow":
            time.sleep(5)
            return DROP
        if hurdle not in (None, "late", "mute"):
            return hurdle
        step = Step(BUILD, self.files, SUCCESS if self.course[-1] == SUCCESS else ERROR)
        trigger = {"cause": body["cause"], "cause_category": "api"}
        number, sha = 901 + len(self.runs), body.get("git_sha") or SHA
        self.runs.append(Run(number, setup(step), [*self.course], trigger, None, sha))
        made = {"id": number, "status": QUEUED, "trigger": trigger, "href": page_of(number)}
        if hurdle == "mute":
            return reply(200, {"data": {}})
        return DROP if hurdle == "late" else reply(200, {"data": made, "status": {"code": 200}})

    def _listed(self, found):
        """A listing tells only what was asked for, and may lag behind."""
        self.hides, hidden = self.hides - 1, self.hides > 0
        rows = [] if hidden else json.loads(found.body)["data"]
        return reply(200, {"data": [r if self.shows else {**r, "trigger": None} for r in rows]})


def page_of(number):
    return f"https://cloud.getdbt.com/deploy/{ACCOUNT}/projects/1/runs/{number}"


def said(status, message, data=None):
    return reply(
        status, {"status": {"code": status, "is_success": False, "user_message": message}, "data": data}
    )


@contextmanager
def cloud(**ways):
    account = Starting(**ways)
    with serving(account.answer) as server:
        yield account, server


def environment(server, **more):
    return {
        "DBT_CLOUD_API_TOKEN": TOKEN,
        "QALITA_DBT_CLOUD_HOST": server.url,
        "QALITA_PUBLISH": "never",
        **more,
    }


def pull_request(folder: Path) -> dict[str, str]:
    event = folder / "event.json"
    head = {"sha": HEAD, "ref": "feature", "repo": {"full_name": "acme/shop"}}
    change = {"number": 12, "head": head, "base": {"sha": "a" * 40, "ref": "main"}}
    event.write_text(
        json.dumps({"number": 12, "pull_request": change, "repository": {"default_branch": "main"}})
    )
    return {
        "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(event), "GITHUB_SHA": "c" * 40,
        "GITHUB_REF": "refs/pull/12/merge", "GITHUB_HEAD_REF": "feature", "GITHUB_BASE_REF": "main", "GITHUB_RUN_ID": "78",
        "GITHUB_REPOSITORY": "acme/shop", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_JOB": "dbt", "GITHUB_RUN_ATTEMPT": "1",
    }  # fmt: skip


def trigger(folder, server, *flags, job=ADDRESS, env=None):
    return run("dbt-cloud", "trigger", job, *flags, cwd=folder, env=environment(server, **(env or {})))


def document(folder: Path) -> dict:
    return json.loads((folder / "qalita-report" / "ingest.json").read_text("utf-8"))


def reach(server) -> dbt.Reach:
    return dbt.Reach(cloud_host=server.url, cloud_token=Secret(TOKEN), patience_s=20)


# ---------------------------------------------------------------- what is asked, and what is told


def test_a_job_is_started_and_its_run_named(tmp_path):
    with cloud() as (account, server):
        steps = ("--steps-override", "dbt seed", "--steps-override", "dbt build --select x y")
        schema = ("--schema-override", "qalita_pr_12", "--git-sha", HEAD, "--git-branch", "feature")
        done = trigger(tmp_path, server, *steps, *schema)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        FIRST,
        page_of(901),
    ]
    (order,) = account.orders
    assert re.fullmatch(r"qalita-ingest \[qalita-[0-9a-f]{10}\]", order.pop("cause"))
    assert order == {
        "git_sha": HEAD,
        "git_branch": "feature",
        "schema_override": "qalita_pr_12",
        "steps_override": ["dbt seed", "dbt build --select x y"],
    }


def test_nothing_is_guessed_and_the_cause_tells_who_asked(tmp_path):
    with cloud() as (account, server):
        output = tmp_path / "output"
        told = {**pull_request(tmp_path), "GITHUB_OUTPUT": str(output)}
        assert trigger(tmp_path, server, job=f"{ACCOUNT}/{JOB}", env=told).returncode == 0
    (order,) = account.orders
    assert order.keys() == {"cause"}, "the commit and the branch are the job's own"
    link = "https://github.com/acme/shop/actions/runs/78/attempts/1"
    assert order["cause"].startswith(f"qalita-ingest: pull request 12 of acme/shop, {link} [qalita-")
    assert f"\n{FIRST}\n" in output.read_text()


def test_a_cause_of_ones_own_holds_no_secret_and_draws_nothing(tmp_path):
    with cloud() as (account, server):
        cause = f"by \x1b[31mhand\x1b[0m, {TOKEN}"
        assert trigger(tmp_path, server, "--cause", cause).returncode == 0
    assert account.orders[0]["cause"].startswith("by hand, *** [qalita-")


def test_under_json_stdout_is_one_document(tmp_path):
    with cloud() as (account, server):
        done = trigger(tmp_path, server, "--output", "json")
    told = json.loads(done.stdout)
    assert told.pop("cause") == account.orders[0]["cause"]
    assert told == {
        "address": FIRST,
        "account": str(ACCOUNT),
        "job": str(JOB),
        "run": "901",
        "url": page_of(901),
    }


def test_a_dry_run_starts_nothing(tmp_path):
    with cloud() as (_, server):
        done = trigger(tmp_path, server, "--dry-run", "--wait", "--git-sha", HEAD)
        assert not server.seen
    assert done.returncode == 0, done.stderr
    path, body, last = done.stdout.splitlines()
    assert (path, last) == (f"POST {PATH}", "nothing was started")
    assert json.loads(body)["git_sha"] == HEAD


@pytest.mark.parametrize("job", ["678", FIRST, f"{ADDRESS}?since=2026-01-01", "https://cloud.getdbt.com/x"])
def test_what_is_no_job_is_told(job, tmp_path):
    with cloud() as (_, server):
        done = trigger(tmp_path, server, job=job)
        assert not server.seen
    assert done.returncode == 2
    assert "[dbt-cloud-address]" in done.stderr


def test_all_that_is_wrong_is_told_before_a_run_costs_money(tmp_path):
    (tmp_path / ".qalita").mkdir()
    (tmp_path / ".qalita" / "allow-failures.yml").write_text("entries: no list")
    with cloud() as (_, server):
        env = {"QALITA_PUBLISH": "always", "DBT_CLOUD_API_TOKEN": ""}
        done = trigger(tmp_path, server, "--wait", job="no-job", env=env)
        assert not server.seen
    assert done.returncode == 2
    codes = set(re.findall(r"\[([a-z-]+)\]$", done.stderr, re.MULTILINE))
    assert codes == {
        "endpoint-missing",
        "token-missing",
        "allowances-unreadable",
        "dbt-cloud-token-missing",
        "dbt-cloud-address",
    }


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (said(403, "You do not have permission\x1b[2J to run."), "dbt-cloud-token-refused", "may run jobs"),
        (said(404, "Job not found"), "dbt-cloud-job-missing", f"no job {JOB} in account {ACCOUNT} (404): Job not found"),
        (said(400, "Bad request", {"git_sha": "'x' is no commit"}), "dbt-cloud-refused", "Bad request; git_sha: 'x' is no commit"),
        (said(400, f"{TOKEN} is wrong"), "dbt-cloud-refused", "*** is wrong"),
        (Reply(400, b"[nothing"), "dbt-cloud-refused", f"refused to start job {JOB} (400)."),
        (Reply(200, b"<html>sign in", {"Content-Type": "text/html"}), "dbt-cloud-host", "a web page"),
    ],
)  # fmt: skip
def test_a_refusal_is_told_in_dbt_clouds_own_words(answer, code, words, tmp_path):
    with cloud(hurdles=[answer]) as (account, server):
        done = trigger(tmp_path, server, "--git-sha", "x")
    assert done.returncode == 2
    assert f"[{code}]" in done.stderr
    assert words in done.stderr
    assert TOKEN not in done.stdout + done.stderr and "\x1b" not in done.stderr
    assert len(account.orders) == 1


def test_a_token_that_is_refused_is_told_and_not_shown(tmp_path):
    with cloud() as (_, server):
        done = trigger(tmp_path, server, env={"DBT_CLOUD_API_TOKEN": "dbtc_" + "wrong" * 8})
    assert done.returncode == 2
    assert "[dbt-cloud-token-refused]" in done.stderr and "(401): Invalid token" in done.stderr
    assert "wrongwrong" not in done.stdout + done.stderr


# ---------------------------------------------------------------- one order is one run


def test_an_answer_that_is_lost_is_looked_for(tmp_path):
    with cloud(hurdles=["late"]) as (account, server):
        done = trigger(tmp_path, server)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == FIRST
    assert (len(account.orders), len(account.runs)) == (1, 1)


def test_a_run_that_shows_late_is_waited_for():
    with cloud(hurdles=["late"], hides=2) as (account, server):
        order = cloud_trigger.order(ADDRESS, cause="x")
        started = cloud_trigger.start(order, reach(server), looks_s=(0.0, 0.1, 0.1))
    assert started.address == FIRST
    assert len(account.orders) == 1


@pytest.mark.parametrize("hides", [0, 9])
def test_a_yes_that_names_no_run_is_never_asked_again(hides):
    with cloud(hurdles=["mute"], hides=hides) as (account, server):
        order = cloud_trigger.order(ADDRESS, cause="x")
        if hides:
            with pytest.raises(ArtifactError, match=order.marker):
                cloud_trigger.start(order, reach(server), looks_s=(0.0,))
        else:
            assert cloud_trigger.start(order, reach(server), looks_s=(0.0,)).address == FIRST
    assert len(account.orders) == 1


def test_another_orders_run_is_not_taken_for_it():
    with cloud(hurdles=[None, DROP]) as (account, server):
        first = cloud_trigger.start(cloud_trigger.order(ADDRESS, cause="the same"), reach(server))
        second = cloud_trigger.start(
            cloud_trigger.order(ADDRESS, cause="the same"), reach(server), looks_s=(0.0,)
        )
    assert (first.run, second.run) == ("901", "902")
    assert len(account.orders) == 3, "the second was lost on the way, and asked for again"
    assert len({order["cause"] for order in account.orders}) == 2, "under the same marker"


@pytest.mark.parametrize("status", [500, 502, 503])
def test_an_error_of_a_gateway_may_hide_a_run(status):
    with cloud(hurdles=[Reply(status, b"{}")]) as (account, server):
        cloud_trigger.start(cloud_trigger.order(ADDRESS, cause="x"), reach(server), looks_s=(0.0,))
        assert [s.method for s in server.seen if "POST" in s.method or "/runs/?" in s.path][:3] == [
            "POST",
            "GET",
            "POST",
        ]
    assert len(account.runs) == 1


def test_a_listing_that_does_not_tell_causes_is_no_reason_to_ask_again():
    with cloud(hurdles=["late"], shows=False) as (account, server):
        order = cloud_trigger.order(ADDRESS, cause="x")
        with pytest.raises(ArtifactError) as told:
            cloud_trigger.start(order, reach(server), looks_s=(0.0,))
    assert told.value.code == "dbt-cloud-unsure"
    assert order.marker in str(told.value)
    assert len(account.orders) == 1


def test_what_is_lost_again_and_again_is_given_up():
    with cloud(hurdles=[DROP] * 9) as (account, server), pytest.raises(ArtifactError) as told:
        cloud_trigger.start(cloud_trigger.order(ADDRESS, cause="x"), reach(server), looks_s=(0.0,))
    assert told.value.code == "dbt-cloud-unsure"
    assert len(account.orders) == 3


def test_an_order_that_came_late_and_twice_is_said(caplog):
    with cloud(hurdles=["late"], hides=1) as (account, server):
        started = cloud_trigger.start(cloud_trigger.order(ADDRESS, cause="x"), reach(server), looks_s=(0.0,))
    assert len(account.runs) == 2
    assert started.run == "901"
    assert f"cancel dbtcloud://{ACCOUNT}/runs/902" in caplog.text


def test_a_server_that_asks_to_slow_down_is_asked_again(tmp_path):
    with cloud(hurdles=[reply(429, {}, **{"Retry-After": "1"})]) as (account, server):
        done = trigger(tmp_path, server)
    assert done.returncode == 0, done.stderr
    assert (len(account.orders), len(account.runs)) == (2, 1)


def test_a_dbt_cloud_that_is_not_there_is_no_outage_of_qalita(tmp_path):
    """Exit 4 is allowed to fail in many pipelines; here nothing was tested."""
    with cloud() as (_, server):
        pass
    with pytest.raises(ArtifactError) as told:
        cloud_trigger.start(
            cloud_trigger.order(ADDRESS, cause="x"),
            dbt.Reach(cloud_host=server.url, cloud_token=Secret(TOKEN), patience_s=1),
        )
    assert told.value.code == "dbt-cloud-unreachable"
    assert "nothing was started" in str(told.value)


# ---------------------------------------------------------------- waited for


def test_a_red_run_is_waited_for_published_once_and_gated(tmp_path):
    with (
        sandbox.running(tmp_path / "platform.db") as platform,
        cloud(course=[QUEUED, RUNNING, ERROR]) as (account, server),
    ):
        here = {"QALITA_PUBLISH": "always", "QALITA_API": "ingestion", "QALITA_ENV": "prod"}
        here |= {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
        done = trigger(tmp_path, server, "--wait", "--git-sha", HEAD, env={**pull_request(tmp_path), **here})
        later = run("dbt", FIRST, cwd=tmp_path, env=environment(server, **here))
    assert done.returncode == later.returncode == 1, done.stderr
    assert done.stdout.count(f"{FIRST}\n") == 1
    assert len(account.orders) == 1
    assert "PUBLISHED  QALITA · 26 datasets, 44 checks" in done.stdout
    assert "already recorded" in later.stdout, (
        "whoever fetches it later finds the same run, in no change's job"
    )
    assert TOKEN not in done.stdout.replace(f"::add-mask::{TOKEN}", "") + done.stderr


def test_a_changes_run_never_writes_into_production(tmp_path):
    """dbt Cloud knows nothing of the pull request: the job that started the run does."""
    with cloud(course=[ERROR]) as (_, server):
        trigger(tmp_path, server, "--wait", "--git-sha", HEAD, "--env", "prod", env=pull_request(tmp_path))
        first = document(tmp_path)
        run("dbt", ADDRESS, "--env", "prod", cwd=tmp_path, env=environment(server))
    for told in (first, document(tmp_path)):
        assert told["source"]["environment"] == "ci"
        assert (told["run"]["ci"]["change_id"], told["run"]["git"]["sha"]) == ("12", HEAD)
    assert first["run"]["key"] == told["run"]["key"]


def test_outside_of_a_change_the_run_is_dbt_clouds_own(tmp_path):
    with cloud(course=[ERROR]) as (_, server):
        trigger(tmp_path, server, "--wait", "--env", "prod")
    assert document(tmp_path)["source"]["environment"] == "prod"


def test_a_green_run_is_green(tmp_path):
    with cloud(course=[RUNNING, SUCCESS], is_green=True) as (_, server):
        done = trigger(tmp_path, server, "--wait", "--output", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"]["verdict"] == "executed"
    assert done.stderr.startswith(f"{FIRST}\n"), "stdout is the document alone"


def test_what_lies_here_is_not_taken_for_the_run(tmp_path):
    """A settings file that names yesterday's green artifacts says nothing about the run that was started."""
    for name, content in Starting(is_green=True).files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "qalita.yml").write_text("manifest: manifest.json\nresults: run_results.json\n")
    with cloud(course=[ERROR]) as (_, server):
        done = trigger(tmp_path, server, "--wait", env={"QALITA_DBT_EXIT_CODE": "0"})
    assert done.returncode == 1, done.stderr


def test_a_run_that_is_cancelled_is_no_evidence(tmp_path):
    with cloud(course=[RUNNING, CANCELLED]) as (_, server):
        done = trigger(tmp_path, server, "--wait")
    assert done.returncode == 3
    assert "[dbt-cloud-cancelled]" in done.stderr


def test_the_time_to_wait_has_an_end(tmp_path):
    with cloud(course=[RUNNING]) as (_, server):
        done = trigger(tmp_path, server, "--wait", "--wait-timeout", "0.4")
    assert done.returncode == 3
    assert "[dbt-cloud-unfinished]" in done.stderr


def stopped(folder, server, number, *, once) -> tuple[int, str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "qalita_action", "dbt-cloud", "trigger", ADDRESS, "--wait"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment(server)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    give_up = time.monotonic() + 30
    while not once() and time.monotonic() < give_up:
        time.sleep(0.05)
    child.send_signal(number)
    _, err = child.communicate(timeout=30)
    return child.returncode, err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_who_is_stopped_says_that_the_run_goes_on(number, code, tmp_path):
    with cloud(course=[RUNNING]) as (account, server):
        ended, err = stopped(tmp_path, server, number, once=lambda: server.count("GET", "/runs/901/") > 1)
        assert server.count("POST", "cancel") == 0
    assert ended == code
    assert f"{FIRST} is not stopped by this" in err
    assert f"qalita-ingest dbt {FIRST} --wait" in err
    assert len(account.orders) == 1


def test_who_is_stopped_before_the_answer_says_what_to_look_for(tmp_path):
    with cloud(hurdles=["slow"]) as (account, server):
        ended, err = stopped(tmp_path, server, signal.SIGTERM, once=lambda: account.orders)
    assert ended == 143
    assert "nobody knows whether dbt Cloud has started a run" in err
    assert account.orders[0]["cause"] in err


@pytest.mark.parametrize("page", ["recipes.md", "dbt-cloud.md"])
def test_the_pages_use_flags_that_exist(page):
    text = (Path(__file__).parent.parent / "docs" / page).read_text("utf-8")
    (line,) = re.findall(r"^\$ qalita-ingest dbt-cloud (trigger .*)$", text, re.MULTILINE)
    help_ = run("dbt-cloud", "trigger", "--help", cwd=Path.cwd(), env={"COLUMNS": "200"}).stdout
    assert {w for w in shlex.split(line) if w.startswith("--")} <= set(re.findall(r"--[a-z-]+", help_))
