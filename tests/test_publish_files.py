"""The platform's own files: what stands in them, and what may not leave."""

from __future__ import annotations

import json

import msgspec
import pytest
from make_ingest import TOOL, make_ingest

from qalita_action import publish
from qalita_action.model import Target
from qalita_action.publish.results_files import files
from qalita_action.publish.results_scopes import fraction

replace = msgspec.structs.replace
SOURCE = {"perimeter": "dataset", "value": "shop-prod"}


def table(name):
    return {"perimeter": "table", "value": name, "parent_scope": SOURCE}


def column(name):
    return {"perimeter": "column", "value": name, "parent_scope": SOURCE}


def values(found, scope) -> dict:
    rows = [(m["key"], m["value"]) for m in found.metrics if m["scope"] == scope]
    assert len(rows) == len(dict(rows))
    return dict(rows)


def scores(found) -> list:
    return [m for m in found.metrics if m["key"] == "score" or m["key"].startswith("score_")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.0"),
        (0.999999, "0.9999"),
        (0.99999, "0.9999"),
        (0.9, "0.9"),
        (0.85, "0.85"),
        (0.333333, "0.3333"),
        (0.66666, "0.6666"),
        (0.1 + 0.2, "0.3"),
        (0.0001, "0.0001"),
        (0.00009, "0.0"),
        (1e-06, "0.0"),
        (0.0, "0.0"),
    ],
)
def test_scores_are_rounded_down(value, text):
    assert fraction(value) == text


def test_metrics_of_a_run():
    # 20 checks over 2 tables and 2 columns: 0, 1 and 2 failed, 3 warned, 4 skipped, the rest passed
    found = files(make_ingest(20, 3, warned=1, skipped=1))
    assert values(found, SOURCE) == {
        "score": "0.775",
        "score_completeness": "0.775",
        "coverage": "0.95",
        "tests_total": 20,
        "tests_passed": 15,
        "tests_warned": 1,
        "tests_failed": 3,
        "tests_errored": 0,
        "tests_skipped": 1,
        "tests_not_run": 0,
    }
    assert values(found, table("orders_0")) == {
        "score": "0.7",
        "tests_total": 10,
        "tests_passed": 7,
        "tests_warned": 0,
        "tests_failed": 2,
        "tests_errored": 0,
        "tests_skipped": 1,
        "tests_not_run": 0,
    }
    assert values(found, column("orders_1.amount")) == {"score": "0.9"}


@pytest.mark.parametrize(
    ("detail", "perimeters"),
    [
        ("source", {"dataset"}),
        ("table", {"dataset", "table"}),
        ("column", {"dataset", "table", "column"}),
        ("check", {"dataset", "table", "column"}),
    ],
)
def test_metrics_detail(detail, perimeters):
    found = files(make_ingest(), detail=detail)
    assert {m["scope"]["perimeter"] for m in found.metrics} == perimeters
    assert any("_failures" in m["key"] for m in found.metrics) is (detail == "check")


def test_failures_of_checks_have_names_that_stay():
    ingest = make_ingest(8, 2, warned=1)
    with_arguments = replace(ingest.checks[1], type="accepted_values", arguments={"values": 3})
    singular = replace(ingest.checks[2], type="singular")
    ingest = replace(ingest, checks=(ingest.checks[0], with_arguments, singular, *ingest.checks[3:]))
    found = {(m["key"], m["value"]) for m in files(ingest, detail="check").metrics if "_failures" in m["key"]}
    assert found == {
        ("not_null_failures", 4),
        (f"accepted_values_failures_{with_arguments.alias[:8]}", 4),
        (f"singular_failures_{singular.alias[:8]}", 2),
    }


def test_every_metric_is_known_by_key_and_scope():
    for detail in ("source", "table", "column", "check"):
        rows = files(make_ingest(200, 60, warned=20), detail=detail).metrics
        keys = [json.dumps([m["key"], m["scope"]], sort_keys=True) for m in rows]
        assert len(keys) == len(set(keys))


def test_nothing_of_one_run_stands_in_a_key_or_scope():
    first = files(make_ingest(run_id="one"), detail="check").metrics
    second = files(make_ingest(run_id="two", completed_at="2026-05-05T00:00:00Z"), detail="check").metrics
    assert [(m["key"], m["scope"]) for m in first] == [(m["key"], m["scope"]) for m in second]


def test_a_score_of_nothing_is_left_out():
    ingest = make_ingest(4, 0, not_run=4)
    found = files(ingest)
    assert scores(found) == []
    assert values(found, SOURCE)["tests_not_run"] == 4
    assert [f["key"] for f in found.figures["figures"]] == ["tests_by_status"]


@pytest.mark.parametrize(
    "verdict", ["empty", "compile_only", "stale", "foreign", "phantom", "nothing_selected"]
)
def test_what_never_ran_has_no_score(verdict):
    assert scores(files(make_ingest(4, 0, verdict=verdict))) == []


def test_a_partial_run_sends_no_score_at_any_scope():
    found = files(make_ingest(20, 1, extent="partial"))
    assert scores(found) == []
    assert values(found, SOURCE)["tests_failed"] == 1
    assert [f["key"] for f in found.figures["figures"]] == ["tests_by_status"]


@pytest.mark.parametrize(("not_run", "moves"), [(2, True), (3, False), (19, False)])
def test_a_selected_run_moves_the_source_when_it_decided_enough(not_run, moves):
    found = files(make_ingest(20, 0, not_run=not_run, extent="selected"))
    assert ("score" in values(found, SOURCE)) is moves
    assert any(m["key"].startswith("score_") for m in found.metrics) is moves
    assert any(f["key"] == "score_by_dimension" for f in found.figures["figures"]) is moves
    assert any(m["scope"]["perimeter"] == "table" for m in scores(found))


def test_recommendations():
    found = files(make_ingest(8, 1, warned=1, errored=1, skipped=2)).recommendations
    assert [(r["type"], r["level"]) for r in found] == [
        ("dbt test failed", "high"),
        ("dbt test warned", "warning"),
        ("dbt test not evaluated", "high"),
    ]
    assert found[0]["scope"] == column("orders_0.order_id")
    lines = found[0]["content"].splitlines()
    assert lines[0] == "not_null_orders_0_order_id_0 failed"
    assert "Owner: data@example.com" in lines
    assert "File: models/schema.yml:12" in lines
    assert "Skipped because of it: 2" in lines
    assert "CI: https://ci.example.com/acme/shop/55/101" in lines


def test_a_cause_without_checks_is_a_build_that_failed():
    ingest = make_ingest()
    cause = replace(ingest.causes[0], checks=(), dataset="model.shop.orders_1")
    (found,) = files(replace(ingest, causes=(cause,))).recommendations
    assert found["type"] == "dbt build failed" and found["scope"] == table("orders_1")
    lost = replace(cause, dataset="model.shop.gone")
    assert files(replace(ingest, causes=(lost,))).recommendations[0]["scope"] == SOURCE


def test_schemas_name_all_that_a_row_names():
    found = files(make_ingest(40, 5), detail="check")
    named = {json.dumps(r["scope"], sort_keys=True) for r in [*found.metrics, *found.recommendations]}
    drawn = {json.dumps(s["scope"], sort_keys=True) for s in found.schemas}
    assert named <= drawn
    for entry in found.schemas:
        assert entry["key"] == entry["scope"]["perimeter"] and entry["value"] == entry["scope"]["value"]
    tables = {s["value"] for s in found.schemas if s["key"] == "table"}
    assert {s["value"].split(".")[0] for s in found.schemas if s["key"] == "column"} <= tables


def test_figures_follow_the_format():
    document = files(make_ingest(40, 5, warned=3)).figures
    assert document["version"] == 1
    assert {f["key"] for f in document["figures"]} == {
        "tests_by_status",
        "score_by_dimension",
        "score_by_table",
    }
    for figure in document["figures"]:
        assert figure["of"] in document["measures"] and set(figure["measures"]) <= set(document["measures"])
        assert figure["rows"] and all(
            len(r) == len(figure["dims"]) + len(figure["measures"]) for r in figure["rows"]
        )
    by_status = next(f for f in document["figures"] if f["key"] == "tests_by_status")
    assert by_status["rows"] == [["pass", 32], ["warn", 3], ["fail", 5]]


def test_figures_are_cut_and_say_so():
    document = files(make_ingest(6000, 0, tables=6000)).figures
    by_table = next(f for f in document["figures"] if f["key"] == "score_by_table")
    assert len(by_table["rows"]) == 5000 and by_table["truncated"] is True


# ---------------------------------------------------------------- the folder


def write(folder, *ingests, **changes):
    from datetime import datetime, timezone

    def now():
        return datetime(2026, 3, 4, tzinfo=timezone.utc)

    target = Target(api="folder", folder=str(folder), tool=TOOL, **changes)
    connection = publish.connect(target, now=now())
    pages, spools = [b""] * len(ingests), [None] * len(ingests)
    return publish.send(connection, ingests, pages, spools, is_change=True, now=now)


def test_the_folder(tmp_path):
    ingest = make_ingest()
    (receipt,) = write(tmp_path / "out", ingest)
    assert receipt.status == "recorded" and receipt.exit_code == 0
    names = {"ingest.json", "metrics.json", "recommendations.json", "schemas.json", "figures.json"}
    assert {p.name for p in (tmp_path / "out").iterdir()} == names
    written = {p.stem: json.loads(p.read_bytes()) for p in (tmp_path / "out").iterdir()}
    assert msgspec.convert(written["ingest"], type(ingest)) == ingest
    assert written["metrics"] == files(ingest).metrics
    assert receipt.counts == {
        **{k: len(written[k]) for k in ("metrics", "recommendations", "schemas")},
        "figures": len(written["figures"]["figures"]),
    }


def test_a_folder_for_each_source(tmp_path):
    hostile = replace(make_ingest(), source=replace(make_ingest().source, name="../../etc"))
    receipts = write(tmp_path / "out", make_ingest(), hostile)
    assert [r.status for r in receipts] == ["recorded", "recorded"]
    assert (tmp_path / "out" / "shop-prod" / "metrics.json").is_file()
    assert {p.parent.parent for p in tmp_path.rglob("ingest.json")} == {tmp_path / "out"}


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    (receipt,) = write(tmp_path / "file", make_ingest())
    assert (receipt.status, receipt.error_code, receipt.exit_code) == ("refused", "folder-unwritable", 2)


def test_the_plan_of_a_folder(tmp_path):
    target = Target(api="folder", folder=str(tmp_path), tool=TOOL)
    from datetime import datetime, timezone

    connection = publish.connect(target, now=datetime(2026, 3, 4, tzinfo=timezone.utc))
    planned = publish.planned(connection, make_ingest(), b"")
    write(tmp_path, make_ingest())
    assert {p.path: p.size for p in planned} == {str(p): p.stat().st_size for p in tmp_path.iterdir()}
