"""Bad input is normal: each kind ends with a message that says what was expected, where it looked, what to do."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qalita_action import mapping
from qalita_action.dbt import Places, Vetting, locate, read
from qalita_action.errors import IngestError
from qalita_action.model import CIContext, Policy, Tool
from tests.artifact_sets import BASE
from tests.command import run

BUILD = BASE / "1.10" / "build"
OFFLINE = ("--publish", "never")


def plain(name: str) -> bytes:
    return gzip.decompress((BUILD / f"{name}.json.gz").read_bytes())


@pytest.fixture
def target(tmp_path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    for name in ("manifest", "run_results"):
        (folder / f"{name}.json").write_bytes(plain(name))
    return folder


def refused(process, code: str) -> str:
    """Exit 3, one message of the right code with its three parts, nothing on stdout, no traceback."""
    assert process.returncode == 3, process.stderr
    assert f"[{code}]" in process.stderr
    assert "next:" in process.stderr
    assert f"docs/errors.md#{code}" in process.stderr
    assert "Traceback" not in process.stderr
    assert process.stdout == ""
    return process.stderr


def test_no_artifacts_lists_every_place_looked_at(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dbt_project.yml").write_text(f"name: {name}\ntarget-path: out_{name}\n")
    text = refused(run("dbt", *OFFLINE, cwd=tmp_path), "artifacts-not-found")
    assert "a/out_a/manifest.json" in text
    lines = text.splitlines()
    assert lines[1].startswith("  expected: "), "what belongs to an error stands under it"
    at = next(i for i, line in enumerate(lines) if line.startswith("  next: "))
    assert lines[at + 1].startswith("        dbt ran in another job")
    assert "b/out_b/manifest.json" in text
    assert "artifacts: {when: always" in text


BAD_FILES = {
    "truncated": (lambda data: data[: len(data) // 2], "artifact-truncated"),
    "not json": (lambda _: b"this is not json", "artifact-not-json"),
    "a login page": (lambda _: b"<!DOCTYPE html><html></html>", "artifact-not-json"),
    "a web app's manifest": (
        lambda _: b'{"name": "shop", "icons": [], "start_url": "/"}',
        "artifact-not-dbt",
    ),
    "an array": (lambda _: b"[1, 2]", "artifact-not-dbt"),
    "empty": (lambda _: b"", "artifact-empty"),
    "blank": (lambda _: b" \n", "artifact-empty"),
    "utf-16": (lambda data: data.decode().encode("utf-16"), "artifact-not-utf8"),
    "half a gzip": (lambda data: gzip.compress(data)[:500], "artifact-truncated"),
    "deeply nested": (lambda _: b'{"nodes":' + b"[" * 100_000, "artifact-"),
}


@pytest.mark.parametrize("which", ["manifest", "run_results"])
@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_named(target, kind, which):
    make, code = BAD_FILES[kind]
    (target / f"{which}.json").write_bytes(make(plain(which)))
    process = run("dbt", "target", *OFFLINE, cwd=target.parent)
    if code.endswith("-"):
        assert process.returncode == 3
        assert "Traceback" not in process.stderr
    else:
        assert f"{which}.json" in refused(process, code)


def test_the_files_of_two_kinds_changed_places(target):
    process = run(
        "dbt", "--manifest", "target/run_results.json", "--results", "target/manifest.json", *OFFLINE,
        cwd=target.parent,
    )  # fmt: skip
    text = refused(process, "artifact-wrong-kind")
    assert text.count("[artifact-wrong-kind]") == 2, "both files are told at once"


def test_a_directory_where_a_file_should_be(target):
    process = run("dbt", "--manifest", "target", "--results", "target/run_results.json", *OFFLINE,
                  cwd=target.parent)  # fmt: skip
    refused(process, "artifact-unreadable")


def test_a_bom_is_mended_and_said(target):
    for name in ("manifest", "run_results"):
        path = target / f"{name}.json"
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    process = run("dbt", "target", "--dry-run", "--output", "json", cwd=target.parent)
    assert process.returncode == 0, process.stderr
    document = json.loads(process.stdout)
    assert document["ledger"]["data_test"]["passed"] == 17
    assert any("mended" in w["text"] for w in document["run"]["warnings"])


def test_what_python_writes_and_json_forbids_is_mended(target):
    path = target / "run_results.json"
    text = path.read_text().replace(
        '"elapsed_time": ', '"nan": NaN, "inf": [-Infinity, Infinity], "elapsed_time": ', 1
    )
    text = text.replace('"thread_id": "Thread-1', '"thread_id": "\\ud800NaN Thread-1', 1)
    path.write_text(text)
    process = run("dbt", "target", "--dry-run", "--output", "json", cwd=target.parent)
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["ledger"]["data_test"]["passed"] == 17


def test_one_odd_value_costs_one_field_and_is_said(target):
    path = target / "run_results.json"
    results = json.loads(path.read_text())
    row = next(r for r in results["results"] if r["status"] == "fail" and r["unique_id"].startswith("test."))
    row["message"] = {"odd": True}
    row["execution_time"] = "12.5"
    results["results"].append(None)
    path.write_text(json.dumps(results))
    process = run("dbt", "target", "--dry-run", "--output", "json", cwd=target.parent)
    assert process.returncode == 0, process.stderr
    document = json.loads(process.stdout)
    assert next(r for r in document["results"] if r["check"] == row["unique_id"])["status"] == "failed"
    said = " ".join(w["text"] for w in document["run"]["warnings"])
    assert "message" in said
    assert "1 rows of the results name no node" in said
    assert document["run"]["extent"] == "partial", "a row is lost"


def test_a_status_of_an_odd_type_is_unknown_never_passed(target):
    path = target / "run_results.json"
    results = json.loads(path.read_text())
    row = next(r for r in results["results"] if r["status"] == "pass")
    row["status"] = ["pass"]
    path.write_text(json.dumps(results))
    process = run("dbt", "target", "--dry-run", "--output", "json", cwd=target.parent)
    document = json.loads(process.stdout)
    assert next(r for r in document["results"] if r["check"] == row["unique_id"])["status"] == "unknown"


def test_a_cache_restored_another_projects_target(tmp_path, target):
    (tmp_path / "dbt_project.yml").write_text("name: shop\n")
    text = refused(run("dbt", *OFFLINE, cwd=tmp_path), "artifacts-foreign")
    assert "qalita_demo" in text
    assert "shop" in text


def test_results_of_another_project(target):
    other = json.loads(gzip.decompress((BASE / "made/1.11/build/run_results.json.gz").read_bytes()))
    (target / "run_results.json").write_text(json.dumps(other))
    refused(run("dbt", "target", *OFFLINE, cwd=target.parent), "artifacts-foreign")


def test_a_project_without_a_name(target):
    path = target / "manifest.json"
    manifest = json.loads(path.read_text())
    for key in ("project_name", "project_id"):
        manifest["metadata"].pop(key, None)
    path.write_text(json.dumps(manifest))
    process = run("dbt", "target", *OFFLINE, cwd=target.parent)
    assert process.returncode == 2
    assert "[project-unknown]" in process.stderr
    assert "--project NAME" in process.stderr
    assert run("dbt", "target", *OFFLINE, "--project", "shop", cwd=target.parent).returncode == 1


def test_everything_that_is_wrong_is_told_at_once(tmp_path):
    """Missing artifacts, a missing endpoint and a missing token: one run, not three. Settings speak first."""
    process = run("dbt", cwd=tmp_path)
    assert process.returncode == 2
    for code in ("artifacts-not-found", "endpoint-missing", "token-missing"):
        assert f"[{code}]" in process.stderr


def test_all_bad_settings_at_once(tmp_path):
    (tmp_path / "qalita.yml").write_text("fail-onn: warn\nendpoint: http://evil.example.com\n")
    process = run("dbt", "--api", "soap", "--warn-score", "2", cwd=tmp_path, env={"QALITA_FAIL_ON": "maybe"})
    assert process.returncode == 2
    for text in (
        "did you mean 'fail-on'?",
        "'soap'",
        "'maybe'",
        "[setting-not-in-file]",
        "env:QALITA_FAIL_ON",
    ):
        assert text in process.stderr
    assert process.stderr.count("[setting-invalid]") == 3


def test_an_unreadable_settings_file(tmp_path):
    (tmp_path / "qalita.yml").write_text("a: [")
    process = run("dbt", cwd=tmp_path)
    assert process.returncode == 2
    assert "[config-unreadable]" in process.stderr


def test_dbt_failed_before_it_wrote_anything(target):
    """dbt test exits 2 on a parse error and leaves the files of the run before."""
    shutil.copy(BASE / "1.10/awkward/unicode/manifest.json.gz", target / "manifest.json.gz")
    shutil.copy(BASE / "1.10/awkward/unicode/run_results.json.gz", target / "run_results.json.gz")
    for name in ("manifest", "run_results"):
        (target / f"{name}.json").unlink()
    process = run("dbt", "target", "--dbt-exit-code", "2", *OFFLINE, cwd=target.parent)
    assert "dbt exited with 2" in refused(process, "artifacts-stale")
    explained = run("dbt", "target", "--dbt-exit-code", "1", *OFFLINE, cwd=target.parent)
    assert explained.returncode == 1
    assert "no row of its results says why" in explained.stdout
    assert run("dbt", "target", "--dbt-outcome", "success", *OFFLINE, cwd=target.parent).returncode == 0


def test_a_green_outcome_contradicts_red_rows_of_the_one_command_only(tmp_path, target):
    """The step of dbt build was green, and its file is red: it is another run's. Freshness is another command."""
    process = run("dbt", "target", "--dbt-outcome", "success", *OFFLINE, cwd=target.parent)
    assert "dbt exited with 0" in refused(process, "artifacts-stale")
    shutil.rmtree(target)
    folder = BASE / "1.10/awkward/unicode"
    shutil.copytree(folder, target)
    shutil.copy(BASE / "1.10/source_freshness/sources.json.gz", target)
    process = run("dbt", "target", "--dbt-outcome", "success", *OFFLINE, cwd=target.parent)
    assert process.returncode == 1, process.stderr
    assert "freshness raw.air_quality" in process.stdout


def test_freshness_of_dbt_2_is_taken_beside_its_own_empty_results(target):
    shutil.copy(BASE / "1.10/source_freshness/sources.json.gz", target)
    results = json.loads((target / "run_results.json").read_text())
    results["results"], results["args"] = [], {"command": "freshness", "which": "freshness"}
    (target / "run_results.json").write_text(json.dumps(results))
    process = run("dbt", "target", "--dry-run", "--output", "json", cwd=target.parent)
    assert process.returncode == 0, process.stderr
    ledger = json.loads(process.stdout)["ledger"]
    assert (ledger["freshness"]["executed"], ledger["data_test"]["executed"]) == (3, 0)


def test_files_older_than_the_pipeline_are_anothers(tmp_path, target):
    env = {"GITLAB_CI": "true", "CI_JOB_ID": "7", "CI_PIPELINE_ID": "3", "CI_COMMIT_BRANCH": "main",
           "CI_DEFAULT_BRANCH": "main", "CI_PIPELINE_CREATED_AT": "2099-01-01T00:00:00Z"}  # fmt: skip
    (tmp_path / "dbt_project.yml").write_text("name: qalita_demo\n")
    text = refused(run("dbt", *OFFLINE, cwd=tmp_path, env=env), "artifacts-stale")
    assert "2099-01-01" in text
    env["CI_PIPELINE_CREATED_AT"] = "2026-01-01T00:00:00+01:00"
    assert run("dbt", *OFFLINE, cwd=tmp_path, env=env).returncode == 1
    named = ("--manifest", "target/manifest.json", "--results", "target/run_results.json")
    env["CI_PIPELINE_CREATED_AT"] = "2099-01-01T00:00:00Z"
    assert run("dbt", *named, *OFFLINE, cwd=tmp_path, env=env).returncode == 1, (
        "files that are named are meant"
    )


def test_nothing_selected_is_red_alone_and_a_notice_where_it_is_said_to_be_normal(tmp_path):
    folder = BASE / "1.10/awkward/nothing_selected"
    refused(run("dbt", str(folder), *OFFLINE, cwd=tmp_path), "nothing-selected")
    process = run("dbt", str(folder), *OFFLINE, "--on-empty", "pass", cwd=tmp_path)
    assert process.returncode == 0
    assert "passed" not in process.stdout.splitlines()[0]


@pytest.mark.parametrize("elapsed", [63_931_011_636, -1, "soon", None, 1e400, 10**400])
def test_an_elapsed_time_that_no_run_can_have_had_is_unknown(target, elapsed):
    path = target / "run_results.json"
    results = json.loads(path.read_text())
    results["elapsed_time"] = elapsed
    path.write_text(json.dumps(results))
    (found,) = locate(Places(path=str(target)), target, {})
    ingest = mapping.to_ingest(read(found, Vetting()), CIContext(), Policy(tool=Tool(name="t", version="0")))
    assert ingest.run.elapsed_s is None
    assert ingest.run.started_at is None
    assert ingest.ledger.data_test.passed == 17


# ------------------------------------------------------------------ anything at all

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = {
    "manifest": [
        "metadata",
        "nodes",
        "sources",
        "unit_tests",
        "exposures",
        "groups",
        "disabled",
        "selectors",
    ],
    "run_results": ["metadata", "results", "args", "elapsed_time"],
}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_json_gives_a_document_or_a_clean_refusal(tmp_path_factory, data):
    """Seeded by hypothesis: any value in place of any key, any row or any node of real files."""
    folder = tmp_path_factory.mktemp("any")
    which = data.draw(st.sampled_from(["manifest", "run_results"]))
    for name in ("manifest", "run_results"):
        content = json.loads(plain(name))
        if name == which:
            key = data.draw(st.sampled_from(KEYS[name]))
            where = content[key]
            if isinstance(where, (dict, list)) and where and data.draw(st.booleans()):
                inner = data.draw(
                    st.sampled_from(list(where) if isinstance(where, dict) else range(len(where)))
                )
                entry = where[inner]
                if isinstance(entry, dict) and entry and data.draw(st.booleans()):
                    entry[data.draw(st.sampled_from(list(entry)))] = data.draw(VALUES)
                else:
                    where[inner] = data.draw(VALUES)
            else:
                content[key] = data.draw(VALUES)
        (folder / f"{name}.json").write_text(json.dumps(content))
    try:
        (found,) = locate(Places(path=str(folder)), folder, {})
        ingest = mapping.to_ingest(
            read(found, Vetting()), CIContext(), Policy(tool=Tool(name="t", version="0"))
        )
    except IngestError:
        return
    assert sum(r.status == "passed" for r in ingest.results) <= 17
