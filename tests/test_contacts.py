"""Nothing but the endpoint is contacted, and the CI's own API where a comment is to be written. Python's own audit
hook, inside the real command, writes down each name that is asked for, each address that is connected or sent to,
and each program that is started.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from artifact_sets import BASE
from loopback import reply, serving

from qalita_action import sandbox

ARTIFACTS = BASE / "made" / "1.11" / "build"
WATCHED = """
import json, os, runpy, sys
book = os.open(os.environ["CONTACTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
def write(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        seen = arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"):
        seen = arguments[0]
    elif event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"):
        seen = repr(arguments[:2])
    else:
        return
    os.write(book, (json.dumps([event, list(seen) if isinstance(seen, tuple) else str(seen)]) + "\\n").encode())
sys.addaudithook(write)
sys.argv = ["qalita-ingest", *sys.argv[1:]]
runpy.run_module("qalita_action", run_name="__main__", alter_sys=False)
"""


def contacts(*args: str, cwd: Path, env: dict[str, str]) -> tuple[subprocess.CompletedProcess, list]:
    book = cwd / "contacts"
    base = {"PATH": os.environ["PATH"], "HOME": str(cwd), "LC_ALL": "C.UTF-8", "CONTACTS": str(book)}
    process = subprocess.run(
        [sys.executable, "-c", WATCHED, *args],
        cwd=cwd,
        env={**base, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in process.stderr, process.stderr
    return process, [json.loads(line) for line in book.read_text().splitlines()]


@pytest.fixture
def platform(tmp_path_factory):
    with sandbox.running(tmp_path_factory.mktemp("platform") / "platform.db") as running:
        yield running


GITHUB = {
    "GITHUB_ACTIONS": "true", "CI": "true", "GITHUB_RUN_ID": "4711", "GITHUB_SHA": "a" * 40,
    "GITHUB_REPOSITORY": "acme/shop", "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_API_URL": "https://api.github.com", "GITHUB_REF": "refs/heads/main", "GITHUB_EVENT_NAME": "push",
}  # fmt: skip
CHANGE = {
    **GITHUB, "GITHUB_REF": "refs/pull/12/merge", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_HEAD_REF": "f",
    "GITHUB_BASE_REF": "main",
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "flags", "ci"),
    [
        ("dbt", ("--api", "ingestion"), GITHUB),
        ("dbt", ("--api", "results"), GITHUB),
        ("dbt", ("--publish", "always", "--api", "results"), CHANGE),
        ("dbt", (), CHANGE),
        ("dbt", (), {"GITLAB_CI": "true", "CI": "true", "CI_PIPELINE_ID": "1", "CI_COMMIT_SHA": "b" * 40}),
        ("check", ("--api", "ingestion"), GITHUB),
        ("check", ("--api", "results"), {}),
    ],
)
def test_the_endpoint_alone_is_contacted(platform, tmp_path, command, flags, ci):
    account = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
    process, seen = contacts(
        command, str(ARTIFACTS), *flags, cwd=tmp_path, env={**account, **ci, "QALITA_FAIL_ON": "never"}
    )
    assert process.returncode == 0, process.stdout + process.stderr
    host, _, port = platform.url.removeprefix("http://").partition(":")
    assert {tuple(where) for event, where in seen if event == "socket.connect"} == {(host, int(port))}
    assert {where for event, where in seen if event == "socket.getaddrinfo"} == {host}
    assert {event for event, _ in seen} == {"socket.connect", "socket.getaddrinfo"}


def test_a_comment_goes_to_the_ci_s_api_and_nowhere_else(platform, tmp_path):
    with serving(lambda seen: reply(200, [] if seen.method == "GET" else {"id": 1})) as forge:
        account = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
        comment = {"QALITA_COMMENT": "always", "QALITA_GITHUB_TOKEN": "ghs_x", "GITHUB_API_URL": forge.url}
        _, seen = contacts("dbt", str(ARTIFACTS), cwd=tmp_path, env={**account, **CHANGE, **comment})
        assert forge.count("POST", "/comments") == 1
        ports = {int(url.rpartition(":")[2]) for url in (platform.url, forge.url)}
    assert {tuple(where) for event, where in seen if event == "socket.connect"} == {
        ("127.0.0.1", port) for port in ports
    }
    assert {event for event, _ in seen} == {"socket.connect", "socket.getaddrinfo"}


@pytest.mark.parametrize(
    "args",
    [
        ("dbt", str(ARTIFACTS), "--publish", "never"),
        ("dbt", str(ARTIFACTS), "--dry-run"),
        ("dbt", str(ARTIFACTS), "--dry-run", "--output", "json"),
        ("dbt", str(ARTIFACTS), "--api", "folder"),
        ("context",),
        ("--version",),
    ],
)
def test_what_publishes_nothing_contacts_nobody(tmp_path, args):
    account = {"QALITA_WORKER_ENDPOINT": "https://api.example.com", "QALITA_FAIL_ON": "never"}
    process, seen = contacts(*args, cwd=tmp_path, env={**account, **GITHUB})
    assert (process.returncode, seen) == (0, []), process.stdout + process.stderr


def test_the_watch_sees_what_is_contacted(platform, tmp_path):
    account = {"QALITA_WORKER_ENDPOINT": "http://nothing.invalid", "QALITA_WORKER_TOKEN": platform.token}
    _, seen = contacts("check", cwd=tmp_path, env=account)
    assert ["socket.getaddrinfo", "nothing.invalid"] in seen
