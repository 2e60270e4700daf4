"""Every real artifact set: the document says what the rows say, or the refusal says why. Never a false green."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from qalita_action import mapping
from qalita_action.dbt import Places, Vetting, locate, read
from qalita_action.errors import ArtifactError, ExitCode
from qalita_action.model import CIContext, Gate, Ingest, Policy, Tool, to_json
from tests.artifact_sets import (
    all_sets,
    expected_counts,
    expected_refusal,
    last_exit_code,
    name_of,
    read_set,
)
from tests.command import run

POLICY = Policy(tool=Tool(name="qalita-dbt-ingest", version="0.0.0"))
SETS = all_sets()
REFUSED = [s for s in SETS if expected_refusal(s)]
TAKEN = [s for s in SETS if s not in REFUSED]
REASONS = {
    "nothing-executed", "dbt-did-not-run", "nothing-selected", "results-not-found", "artifacts-not-found",
}  # fmt: skip


def ingest_of(folder: Path) -> Ingest:
    (found,) = locate(Places(path=str(folder)), Path("/"), {})
    return mapping.to_ingest(read(found, Vetting()), CIContext(), POLICY)


def counts_of(ingest: Ingest) -> dict[str, Counter]:
    counts = {"data_test": Counter(), "unit_test": Counter(), "freshness": Counter()}
    for check, result in zip(ingest.checks, ingest.results, strict=True):
        assert check.key == result.check
        counts[check.kind]["vanished" if result.reason == "vanished" else result.status] += 1
    return counts


def test_there_are_sets_of_both_kinds():
    assert len(TAKEN) > 30
    assert len(REFUSED) > 10


@pytest.mark.parametrize("folder", TAKEN, ids=name_of)
def test_statuses_are_those_of_the_rows(folder):
    ingest = ingest_of(folder)
    assert counts_of(ingest) == expected_counts(folder)
    for kind, counter in counts_of(ingest).items():
        row = getattr(ingest.ledger, kind)
        assert row.expected == sum(counter.values())
        assert row.executed == row.passed + row.warned + row.failed + row.errored
        names = ("executed", "skipped", "reused", "not_run", "vanished", "unknown")
        assert row.expected == sum(getattr(row, n) for n in names)


@pytest.mark.parametrize("folder", REFUSED, ids=name_of)
def test_what_never_ran_is_refused_with_the_way_out(folder):
    with pytest.raises(ArtifactError) as caught:
        ingest_of(folder)
    assert caught.value.code in REASONS
    assert caught.value.exit_code == ExitCode.ARTIFACTS
    assert caught.value.looked
    assert caught.value.todo


@pytest.mark.parametrize("folder", SETS, ids=name_of)
def test_a_red_dbt_is_never_green(folder):
    """For every run of dbt that exited non-zero, --fail-on fail exits non-zero."""
    if last_exit_code(folder) == 0:
        return
    try:
        ingest = ingest_of(folder)
    except ArtifactError:
        return
    assert mapping.verdict([ingest], Gate(fail_on="fail")).blocks


@pytest.mark.parametrize("folder", SETS, ids=name_of)
def test_no_passed_check_without_a_pass_in_the_file(folder):
    _, results, sources = read_set(folder)
    words = Counter(r["status"].lower() for f in results for r in f["results"] if "test." in r["unique_id"])
    words += Counter(r["status"].lower() for r in (sources or {"results": []})["results"])
    try:
        ingest = ingest_of(folder)
    except ArtifactError:
        return
    assert sum(r.status == "passed" for r in ingest.results) <= words["pass"]


@pytest.mark.parametrize("folder", TAKEN, ids=name_of)
def test_the_same_files_give_the_same_bytes_and_key(folder):
    one, two = ingest_of(folder), ingest_of(folder)
    assert to_json(one) == to_json(two)
    assert msgspec.json.decode(to_json(one), type=Ingest) == one


def test_skipped_rows_of_a_real_build_have_the_cause_that_dbt_had():
    """dbt 1.10 build: stg_orders has three red tests, so everything below it was skipped because of them."""
    folder = next(s for s in SETS if name_of(s) == "1.10/build")
    ingest = ingest_of(folder)
    causes = {r.check: set(r.caused_by) for r in ingest.results if r.status == "skipped"}
    on_orders = {
        "test.qalita_demo.assert_sql_error",
        "test.qalita_demo.bad_sql_test_stg_orders_amount.834ffa8db5",
        "test.qalita_demo.row_count_between_stg_orders_3__1.888ad8aef3",
    }
    on_air = {
        "test.qalita_demo.not_null_stg_air_quality_country.d600a75703",
        "test.qalita_demo.value_is_positive.7773acaed6",
    }
    both = {
        "test.qalita_demo.assert_amount_lt_15",
        "test.qalita_demo.relationships_stg_orders_customer_id__customer_id__ref_stg_customers_.430bf21500",
    }
    assert causes["test.qalita_demo.not_null_broken_model_id.e92768f81a"] == on_orders
    assert causes["test.qalita_demo.not_null_fct_air_quality_daily_pk.8558ddafb1"] == on_air
    assert causes["test.qalita_demo.unique_dim_customers_customer_id.15c9f1e2fd"] == on_orders | both
    assert causes["unit_test.qalita_demo.fct_orders.orders_wrong_expectation"] == on_orders
    assert all(causes.values())
    assert not any("nothing says why" in c.title for c in ingest.causes)
    folded = next(c for c in ingest.causes if "not_null_stg_air_quality_country" in c.title)
    assert "model.qalita_demo.fct_air_quality_daily" in folded.consequences
    assert folded.owner == "dq-team"


def test_an_older_pass_never_outlives_a_later_compile():
    """dbt build, then dbt docs generate: the build's rows count, the stubs do not."""
    folder = next(s for s in SETS if name_of(s) == "1.10/awkward/seq_build_then_docs")
    ingest = ingest_of(folder)
    assert Counter(r.status for r in ingest.results)["passed"] == 3
    assert {r.reason for r in ingest.results if r.status == "not_run"} == {"compiled", None}
    assert ingest.run.commands == ("build",)
    assert any(w.code == "file-ignored" and "generate" in w.text for w in ingest.run.warnings)


def test_retry_completes_its_first_run_and_is_partial_without_it(tmp_path):
    folder = next(s for s in SETS if name_of(s) == "1.10/awkward/retry")
    both = ingest_of(folder)
    assert both.run.commands == ("run", "retry")
    assert len(both.run.invocation_ids) == 2
    for name in ("manifest.json.gz", "run_results.json.gz"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    alone = ingest_of(tmp_path)
    assert (alone.run.extent, alone.run.extent_reason) == (
        "partial", "retry without the results of its first run",
    )  # fmt: skip
    assert alone.run.key != both.run.key


def test_fail_fast_is_partial_and_folds_into_its_one_cause():
    folder = next(s for s in SETS if name_of(s) == "1.10/awkward/fail_fast")
    ingest = ingest_of(folder)
    assert (ingest.run.extent, ingest.run.extent_reason) == ("partial", "fail_fast")
    skipped = [r for r in ingest.results if r.status == "skipped"]
    assert {r.caused_by for r in skipped} == {("model.qalita_demo.micro_events",)}
    assert sum(c.level == "high" for c in ingest.causes) == 1


def test_a_partly_built_micro_batch_model_is_broken():
    folder = next(s for s in SETS if name_of(s) == "1.10/awkward/microbatch_partial")
    ingest = ingest_of(folder)
    runs = {d.name: d.run for d in ingest.datasets if d.run}
    assert runs["micro_events"].status == "partial"
    assert mapping.verdict([ingest], Gate()).reasons[0].code == "dataset-broken"


def test_a_model_that_does_not_compile_is_a_cause_of_its_own():
    folder = next(s for s in SETS if name_of(s) == "1.10/awkward/model_compile_error_build")
    ingest = ingest_of(folder)
    broken = next(d for d in ingest.datasets if d.name == "compile_fail")
    assert broken.run.status == "errored"
    assert broken.run.message.startswith("<database error, "), "its text may hold SQL"
    assert ingest.scores.by_dataset[broken.key] is None
    cause = next(c for c in ingest.causes if c.dataset == broken.key)
    assert (cause.level, cause.title) == ("high", "model compile_fail could not be built")
    assert "dataset-broken" in {r.code for r in mapping.verdict([ingest], Gate()).reasons}
    assert ingest.run.extent == "selected"


def test_names_beyond_ascii_survive():
    folder = next(s for s in SETS if name_of(s) == "1.10/awkward/unicode")
    ingest = ingest_of(folder)
    model = next(d for d in ingest.datasets if d.name == "modèle_été")
    assert model.run.status == "passed"
    tests = [c for c in ingest.checks if c.dataset == model.key]
    assert {c.column for c in tests} & {"libellé"}


def test_the_secrets_of_the_secrets_run_are_nowhere():
    for name, words in (("1.10/awkward/secrets", ["hunter2secret"]), ("1.10/run", ["s3cr3t-in-vars"])):
        folder = next(s for s in SETS if name_of(s) == name)
        written = json.dumps(read_set(folder)[1])
        text = to_json(ingest_of(folder)).decode()
        for word in words:
            assert word in written, "the fixture holds the secret"
            assert word not in text


def test_a_green_of_dbt_build_empty_is_no_green():
    empties = [s for s in REFUSED if any((r.get("args") or {}).get("empty") for r in read_set(s)[1])]
    assert {last_exit_code(s) for s in empties} == {0, 1}, "one of them is green to dbt"
    for folder in empties:
        with pytest.raises(ArtifactError, match="--empty"):
            ingest_of(folder)


def test_tests_of_tables_that_were_built_empty_saw_no_data():
    """dbt run --empty, then dbt test: the second file shows no sign of it, the first one does."""
    folders = [s for s in TAKEN if s.name == "test_empty_tables"]
    assert folders
    for folder in folders:
        ingest = ingest_of(folder)
        built_empty = {
            r["unique_id"] for f in read_set(folder)[1] if f["args"].get("empty") for r in f["results"]
        }
        empty = [r.check for r in ingest.results if r.reason == "empty"]
        assert len(empty) > 5
        passed = {
            c.dataset
            for c, r in zip(ingest.checks, ingest.results, strict=True)
            if r.status == "passed" and c.kind == "data_test"
        }
        assert not passed & built_empty
        rows = {
            r["unique_id"]: r for f in read_set(folder)[1] if not f["args"].get("empty") for r in f["results"]
        }
        assert any(rows[key]["status"] == "pass" for key in empty), "they pass in dbt's eyes"


def test_rows_of_another_project_are_refused(tmp_path):
    ours = next(s for s in SETS if name_of(s) == "1.10/build")
    theirs = next(s for s in SETS if name_of(s) == "1.10/awkward/unicode")
    (tmp_path / "manifest.json.gz").write_bytes((ours / "manifest.json.gz").read_bytes())
    (tmp_path / "run_results.json.gz").write_bytes((theirs / "run_results.json.gz").read_bytes())
    with pytest.raises(ArtifactError) as caught:
        ingest_of(tmp_path)
    assert caught.value.code == "artifacts-foreign"


def test_a_disabled_models_test_is_not_expected():
    """dbt leaves tests on a disabled model in `nodes`, with config.enabled false; they never run."""
    folder = next(s for s in SETS if name_of(s) == "1.10/build")
    manifest, _, _ = read_set(folder)
    key = "test.qalita_demo.unique_disabled_model_id.2a00a7836f"
    assert manifest["nodes"][key]["config"]["enabled"] is False
    ingest = ingest_of(folder)
    assert key not in {c.key for c in ingest.checks}
    assert ingest.run.extent == "complete"


def test_the_gate_names_what_a_skip_came_from_as_people_do(tmp_path):
    """Of the example's run: no unique id in a sentence that a person reads at night."""
    sample = Path(__file__).parent.parent / "examples/airquality/sample-target"
    done = run("dbt", str(sample), "--publish", "never", cwd=tmp_path)
    skipped = [line for line in done.stdout.splitlines() if ": skipped, " in line]
    assert len(skipped) == 5, done.stdout
    assert all(line.endswith("because of no_reading_twice") for line in skipped), skipped
