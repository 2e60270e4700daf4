"""No secret of a dbt run leaves by any way out: the real command, every output, the platform's own file.

What is searched: stdout, stderr, the job summary, step outputs, annotations, each file that the command
writes, and the bytes of the database that both APIs were sent to, plain and in base64, gzip undone.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from qalita_action import sandbox
from tests.artifact_sets import BASE, read_set
from tests.command import run

REAL = {
    "1.10/awkward/secrets": ["hunter2secret"],
    "1.10/run": ["s3cr3t-in-vars"],
    "made/1.11/vars_secret": ["not-a-real-secret"],
    "made/1.3/vars_secret": ["not-a-real-secret"],
}
# Where a run can hold something that nobody should see -> the word that stands there.
PLACES = (
    "environment", "variables", "command_line", "message_failed", "message_errored", "message_model",
    "message_skipped", "compiled_row", "compiled_node", "raw_code", "where", "accepted_value", "argument_key",
    "argument_text", "adapter_response", "user", "freshness_error", "unrendered", "meta", "project_dir", "hook",
    "filter", "unit_test_row", "macro", "disabled", "selector", "fail_calc", "root_path",
)  # fmt: skip
SECRETS = {place: f"Zq{n:02d}{place.replace('_', '').title()}Xv" for n, place in enumerate(PLACES)}
FEW = ("ingestion", "results", "dry run")
MESSAGES = {"message_failed", "message_errored", "freshness_error"}


# ---------------------------------------------------------------- a run that holds a secret wherever one can be


def rewritten(folder: Path) -> Path:
    """Real artifacts of one build and its freshness, with a secret in each of PLACES."""
    manifest, results, sources = read_set(BASE / "made" / "1.11" / "build_then_freshness")
    results = results[-1]
    for file in (manifest, results, sources):
        file["metadata"]["env"] = {"WAREHOUSE_PASSWORD": SECRETS["environment"]}
        file["metadata"]["user_id"] = SECRETS["user"]
    results["args"].update(
        vars={"api_token": SECRETS["variables"]},
        invocation_command=f"dbt build --vars '{{token: {SECRETS['command_line']}}}'",
        project_dir=f"/home/{SECRETS['project_dir']}/shop",
    )
    _rewrite_rows(manifest, results["results"])
    for row in sources["results"][:1]:
        text = f"Database Error: column {SECRETS['freshness_error']} does not exist"
        row.update(status="runtime error", error=text)
    _rewrite_nodes(manifest)
    for name, content in (("manifest", manifest), ("run_results", results), ("sources", sources)):
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def _rewrite_rows(manifest: dict, rows: list[dict]) -> None:
    said = set()
    for row in rows:
        is_test = row["unique_id"].startswith("test.")
        place = {
            "fail": "message_failed",
            "error": "message_errored" if is_test else "message_model",
            "skipped": "message_skipped",
        }.get(row["status"])
        if place:
            row["message"] = f"Database Error near '{SECRETS[place]}'\n  LINE 1: select {SECRETS[place]}"
            said.add(place)
        row["compiled_code"] = f"select '{SECRETS['compiled_row']}'"
        row["adapter_response"] = {
            "_message": SECRETS["adapter_response"],
            "query_id": SECRETS["adapter_response"],
        }
    assert said == {p for p in PLACES if p.startswith("message_")}, "the build has a row of each kind"


def _rewrite_nodes(manifest: dict) -> None:
    for node in manifest["nodes"].values():
        node.update(
            compiled_code=f"select '{SECRETS['compiled_node']}'",
            raw_code=f"select '{SECRETS['raw_code']}'",
            unrendered_config={"password": SECRETS["unrendered"]},
            root_path=f"/home/{SECRETS['root_path']}",
        )
        node["config"].update(meta={"api_key": SECRETS["meta"]}, fail_calc=f"sum({SECRETS['fail_calc']})")
        node["meta"] = {"api_key": SECRETS["meta"]}
        node["config"]["pre-hook"] = [{"sql": f"set secret = '{SECRETS['hook']}'"}]
        if node["resource_type"] == "test":
            node["config"]["where"] = f"email = '{SECRETS['where']}'"
            if node.get("test_metadata"):
                node["test_metadata"]["kwargs"].update(
                    values=[SECRETS["accepted_value"], 7], mapping={SECRETS["argument_key"]: 1},
                    regex=SECRETS["argument_text"], column_list=["a", f"concat('{SECRETS['argument_text']}')"],
                )  # fmt: skip
    for source in manifest["sources"].values():
        if source.get("freshness"):
            source["freshness"]["filter"] = f"token = '{SECRETS['filter']}'"
    for test in manifest["unit_tests"].values():
        test["given"] = [{"input": "ref('x')", "rows": [{"email": SECRETS["unit_test_row"]}]}]
        test["expect"] = {"rows": [{"email": SECRETS["unit_test_row"]}]}
    for macro in manifest["macros"].values():
        macro["macro_sql"] = SECRETS["macro"]
    manifest["disabled"] = {"model.demo.off": [{"raw_code": SECRETS["disabled"]}]}
    manifest["selectors"] = {"nightly": {"name": "nightly", "definition": SECRETS["selector"]}}


# ---------------------------------------------------------------- every way out


@pytest.fixture
def workspace(tmp_path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


@pytest.fixture
def hostile(tmp_path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return rewritten(folder)


@pytest.fixture
def platform(tmp_path):
    with sandbox.running(tmp_path / "platform.db") as running:
        yield running


def on_github(workspace: Path, *, is_change: bool) -> dict[str, str]:
    env = {
        "GITHUB_ACTIONS": "true", "CI": "true", "GITHUB_RUN_ID": "4711", "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_JOB": "qalita", "INPUT_JOB-ID": "11", "GITHUB_SHA": "a" * 40, "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REF": "refs/heads/main", "GITHUB_EVENT_NAME": "push",
        "GITHUB_STEP_SUMMARY": str(workspace / "summary.md"), "GITHUB_OUTPUT": str(workspace / "outputs"),
    }  # fmt: skip
    if is_change:
        env |= {
            "GITHUB_REF": "refs/pull/12/merge", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_HEAD_REF": "feature",
            "GITHUB_BASE_REF": "main",
        }  # fmt: skip
    return env


def outputs(
    folder: Path, workspace: Path, platform, *flags: str, only: tuple[str, ...] = ()
) -> Iterator[tuple[str, bytes]]:
    """(where, bytes) of everything that the command gives away, by each of its ways or those named."""
    account = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
    nowhere = {**account, "QALITA_WORKER_ENDPOINT": "http://127.0.0.1:9"}
    push, change = (on_github(workspace, is_change=c) for c in (False, True))
    ways: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
        "ingestion": (("--api", "ingestion"), {**account, **push}),
        "results": (("--api", "results", "--metrics-detail", "check"), {**account, **push}),
        "change": (("--publish", "always"), {**account, **change}),
        "spooled": (("--publish-timeout", "1"), {**nowhere, **push}),
        "folder": (("--api", "folder", "--report-dir", "files"), {}),
        "json": (("--publish", "never", "--output", "json"), {}),
        "dry run": (("--dry-run", "--output", "json"), {}),
        "dry run, ingestion": (("--dry-run", "--api", "ingestion"), {}),
        "dry run, results": (("--dry-run", "--api", "results"), {}),
    }
    for way in only or tuple(ways):
        args, env = ways[way]
        process = run("dbt", str(folder), *args, *flags, cwd=workspace, env=env)
        told = process.stdout + process.stderr
        assert process.returncode in ((4, 1) if way == "spooled" else (0, 1)), f"{way}: {told}"
        yield f"{way}: stdout", process.stdout.encode()
        yield f"{way}: stderr", process.stderr.encode()
    kinds = {path.suffix for path in workspace.rglob("*") if path.is_file()}
    assert only or {".html", ".json", ".md", ".gz"} <= kinds, f"page, document, summary, spool: {kinds}"
    for path in sorted(workspace.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(workspace)), path.read_bytes()
    yield from stored(platform.database)


def stored(database: Path) -> Iterator[tuple[str, bytes]]:
    """Every value of every table, then the files as they are."""
    with closing(sqlite3.connect(database)) as db, db:
        tables = [n for (n,) in db.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            for row in db.execute(f'select * from "{table}"'):
                for value in row:
                    yield f"table {table}", value if isinstance(value, bytes) else str(value).encode()
    db.close()
    for path in database.parent.glob(database.name + "*"):
        yield path.name, path.read_bytes()


def forms(secret: str) -> list[bytes]:
    """As it is, and what base64 makes of it wherever it starts: the characters that no neighbour decides."""
    raw = secret.encode()
    cores = [base64.b64encode(b"\0" * n + raw)[4 if n else 0 :][: len(raw) * 4 // 3 - 5] for n in range(3)]
    return [raw, *cores]


def found(secrets: dict[str, str], given: list[tuple[str, bytes]]) -> dict[str, set[str]]:
    """place of the secret -> where it came out."""
    patterns = {place: re.compile(b"|".join(map(re.escape, forms(s)))) for place, s in secrets.items()}
    seen: dict[str, set[str]] = {}
    for where, data in given:
        plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        for place, pattern in patterns.items():
            if pattern.search(plain):
                seen.setdefault(place, set()).add(where)
    return seen


def test_the_search_finds_what_is_there(tmp_path):
    secret = SECRETS["where"]
    for n in range(3):
        hidden = base64.b64encode(b"x" * n + f"password={secret};".encode())
        assert found({"where": secret}, [("here", b"..." + hidden)])
        assert found({"where": secret}, [("here", gzip.compress(f"a {secret} b".encode()))])
    assert not found({"where": secret}, [("here", b"email = '***'")])


@pytest.mark.parametrize("name", REAL)
def test_no_secret_of_a_real_run_comes_out(workspace, platform, name):
    secrets = dict(enumerate(REAL[name]))
    written = json.dumps(read_set(BASE / name))
    assert all(s in written for s in secrets.values()), "the fixture holds the secret"
    assert found(secrets, list(outputs(BASE / name, workspace, platform, only=FEW))) == {}


def test_no_secret_of_a_hostile_run_comes_out(workspace, platform, hostile):
    written = "".join(p.read_text() for p in hostile.iterdir())
    assert [place for place, s in SECRETS.items() if s not in written] == []
    assert found(SECRETS, list(outputs(hostile, workspace, platform))) == {}


def test_send_messages_sends_messages_alone(workspace, platform, hostile):
    """The messages of failed and errored checks stand in the document, word for word, and nothing else does."""
    given = list(outputs(hostile, workspace, platform, "--send-messages", only=FEW))
    seen = found(SECRETS, given)
    assert {p for p in seen if not p.startswith("message_")} <= MESSAGES
    assert set(seen) >= MESSAGES
    assert all("table results" in seen[place] for place in MESSAGES)
    (document,) = json_lines(dict(given)["dry run: stdout"])
    rows = json.loads((hostile / "run_results.json").read_text())["results"]
    words = {r["unique_id"]: r["message"] for r in rows}
    sent = {r["check"]: r["message"] for r in document["results"] if r["message"]}
    compared = [key for key in sent if key in words]
    assert len(compared) > 3
    assert all(sent[key] == words[key] for key in compared)


def test_send_sql_sends_where_clauses_alone(workspace, platform, hostile):
    given = list(outputs(hostile, workspace, platform, "--send-sql", only=FEW))
    seen = found(SECRETS, given)
    assert set(seen) == {"where"}
    assert "table checks" in seen["where"]
    (document,) = json_lines(dict(given)["dry run: stdout"])
    clauses = {c["where"] for c in document["checks"] if c["kind"] == "data_test"}
    assert clauses == {f"email = '{SECRETS['where']}'"}


def test_a_refusal_shows_no_secret(workspace, tmp_path):
    """dbt compile with secrets in its arguments: the error tells the command's name, not its words."""
    folder = tmp_path / "compiled"
    folder.mkdir()
    rewritten(folder)
    results = json.loads((folder / "run_results.json").read_text())
    results["args"]["which"] = "compile"
    for row in results["results"]:
        row["status"] = "success"
    (folder / "run_results.json").write_text(json.dumps(results))
    (folder / "sources.json").unlink()
    for args in (("dbt", str(folder)), ("check", str(folder)), ("dbt", str(folder), "--dry-run")):
        process = run(*args, cwd=workspace, env=on_github(workspace, is_change=False))
        assert process.returncode in (2, 3), process.stdout + process.stderr
        told = [("stdout", process.stdout.encode()), ("stderr", process.stderr.encode())]
        assert found(SECRETS, told) == {}


def json_lines(data: bytes) -> list[dict]:
    return [json.loads(line) for line in data.splitlines()]
