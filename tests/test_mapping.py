"""The pure parts, over any input: property tests, and the cases where a guess would be a lie."""

from __future__ import annotations

import hashlib
import json
import math
import random
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalita_action import mapping
from qalita_action.dbt.read import Evidence
from qalita_action.dbt.shapes import (
    Config,
    DependsOn,
    FreshnessRow,
    Manifest,
    Metadata,
    Node,
    Row,
    TestMetadata,
)
from qalita_action.mapping import identity, masking, tested
from qalita_action.model import CI, CIContext, Gate, Git, Policy, RunWarning, Tool, to_json

POLICY = Policy(tool=Tool(name="t", version="0"))
WORDS = ["pass", "warn", "fail", "error", "skipped", "reused", "Pass", "no-op", "", "next year's word", None]


def node(key: str, *parents: str, **more) -> Node:
    kind, package, name = key.split(".")[:3]
    return Node(
        resource_type=kind, name=name, package_name=package, depends_on=DependsOn(list(parents)), **more
    )


def generic(key: str, model: str, column: str | None = None, **more) -> Node:
    kwargs = {"model": f"{{{{ get_where_subquery(ref('{model.split('.')[2]}')) }}}}"}
    return node(
        key,
        model,
        test_metadata=TestMetadata(name="not_null", kwargs=kwargs),
        column_name=column,
        attached_node=model,
        **more,
    )


def evidence(manifest: Manifest, rows: dict[str, Row], **more) -> Evidence:
    facts = {
        "directory": "target",
        "manifest": manifest,
        "project_name": "shop",
        "rows": rows,
        "discarded": {},
        "freshness": None,
        "catalog": {},
        "verdict": "executed",
        "runs_tests": True,
        "selection": "all",
        "partial": None,
        "run_ids": ("i",),
        "invocation_ids": ("i",),
        "commands": ("build",),
        "dbt_version": "1.11.0",
        "adapter_type": "duckdb",
        "dbt_target": None,
        "dbt_exit_code": None,
        "stamped_sha": None,
        "origin": "elsewhere",
        "started_at": None,
        "completed_at": None,
        "elapsed_s": None,
        "notes": (),
    }
    return Evidence(**{**facts, **more})


def project(words: list[str | None]) -> Evidence:
    """One model with one test per word; `absent` leaves the row out."""
    model = "model.shop.orders"
    nodes = {model: node(model)}
    rows = {model: Row(unique_id=model, status="success")}
    for i, word in enumerate(words):
        key = f"test.shop.not_null_orders_c{i}.{i:010x}"
        nodes[key] = generic(key, model, f"c{i}")
        if word != "absent":
            rows[key] = Row(unique_id=key, status=word, failures=0)
    return evidence(Manifest(metadata=Metadata(), nodes=nodes), rows)


def ingest_of(ev: Evidence, context: CIContext = CIContext(), policy: Policy = POLICY):
    return mapping.to_ingest(ev, context, policy)


@given(st.lists(st.sampled_from([*WORDS, "absent"]), max_size=30))
def test_every_check_is_in_one_column_and_nothing_unknown_passes(words):
    ingest = ingest_of(project(words))
    row = ingest.ledger.data_test
    assert row.expected == len(words) == len(ingest.results) == len(ingest.checks)
    assert row.passed == sum(w in ("pass", "Pass") for w in words)
    assert row.unknown == sum(w in ("no-op", "", "next year's word", None) for w in words)
    assert row.not_run == words.count("absent")
    assert row.executed == row.passed + row.warned + row.failed + row.errored
    named = (row.executed, row.skipped, row.reused, row.not_run, row.vanished, row.unknown)
    assert sum(named) == row.expected


@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_the_score_is_one_only_when_all_passed_and_is_never_rounded_up(words):
    scores = ingest_of(project(words)).scores
    points = {"pass": Fraction(1), "warn": Fraction(1, 2), "fail": 0, "error": 0, "skipped": 0}
    counted = [points[w.lower()] for w in words if w and w.lower() in points]
    undecided = sum(w in ("error", "skipped") for w in words)
    if not counted:
        assert scores.overall is None
    elif Fraction(undecided, len(words)) > Fraction(1, 10):
        assert scores.overall is None
        assert str(undecided) in scores.overall_reason
    else:
        exact = Fraction(sum(counted), len(counted))
        assert Fraction(str(scores.overall)) <= exact < Fraction(str(scores.overall)) + Fraction(1, 10**6)
        assert (scores.overall == 1) == all(c == 1 for c in counted)
    by_dataset = scores.by_dataset.get("model.shop.orders")
    assert by_dataset is None or 0 <= by_dataset <= 1


@given(st.lists(st.sampled_from([*WORDS, "absent"]), max_size=20), st.sampled_from(["fail", "warn", "never"]))
def test_the_gate_follows_the_table(words, fail_on):
    verdict = mapping.verdict([ingest_of(project(words))], Gate(fail_on=fail_on))
    green = {"pass", "Pass", "warn", "reused", "absent"} - ({"warn"} if fail_on == "warn" else set())
    red = [w for w in words if w not in green]
    assert len(verdict.reasons) == len(red)
    assert verdict.blocks == (bool(red) and fail_on != "never")
    if not red and words and not any(w in ("pass", "Pass", "warn") for w in words):
        assert verdict.state == "nothing-tested"


@given(st.lists(st.sampled_from(WORDS), max_size=10), st.randoms())
def test_order_of_rows_and_job_ids_change_neither_key_nor_digest(words, rng: random.Random):
    ev = project(words)
    items = list(ev.rows.items())
    rng.shuffle(items)
    nodes = list(ev.manifest.nodes.items())
    rng.shuffle(nodes)
    shuffled = msgspec.structs.replace(
        ev, rows=dict(items), manifest=msgspec.structs.replace(ev.manifest, nodes=dict(nodes))
    )
    one = ingest_of(ev, CIContext(ci=CI(provider="github", job_id="1", attempt=1)))
    two = ingest_of(
        shuffled,
        CIContext(
            ci=CI(provider="github", job_id="2", attempt=2), warnings=(RunWarning(code="x", text="y"),)
        ),
    )
    assert one.run.key == two.run.key
    assert one.run.content_digest == two.run.content_digest
    assert to_json(one) != to_json(two)


def test_the_digest_is_that_of_the_canonical_document_without_what_differs_between_attempts():
    ingest = ingest_of(project(["pass", "fail", "warn"]))
    document = json.loads(to_json(ingest))
    for name in ("ci", "orchestrator", "tool", "warnings", "content_digest"):
        del document["run"][name]
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == ingest.run.content_digest


def test_the_run_key_is_the_contracts_formula():
    text = '["qalita-ingest/1","shop","prod","nightly","abc1234","i"]'
    policy = msgspec.structs.replace(POLICY, environment="prod", suite="nightly")
    ingest = ingest_of(msgspec.structs.replace(project(["pass"]), stamped_sha="abc1234"), policy=policy)
    assert ingest.run.key == hashlib.sha256(text.encode()).hexdigest()[:32]
    assert ingest.source.name == "shop-prod-nightly"


def test_the_commit_of_a_job_that_only_fetches_never_enters_the_key():
    here = CIContext(git=Git(sha="a" * 40, checkout_sha="a" * 40))
    there = CIContext(git=Git(sha="b" * 40, checkout_sha="b" * 40))
    fetched = project(["pass"])
    assert ingest_of(fetched, here).run.key == ingest_of(fetched, there).run.key
    assert to_json(ingest_of(fetched, here)) == to_json(ingest_of(fetched, there))
    written = msgspec.structs.replace(fetched, origin="pipeline")
    assert ingest_of(written, here).run.key != ingest_of(written, there).run.key


def test_a_change_never_writes_where_production_does():
    change = CIContext(is_change=True, environment="prod")
    policy = msgspec.structs.replace(POLICY, environment="prod")
    assert ingest_of(project(["pass"]), change, policy).source.environment == "ci"
    same = msgspec.structs.replace(policy, change_environment="same")
    assert ingest_of(project(["pass"]), change, same).source.environment == "prod"
    assert ingest_of(project(["pass"])).source.environment == "default"
    targeted = msgspec.structs.replace(project(["pass"]), dbt_target="dev")
    assert ingest_of(targeted).source.environment == "dev"


def test_a_broken_model_is_one_cause_with_all_that_followed():
    keys = [f"model.shop.m{i}" for i in range(41)]
    nodes = {k: node(k, *([keys[i - 1]] if i else [])) for i, k in enumerate(keys)}
    rows = {k: Row(unique_id=k, status="skipped" if i else "error") for i, k in enumerate(keys)}
    ingest = ingest_of(evidence(Manifest(nodes=nodes), rows))
    (cause,) = ingest.causes
    assert cause.dataset == keys[0]
    assert len(cause.consequences) == 40
    assert ingest.scores.by_dataset == {keys[0]: None}


def test_a_skip_that_nothing_explains_is_said_and_blocks():
    ev = project(["skipped"])
    ingest = ingest_of(ev)
    assert ingest.results[0].caused_by == ()
    assert "nothing says why" in ingest.causes[0].title
    assert mapping.verdict([ingest], Gate()).blocks


def test_a_relationships_test_blocks_only_what_reads_both_its_tables():
    """dbt draws the edge from a test to the nodes whose ancestors include all that the test reads."""
    a, b, both, only_a = (f"model.shop.{n}" for n in ("a", "b", "both", "only_a"))
    red = "test.shop.relationships_a_b.1"
    nodes = {
        a: node(a),
        b: node(b),
        both: node(both, a, b),
        only_a: node(only_a, a),
        red: node(red, b, a, test_metadata=TestMetadata(name="relationships"), attached_node=a),
    }
    rows = {
        a: Row(a, "success"),
        b: Row(b, "success"),
        red: Row(red, "fail", failures=2),
        both: Row(both, "skipped"),
        only_a: Row(only_a, "skipped"),
    }
    ingest = ingest_of(evidence(Manifest(nodes=nodes), rows))
    cause = next(c for c in ingest.causes if c.checks == (red,))
    assert cause.consequences == (both,)
    assert any("nothing says why" in c.title for c in ingest.causes)


@pytest.mark.parametrize(
    ("row", "status"),
    [
        (FreshnessRow("s", "pass", max_loaded_at="2026-01-01T00:00:00Z"), "passed"),
        (FreshnessRow("s", "Warn", max_loaded_at="2026-01-01T00:00:00Z"), "warned"),
        (FreshnessRow("s", "Error", max_loaded_at="2026-01-01T00:00:00Z"), "failed"),
        (FreshnessRow("s", "runtime error", error="boom"), "errored"),
        (FreshnessRow("s", "Error"), "errored"),
        (FreshnessRow("s", "brand new"), "unknown"),
    ],
)
def test_freshness_in_all_its_spellings(row, status):
    key = "source.shop.raw.orders"
    source = node(key, source_name="raw", freshness={"warn_after": {"count": 1, "period": "day"}})
    row = msgspec.structs.replace(row, unique_id=key)
    ingest = ingest_of(evidence(Manifest(sources={key: source}), {}, freshness={key: row}))
    assert ingest.results[0].status == status


def test_a_source_that_dbt_left_out_of_sources_json_vanished_unless_dbt_was_green():
    key = "source.shop.raw.orders"
    source = node(key, source_name="raw", freshness={"error_after": {"count": 1, "period": "day"}})
    manifest = Manifest(sources={key: source})
    red = ingest_of(evidence(manifest, {}, freshness={}))
    assert (red.results[0].status, red.results[0].reason) == ("unknown", "vanished")
    assert red.ledger.freshness.vanished == 1
    assert mapping.verdict([red], Gate()).blocks
    green = ingest_of(evidence(manifest, {}, freshness={}, dbt_exit_code=0))
    assert green.results[0].status == "not_run"
    assert ingest_of(evidence(manifest, {}, freshness=None)).results[0].status == "not_run"


def test_a_statically_checked_pass_never_ran():
    ev = project(["pass"])
    key = next(k for k in ev.rows if k.startswith("test."))
    rows = {**ev.rows, key: Row(key, "pass", message="Statically checked")}
    ingest = ingest_of(msgspec.structs.replace(ev, rows=rows))
    assert ingest.results[0].status == "reused"
    assert mapping.verdict([ingest], Gate()).state == "nothing-tested"


def test_dbts_exit_code_that_no_row_explains_is_a_reason_of_its_own():
    ingest = ingest_of(msgspec.structs.replace(project(["pass"]), dbt_exit_code=1))
    verdict = mapping.verdict([ingest], Gate())
    assert [r.code for r in verdict.reasons] == ["dbt-exit-code"]
    assert verdict.blocks


# ------------------------------------------------------------------ who is tested


def names_of(*nodes_: tuple[str, Node]) -> tested.Index:
    keyed = dict(nodes_)
    sources = {k: n for k, n in keyed.items() if k.startswith("source.")}
    return tested.index(Manifest(nodes={k: n for k, n in keyed.items() if k not in sources}, sources=sources))


def test_relationships_is_about_the_model_that_declares_it_in_1x_and_in_2x():
    tested_key, to = "model.shop.orders", "model.shop.customers"
    names = names_of((tested_key, node(tested_key)), (to, node(to)))
    meta = TestMetadata(name="relationships", kwargs={"model": "{{ get_where_subquery(ref('orders')) }}"})
    for parents in ((to, tested_key), (tested_key, to)):
        test = node("test.shop.relationships_x", *parents, test_metadata=meta)
        assert tested.dataset_of(test, names) == tested_key


def test_the_same_model_name_in_two_packages_and_versions():
    ours, theirs = "model.shop.orders", "model.pkg.orders"
    v1, v2 = "model.shop.dim.v1", "model.shop.dim.v2"
    names = names_of(
        (ours, node(ours)),
        (theirs, node(theirs)),
        (v1, msgspec.structs.replace(node("model.shop.dim"), version=1)),
        (v2, msgspec.structs.replace(node("model.shop.dim"), version="2")),
    )

    def about(model: str, *parents: str) -> str | None:
        meta = TestMetadata(name="unique", kwargs={"model": model})
        return tested.dataset_of(node("test.shop.t", *parents, test_metadata=meta), names)

    assert about("{{ get_where_subquery(ref('orders')) }}", ours) == ours
    assert about("ref('pkg', 'orders')", theirs) == theirs
    assert about("ref('pkg', 'orders')") == theirs
    assert about("ref('orders')", ours, theirs) == ours
    assert about("ref('dim', version='2')", v2, v1) == v2
    assert about("ref('dim', v=1)", v1, v2) == v1
    assert about("ref('nowhere')", ours, theirs) is None


def test_a_test_on_a_source_and_one_with_no_single_dataset():
    key, other = "source.shop.raw.orders", "model.shop.m"
    names = names_of((key, node(key, source_name="raw")), (other, node(other)))
    names = msgspec.structs.replace(names, by_source={("raw", "orders"): (key,)})
    meta = TestMetadata(
        name="not_null", kwargs={"model": "{{ get_where_subquery(source('raw', 'orders')) }}"}
    )
    assert tested.dataset_of(node("test.shop.t", key, other, test_metadata=meta), names) == key
    assert tested.dataset_of(node("test.shop.singular", key, other), names) is None
    assert tested.dataset_of(node("test.shop.singular", other), names) == other


@pytest.mark.parametrize(
    ("written", "name"), [('"libellé"', "libellé"), ("`x`", "x"), ("[x]", "x"), ("x", "x"), ('"a"b"', 'a"b')]
)
def test_the_quotes_of_a_warehouse_are_not_the_columns_name(written, name):
    assert tested.column_of(Node(column_name=written)) == name


# ------------------------------------------------------------------ what leaves


@pytest.mark.parametrize(
    "text",
    [
        "Got 4 results, configured to fail if != 0",
        "Got 1 result, configured to warn if >10",
        "Pass",
        "SELECT 5",
        "PARTIAL SUCCESS (3/4)",
        "Skipped due to upstream failure",
    ],
)
def test_dbts_own_words_leave(text):
    assert masking.message(text, send=False) == text


@given(st.text(min_size=1).filter(lambda t: not masking._TEMPLATES.fullmatch(t.strip())))
def test_no_other_message_leaves(text):
    sent = masking.message(text, send=False)
    assert sent == f"<database error, {len(text)} characters withheld>"
    assert masking.message(text, send=True) == text


def test_arguments_keep_names_numbers_and_references_and_count_the_rest():
    sent = masking.arguments(
        {
            "column_name": "id",
            "model": "{{ get_where_subquery(ref('orders')) }}",
            "values": ["placed", "jane@example.com"],
            "to": "ref('customers')",
            "field": "customer_id",
            "combination_of_columns": ["city", "date_utc"],
            "min_value": 3,
            "quote": False,
            "expression": "amount > 3 and name <> 'Jane'",
            "mixed": [1, 2, "x"],
            "nested": {"Jane": 1, "Joe": 2},
        }
    )
    assert sent == {
        "values": {"literals": 2},
        "to": "ref('customers')",
        "field": "customer_id",
        "combination_of_columns": ["city", "date_utc"],
        "min_value": 3,
        "quote": False,
        "expression": {"literals": 1},
        "mixed": {"literals": 1},
        "nested": {"literals": 2},
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text(min_size=1), JSON, max_size=5))
def test_no_literal_of_any_argument_leaves(kwargs):
    literals = [v for v in kwargs.values() if isinstance(v, str) and " " in v and "(" not in v]
    text = json.dumps(masking.arguments(kwargs), ensure_ascii=False)
    for literal in literals:
        if len(literal) > 3:
            assert literal not in text.replace(json.dumps(list(kwargs), ensure_ascii=False), "") or any(
                literal in key for key in kwargs
            )


def test_a_where_clause_is_counted_unless_asked_for():
    key = "test.shop.not_null_orders_c.1"
    model = "model.shop.orders"
    where = "email = 'jane@example.com'"
    manifest = Manifest(nodes={model: node(model), key: generic(key, model, "c", config=Config(where=where))})
    ev = evidence(manifest, {key: Row(key, "pass")})
    assert "jane" not in to_json(ingest_of(ev)).decode()
    assert ingest_of(ev, policy=msgspec.structs.replace(POLICY, send_sql=True)).checks[0].where == where


def test_scopes_have_one_form():
    def scope(**kw):
        return identity.scope(**{"package": "shop", "root": "shop", "source": None, "version": None, **kw})

    assert scope(name="orders") == "orders"
    assert scope(name="dim", version=2) == "dim_v2"
    assert scope(name="orders", source="raw") == "raw__orders"
    assert scope(name="m", package="pkg") == "pkg__m"
    assert scope(name="a.b") == "a_b"


def test_numbers_that_are_none():
    from qalita_action.mapping.status import number

    assert number("3") == 3
    assert number(2.0) == 2
    assert number(2.5) == 2.5
    assert [number(x) for x in (True, math.nan, math.inf, "x", None, [])] == [None] * 6
