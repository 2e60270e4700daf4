"""What somebody must act on is said at every place where people look, on every run, and stops none."""

from __future__ import annotations

import ssl
import sys
import time
from pathlib import Path

import pytest
import trustme

sys.path.insert(0, str(Path(__file__).parents[1]))
from loopback import before, serving

from qalita_action import sandbox
from tests.artifact_sets import BASE
from tests.command import run

ARTIFACTS = BASE / "made" / "1.11" / "test_empty_tables"
DAY = 86_400


@pytest.fixture
def platform(tmp_path):
    with sandbox.running(tmp_path / "platform.db") as running:
        yield running


def on_github(folder: Path) -> dict[str, str]:
    return {
        "GITHUB_ACTIONS": "true", "CI": "true", "GITHUB_RUN_ID": "4711", "GITHUB_SHA": "a" * 40,
        "GITHUB_REPOSITORY": "acme/shop", "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REF": "refs/heads/main", "GITHUB_EVENT_NAME": "push",
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "GITHUB_OUTPUT": str(folder / "outputs"),
    }  # fmt: skip


def everywhere(process, folder: Path, words: str) -> None:
    told = process.stdout + process.stderr
    assert process.returncode in (0, 1), told
    console = [line for line in told.splitlines() if words in line and not line.startswith("::")]
    annotations = [line for line in told.splitlines() if words in line and line.startswith("::warning ")]
    assert console and len(annotations) == 1, told
    assert words in (folder / "summary.md").read_text()


@pytest.mark.parametrize("api", ["ingestion", "results"])
def test_a_token_in_its_last_month(platform, tmp_path, api):
    token = platform.token_for(1, expires_at=time.time() + 9.5 * DAY)
    account = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": token}
    process = run(
        "dbt",
        str(ARTIFACTS),
        "--fail-on",
        "never",
        "--api",
        api,
        cwd=tmp_path,
        env={**account, **on_github(tmp_path)},
    )
    everywhere(process, tmp_path, "make a new one on your QALITA profile page")
    assert "(in 9 days)" in process.stdout
    assert "\nrecorded\n" in (tmp_path / "outputs").read_text()
    checked = run("check", str(ARTIFACTS), cwd=tmp_path, env=account)
    assert "the QALITA token expires on" in checked.stdout and checked.returncode == 0, checked.stdout
    fresh = {**account, "QALITA_WORKER_TOKEN": platform.token_for(1, expires_at=time.time() + 60 * DAY)}
    assert (
        "expires on" not in run("dbt", str(ARTIFACTS), "--fail-on", "never", cwd=tmp_path, env=fresh).stdout
    )


def test_certificates_that_nobody_verifies(platform, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with serving(before(platform.url), tls=context) as front:
        account = {"QALITA_WORKER_ENDPOINT": front.url, "QALITA_WORKER_TOKEN": platform.token}
        env = {**account, "SKIP_SSL_VERIFY": "true", **on_github(tmp_path)}
        everywhere(
            run("dbt", str(ARTIFACTS), "--fail-on", "never", cwd=tmp_path, env=env),
            tmp_path,
            "TLS certificates are not verified",
        )
        checked = run("check", str(ARTIFACTS), cwd=tmp_path, env={**account, "SKIP_SSL_VERIFY": "1"})
        assert "TLS certificates are not verified" in checked.stdout, checked.stdout
        assert front.count("PUT", "/api/v2/ingest/runs/") > 0
        refused = run(
            "dbt",
            str(ARTIFACTS),
            "--fail-on",
            "never",
            cwd=tmp_path,
            env={**account, "SKIP_SSL_VERIFY": "false"},
        )
        assert (refused.returncode, "[tls-failed]" in refused.stdout) == (4, True), refused.stdout
