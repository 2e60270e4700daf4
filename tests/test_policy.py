"""What users decide: required checks, ages, dimensions, owners, patterns. Through the real command."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from qalita_action import mapping
from qalita_action.dbt.shapes import Node
from qalita_action.mapping import dimensions
from qalita_action.mapping.owners import FileOwners
from qalita_action.mapping.selectors import selected
from qalita_action.model import DIMENSIONS, Base
from tests.artifact_sets import BASE
from tests.command import run
from tests.test_mapping import ingest_of
from tests.test_mapping import project as made

BUILD = BASE / "1.10" / "build"
SAMPLE = Path(__file__).parents[1] / "examples" / "airquality" / "sample-target"
OFFLINE = ("--publish", "never")
FILE = Base(origin="file", where="ingest.json")


def document(*args: str, cwd: Path, env=None) -> dict:
    process = run("dbt", *args, "--dry-run", "--output", "json", cwd=cwd, env=env)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


# ------------------------------------------------------------------ --require-run


def test_a_required_check_that_did_not_run_blocks_and_is_named(tmp_path):
    folder = str(BASE / "1.10/awkward/unicode")  # selected one model; everything else did not run
    green = run("dbt", folder, *OFFLINE, cwd=tmp_path)
    assert green.returncode == 0
    red = run("dbt", folder, *OFFLINE, "--require-run", "stg_orders", cwd=tmp_path)
    assert red.returncode == 1
    assert "unique_stg_orders_order_id: must run (stg_orders)" in red.stdout
    unknown = run("dbt", folder, *OFFLINE, "--require-run", "tag:no_such_tag", cwd=tmp_path)
    assert unknown.returncode == 1
    assert "tag:no_such_tag: no check matches" in unknown.stdout


def test_selectors_speak_of_what_people_mean(tmp_path):
    told = document(str(BUILD), cwd=tmp_path)
    import msgspec

    from qalita_action.model import Ingest

    ingest = msgspec.convert(told, type=Ingest)
    datasets = {d.key: d for d in ingest.datasets}

    def chosen(selector: str) -> set[str]:
        return {c.name for c in selected(selector, ingest.checks, datasets)}

    assert "unique_stg_orders_order_id" in chosen("stg_orders")
    assert chosen("unique_stg_orders_order_id") == {"unique_stg_orders_order_id"}
    assert chosen("source:raw") >= {"source_not_null_raw_air_quality_parameter"}
    assert chosen("source:raw.air_quality") <= chosen("source:raw")
    assert chosen("path:models/sources.yml") >= {"source_not_null_raw_air_quality_parameter"}
    assert chosen("path:models") > chosen("path:models/sources.yml")
    assert chosen("tag:raw")
    assert chosen("no_such") == set()


def test_a_selector_of_an_unknown_kind_is_refused(tmp_path):
    process = run("dbt", str(BUILD), *OFFLINE, "--require-run", "owner:me", cwd=tmp_path)
    assert process.returncode == 2
    assert "tag:..." in process.stderr


# ------------------------------------------------------------------ ages


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / "target").mkdir()
    (tmp_path / "dbt_project.yml").write_text("name: qalita_demo\n")
    for name in ("manifest", "run_results"):
        (tmp_path / "target" / f"{name}.json").write_bytes(
            gzip.decompress((BUILD / f"{name}.json.gz").read_bytes())
        )
    return tmp_path


def test_the_users_word_on_age_outranks_the_pipelines(project):
    since = run("dbt", *OFFLINE, "--artifacts-since", "2099-01-01T00:00:00Z", cwd=project)
    assert since.returncode == 3
    assert "[artifacts-stale]" in since.stderr
    gitlab = {"GITLAB_CI": "true", "CI_PIPELINE_ID": "1", "CI_JOB_ID": "1", "CI_COMMIT_BRANCH": "main",
              "CI_DEFAULT_BRANCH": "main", "CI_PIPELINE_CREATED_AT": "2099-01-01T00:00:00Z"}  # fmt: skip
    assert run("dbt", *OFFLINE, cwd=project, env=gitlab).returncode == 3
    assert run("dbt", *OFFLINE, "--artifacts-since", "any", cwd=project, env=gitlab).returncode == 1


def test_max_age_speaks_of_named_files_too(project):
    named = ("--manifest", "target/manifest.json", "--results", "target/run_results.json")
    path = project / "target" / "run_results.json"
    results = json.loads(path.read_text())
    results["metadata"]["generated_at"] = "2020-01-01T00:00:00.000000Z"
    path.write_text(json.dumps(results))
    assert run("dbt", *named, *OFFLINE, cwd=project).returncode == 1
    old = run("dbt", *named, *OFFLINE, "--max-age", "7d", cwd=project)
    assert old.returncode == 3
    assert "[artifacts-stale]" in old.stderr


def test_files_older_than_the_checkout_are_suspected_not_refused(project):
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    path = project / "target" / "run_results.json"
    results = json.loads(path.read_text())
    results["metadata"]["generated_at"] = "2020-01-01T00:00:00.000000Z"
    path.write_text(json.dumps(results))
    process = run("dbt", *OFFLINE, cwd=project, env={"CI": "true"})
    assert process.returncode == 1
    assert "older than the checkout" in process.stdout


# ------------------------------------------------------------------ finding files


def test_patterns_name_several_results(project):
    target = project / "target"
    shutil.copy(BASE / "1.10/awkward/retry/manifest.json.gz", target / "manifest.json.gz")
    for name in ("manifest", "run_results"):
        (target / f"{name}.json").unlink()
    for name in ("run_results.first.json.gz", "run_results.json.gz"):
        shutil.copy(BASE / "1.10/awkward/retry" / name, target / name)
    told = document("--results", "target/run_results*.json.gz", cwd=project)
    assert told["run"]["commands"] == ["run", "retry"]
    none = run("dbt", "--results", "target/nothing*.json", *OFFLINE, cwd=project)
    assert none.returncode == 3
    assert "no file matches" in none.stderr


def test_what_was_ignored_is_said_with_verbose(tmp_path):
    folder = str(BASE / "1.10/awkward/seq_build_then_docs")
    assert "no evidence" not in run("dbt", folder, *OFFLINE, cwd=tmp_path).stdout
    said = run("dbt", folder, *OFFLINE, "--verbose", cwd=tmp_path).stdout
    assert "dbt generate, no evidence" in said
    assert "counted as validity" in said


# ------------------------------------------------------------------ dimensions


def test_the_table_knows_every_test_of_the_packages_and_only_dimensions():
    text = (Path(dimensions.__file__).parent / dimensions.FILE).read_bytes()
    known = mapping.dimension_table(text)
    assert set(known.values()) <= set(DIMENSIONS)
    assert known["not_null"] == "completeness"
    assert known["dbt_utils.recency"] == "timeliness"
    assert known["dbt_expectations.expect_table_row_count_to_equal"] == "reasonability"
    assert known["dq_tools.relationships_where_db"] == "consistency"
    assert len(known) == 130


def test_the_users_word_on_a_dimension(tmp_path):
    (tmp_path / "qalita.yml").write_text(
        "dimensions:\n  not_null: accuracy\n  dq_pkg.expression_is_true: schema\n"
    )
    told = document(str(BUILD), "--dimensions", "unique=consistency", cwd=tmp_path)
    by_type = {(c["namespace"], c["type"]): c["dimension"] for c in told["checks"]}
    assert by_type[None, "unique"] == "consistency", "a flag outranks the file"
    assert by_type[None, "not_null"] == "completeness"
    told = document(str(BUILD), cwd=tmp_path)
    by_type = {(c["namespace"], c["type"]): c["dimension"] for c in told["checks"]}
    assert by_type[None, "not_null"] == "accuracy"
    assert by_type["dq_pkg", "expression_is_true"] == "schema"
    bad = run("dbt", str(BUILD), "--dimensions", "unique=beauty", cwd=tmp_path)
    assert bad.returncode == 2
    assert "completeness" in bad.stderr


# ------------------------------------------------------------------ owners and exposures


def test_codeowners_answer_for_what_has_no_owner_of_its_own():
    text = "* @everyone\n[Data]\n/shop/models/ @data alice@example.com\n/shop/models/raw.yml\n"
    owners = FileOwners(text, "shop")
    assert owners.of("models/schema.yml") == "@data, alice@example.com"
    assert owners.of("models/raw.yml") is None, "an empty rule takes the owner away"
    assert FileOwners(text, "").of("dbt_project.yml") == "@everyone"
    assert FileOwners(None, "").of("x") is None


def test_a_file_of_a_package_is_none_of_the_repositorys():
    owners = FileOwners("* @everyone\n", "", "shop")
    assert owners.of_node(Node(package_name="shop", original_file_path="models/a.sql")) == "@everyone"
    assert owners.of_node(Node(package_name="dbt_utils", original_file_path="models/a.sql")) is None


def test_a_test_of_several_tables_belongs_to_who_owns_its_file(project):
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    (project / "CODEOWNERS").write_text("/tests/ @acme/checks\n")
    told = document(cwd=project, env={"CI": "true"})
    singular = {c["key"]: c["owner"] for c in told["checks"] if c["type"] == "singular"}
    ours = {key for key, owner in singular.items() if owner == "@acme/checks"}
    assert ours, "those without an owner of their own"
    assert all(key.startswith("test.qalita_demo.") for key in ours), (
        "a package's file is not in this repository"
    )


def test_codeowners_are_read_in_a_pipeline_and_not_where_the_checkout_says_nothing(project):
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    (project / "CODEOWNERS").write_text("* @acme/data\n")
    assert not [c for c in document(cwd=project)["checks"] if c["owner"] == "@acme/data"]
    told = document(cwd=project, env={"CI": "true"})
    owners = {c["name"]: c["owner"] for c in told["checks"]}
    assert owners["unique_stg_orders_order_id"] == "@acme/data"
    assert owners["not_null_stg_air_quality_country"] == "dq-team", "dbt's own meta comes first"


def test_a_cause_names_the_exposures_that_it_reaches(tmp_path):
    told = document(str(BUILD), cwd=tmp_path)
    cause = next(c for c in told["causes"] if "not_null_stg_air_quality_country" in c["title"])
    assert "Reaches exposure weekly_dashboard." in cause["body"]
    other = next(c for c in told["causes"] if "row_count_between_stg_orders" in c["title"])
    assert "Reaches" not in other["body"]


# ------------------------------------------------------------------ why the score moved


def test_a_movement_is_explained_in_points(tmp_path):
    target = tmp_path / "target"
    shutil.copytree(SAMPLE, target)
    assert run("dbt", "target", *OFFLINE, "--report-dir", "before", cwd=tmp_path).returncode == 1
    path = target / "run_results.json"
    results = json.loads(path.read_text())
    changed = {"unit_is_known": "pass", "city_is_named": "fail"}
    for row in results["results"]:
        for name, status in changed.items():
            if f".{name}." in row["unique_id"]:
                row["status"] = status
    path.write_text(json.dumps(results))
    base = ("--baseline", "before/ingest.json")
    process = run("dbt", "target", *OFFLINE, *base, cwd=tmp_path)
    counted = 48  # 47 data tests and one freshness
    line = next(x for x in process.stdout.splitlines() if "MOVED" in x)
    assert f"+{100 / counted:.1f} unit_is_known" in line
    assert f"−{50 / counted:.1f} city_is_named" in line
    assert "81.2 % → 82.2 %" in line
    same = run("dbt", "target", *OFFLINE, "--baseline", "qalita-report/ingest.json", cwd=tmp_path)
    assert "82.2 % → 82.2 %" in same.stdout


def test_a_check_that_went_is_one_part_of_the_movement(tmp_path):
    before, after = ingest_of(made(["pass", "fail", "pass", "pass"])), ingest_of(made(["pass", "fail"]))
    moved = mapping.movement(mapping.past(before, FILE), after)
    assert (moved.before, moved.after) == (0.75, 0.5)
    assert [(p.what, p.points) for p in moved.parts] == [("checks that came or went", -25.0)]
    assert mapping.movement(mapping.past(ingest_of(made([])), FILE), after) is None, "a gap does not move"
