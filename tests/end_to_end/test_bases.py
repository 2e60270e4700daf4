"""What a run is compared with, through the real command: files, addresses, dbt's state, the workspace, and two
branches over the ingestion API. Artifacts of real dbt, edited as a day would edit them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from qalita_action import sandbox
from tests.command import run
from tests.loopback import Reply, serving

SAMPLE = Path(__file__).parents[2] / "examples" / "airquality" / "sample-target"
OFFLINE = ("--publish", "never", "--fail-on", "new")
RED = ("no_reading_twice", "unit_is_known", "value_is_not_negative", "assert_no_station_is_silent")
HEALED = "unit_is_known"  # bad in the sample


@pytest.fixture
def project(tmp_path) -> Path:
    """A dbt project with the artifacts of its last run."""
    folder = tmp_path / "shop"
    shutil.copytree(SAMPLE, folder / "target")
    (folder / "dbt_project.yml").write_text("name: opendata_dbt\n")
    return folder


def another_run(project: Path, n: int, statuses: dict[str, str] | None = None, *, args=None) -> None:
    """The artifacts of the n-th day, with other outcomes for tests by name."""
    for name in ("run_results.json", "sources.json"):
        path = project / "target" / name
        content = json.loads(path.read_text())
        content["metadata"]["invocation_id"] = f"00000000-0000-4000-8000-{n:012d}"
        content["metadata"]["generated_at"] = f"2026-11-{20 + n}T07:15:30.000000Z"
        heals = all((statuses or {}).get(name) == "pass" for name in RED)
        for row in content["results"]:
            if heals and row["status"] == "skipped":  # nothing above it is red any more
                row["status"] = "pass" if row["unique_id"].startswith(("test.", "unit_test.")) else "success"
            for test, status in (statuses or {}).items():
                if f".{test}" in row["unique_id"]:
                    row["status"], row["failures"] = status, 0 if status == "pass" else 3
        if args and "args" in content:
            content["args"].update(args)
        path.write_text(json.dumps(content))


def new_failures(process, project) -> str:
    """The step's output, as GitHub reads it."""
    lines = (project / "outputs").read_text().splitlines()
    return lines[next(n for n, line in enumerate(lines) if line.startswith("new-failures<<")) + 1]


def go(project, *args, env=None):
    (project / "outputs").unlink(missing_ok=True)
    github = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1", "GITHUB_OUTPUT": str(project / "outputs")}
    return run("dbt", *args, cwd=project, env={**github, **(env or {})})


def kept(project: Path, *, failing: bool = True) -> bytes:
    """The ingest.json of a day before."""
    another_run(project, 1, dict.fromkeys(RED, "fail" if failing else "pass"))
    process = go(project, "--publish", "never", "--report-dir", "before")
    assert (project / "outputs").exists(), process.stdout + process.stderr
    return (project / "before" / "ingest.json").read_bytes()


# ------------------------------------------------------------------ files


@pytest.mark.parametrize("place", ["before/ingest.json", "state/run_results.json", "bare/run_results.json"])
def test_what_the_base_had_passes_and_what_it_had_not_blocks(project, place):
    kept(project)
    shutil.copytree(project / "target", project / "state")
    (project / "bare").mkdir()
    shutil.copy(project / "target/run_results.json", project / "bare")
    another_run(project, 2)
    process = go(project, *OFFLINE, "--baseline", place)
    assert process.returncode == 0, process.stdout
    assert "4 failures set aside" in process.stdout and "the base had them too" in process.stdout
    assert process.stdout.startswith("✗"), "known is not passed"
    assert new_failures(process, project) == "0"
    name = next(
        r["unique_id"].split(".")[2]
        for r in json.loads((project / "target/run_results.json").read_text())["results"]
        if r["unique_id"].startswith("test.") and r["status"] == "pass"
    )
    another_run(project, 3, {name: "fail"})
    process = go(project, *OFFLINE, "--baseline", place)
    assert process.returncode == 1, process.stdout
    assert f"- {name}: failed" in process.stdout
    assert int(new_failures(process, project)) >= 1


def test_dbts_own_state_folder_is_a_base(project):
    kept(project)
    shutil.copytree(project / "target", project / "prod-state")
    another_run(project, 2, args={"state": "prod-state"})
    process = go(project, *OFFLINE)
    assert process.returncode == 0, process.stdout
    assert "AGAINST    prod-state/run_results.json" in process.stdout


def test_a_cached_document_is_a_base_and_this_very_run_is_none(project):
    document = kept(project)
    (project / ".qalita").mkdir()
    (project / ".qalita/base.json").write_bytes(document)
    again = go(project, *OFFLINE)
    assert again.returncode == 1 and "it is this very run" in again.stdout
    another_run(project, 2)
    process = go(project, *OFFLINE)
    assert process.returncode == 0 and ".qalita/base.json" in process.stdout
    another_run(project, 3, {HEALED: "pass"})
    assert "1 fixed" in go(project, *OFFLINE).stdout


def test_without_any_base_nothing_is_new_and_that_is_said_first(project):
    process = go(project, *OFFLINE)
    assert process.returncode == 0
    lines = process.stdout.splitlines()
    said = next(n for n, line in enumerate(lines) if "what is new is not computed" in line)
    assert said < next(n for n, line in enumerate(lines) if "WHAT BROKE" in line)
    assert new_failures(process, project) == ""


@pytest.mark.parametrize(
    "content", [None, b"", b"{", b"<html>", b'{"schemaVersion":"9"}', b'{"schemaVersion":"1"}', b"[]"]
)
def test_a_base_that_cannot_be_read_ends_nothing_and_excuses_nothing(project, content):
    if content is not None:
        (project / "base.json").write_bytes(content)
    process = go(project, *OFFLINE, "--baseline", "base.json")
    assert process.returncode == 1, process.stdout + process.stderr
    assert "the base cannot be read" in process.stdout
    assert content is not None or "[baseline-unreadable]" in process.stdout
    assert (project / "qalita-report/ingest.json").exists(), "the run is reported all the same"


def test_a_base_of_another_project_is_none(project):
    document = msgspec.json.decode(kept(project))
    document["source"]["project"] = "another"
    (project / "base.json").write_bytes(msgspec.json.encode(document))
    process = go(project, *OFFLINE, "--baseline", "base.json")
    assert process.returncode == 1 and "holds no run of opendata_dbt" in process.stdout


# ------------------------------------------------------------------ addresses


def test_a_base_at_an_address_and_the_files_beside_it(project):
    kept(project)
    files = {f"/prod/{p.name}": p.read_bytes() for p in (project / "target").glob("*.json")}
    files["/ingest.json"] = (project / "before/ingest.json").read_bytes()
    asked = []

    def answer(seen):
        asked.append((seen.path, {name.lower() for name in seen.headers}))
        content = files.get(seen.path.partition("?")[0])
        return Reply(200, content, {"Content-Type": "application/json"}) if content else Reply(404)

    with serving(answer) as server:
        another_run(project, 2)
        for path in ("/prod/run_results.json?sig=verysecret", "/ingest.json"):
            process = go(
                project, *OFFLINE, "--baseline", server.url + path, env={"QALITA_WORKER_TOKEN": "a.b.c"}
            )
            assert process.returncode == 0, process.stdout + process.stderr
            assert "4 failures set aside" in process.stdout
        gone = go(project, *OFFLINE, "--baseline", f"{server.url}/nowhere.json")
    assert gone.returncode == 1 and "the base cannot be read" in gone.stdout
    assert {path.partition("?")[0] for path, _ in asked} >= {"/prod/manifest.json", "/prod/sources.json"}
    assert not any("authorization" in names for _, names in asked), "no token goes to an address of the base"


def test_plain_http_elsewhere_is_not_read(project):
    process = go(project, *OFFLINE, "--baseline", "http://192.0.2.1/ingest.json")
    assert process.returncode == 1 and "only https is read" in process.stdout


# ------------------------------------------------------------------ two branches over the ingestion API


def on_main(platform, n):
    return {
        "QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token, "CI": "true",
        "GITHUB_RUN_ID": f"47{n}", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_JOB": "dbt", "GITHUB_SHA": f"{n:040x}",
        "GITHUB_REF": "refs/heads/main", "GITHUB_REPOSITORY": "acme/shop", "GITHUB_EVENT_NAME": "push",
        "GITHUB_SERVER_URL": "https://github.com", "QALITA_DEFAULT_BRANCH": "main",
    }  # fmt: skip


def on_change(platform, n):
    return {
        **on_main(platform, n), "GITHUB_REF": "refs/pull/7/merge", "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_BASE_REF": "main", "GITHUB_HEAD_REF": "feature", "QALITA_CHANGE_ID": "7",
    }  # fmt: skip


@pytest.fixture
def platform(tmp_path):
    with sandbox.running(tmp_path / "platform.db") as running:
        yield running


def test_a_change_is_compared_with_the_newest_run_of_its_base_branch(project, platform):
    another_run(project, 1, dict.fromkeys(RED, "pass"))
    assert go(project, env=on_main(platform, 1)).returncode == 0
    another_run(project, 2, dict.fromkeys(RED, "fail"))
    assert go(project, env=on_main(platform, 2)).returncode == 1
    another_run(project, 3, {HEALED: "pass", "city_is_named": "fail"})
    change = go(project, "--fail-on", "new", env=on_change(platform, 3))
    assert change.returncode == 1, change.stdout + change.stderr
    assert "AGAINST    main@0000000, 2026-11-22: 1 new" in change.stdout
    assert "1 fixed" in change.stdout and "- city_is_named: failed" in change.stdout
    assert "no_reading_twice: failed since 2026-11-22" in change.stdout
    assert new_failures(change, project) == "1"
    # The next change is not compared with this one, newer as it is.
    another_run(project, 4, {HEALED: "fail", "city_is_named": "warn"})
    second = go(project, "--fail-on", "new", env=on_change(platform, 4))
    assert second.returncode == 0, second.stdout
    assert "4 failures set aside" in second.stdout


def test_what_is_published_is_the_same_with_and_without_a_base(project, platform, tmp_path):
    another_run(project, 1, dict.fromkeys(RED, "pass"))
    go(project, env=on_main(platform, 1))
    another_run(project, 2, dict.fromkeys(RED, "fail"))
    entries = [f"- check: {name}\n  expires: 2999-01-01\n" for name in RED]
    (project / ".qalita").mkdir()
    (project / ".qalita/allow-failures.yml").write_text("".join(entries))
    with_base = go(project, "--fail-on", "new", env=on_change(platform, 2))
    assert with_base.returncode == 0 and "AGAINST" in with_base.stdout
    (project / ".qalita/allow-failures.yml").unlink()
    key = json.loads((project / "qalita-report/ingest.json").read_text())["run"]["key"]
    with sandbox.running(tmp_path / "other.db") as other:
        without = go(project, "--fail-on", "new", env=on_change(other, 2))
        assert "there is no base" in without.stdout
        told = [platform.stored(key), other.stored(key)]
    for kind in ("source", "run", "ledger", "scores", "datasets", "checks", "results", "causes"):
        assert told[0][kind] == told[1][kind], kind


def test_a_platform_that_is_down_excuses_nothing_and_keeps_the_run(project):
    env = {
        **on_change(type("Down", (), {"url": "http://127.0.0.1:9", "token": token()}), 1),
        "QALITA_PUBLISH_TIMEOUT": "2",
    }
    process = go(project, "--fail-on", "new", env=env)
    assert process.returncode == 1, process.stdout + process.stderr
    assert "the base cannot be read" in process.stdout
    assert list((project / "qalita-spool").iterdir()), "it waits"


def test_a_fork_without_an_account_is_not_green_for_want_of_a_base(project):
    env = on_change(type("Fork", (), {"url": "", "token": ""}), 1)
    process = go(project, "--fail-on", "new", env=env)
    assert process.returncode == 1
    assert "the base cannot be read" in process.stdout


def token() -> str:
    """A JSON Web Token with a user in it, signed by nobody."""
    import base64

    parts = [base64.urlsafe_b64encode(p).rstrip(b"=").decode() for p in (b'{"alg":"HS256"}', b'{"sub":"1"}')]
    return ".".join([*parts, "c2ln"])
