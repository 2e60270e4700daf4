"""A run against its base. The oracle below is written from the words of docs/gate.md, not from the code: it
judges each bad check by itself, and knows nothing of tables or ranks.
"""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalita_action import mapping
from qalita_action.mapping.comparing import is_red
from qalita_action.model import Base, DatasetRun
from tests.make_ingest import make_ingest

FILE = Base(origin="file", where="ingest.json")
WORDS = ["passed", "warned", "failed", "errored", "skipped", "reused", "not_run", "unknown"]


def changed(ingest, n, *, check=None, result=None):
    """The document with its n-th check and result altered."""
    checks, results = list(ingest.checks), list(ingest.results)
    checks[n] = msgspec.structs.replace(checks[n], **(check or {}))
    results[n] = msgspec.structs.replace(results[n], check=checks[n].key, **(result or {}))
    return msgspec.structs.replace(ingest, checks=tuple(checks), results=tuple(results))


def without(ingest, n):
    return msgspec.structs.replace(
        ingest,
        checks=ingest.checks[:n] + ingest.checks[n + 1 :],
        results=ingest.results[:n] + ingest.results[n + 1 :],
    )


def with_words(words, failures=None):
    made = make_ingest(len(words), 0, tables=3)
    for n, word in enumerate(words):
        made = changed(made, n, result={"status": word, "failures": (failures or {}).get(n)})
    return made


def compare(before, after):
    return mapping.compare(mapping.past(before, FILE), after)


def novelties(before, after):
    return {key: d.novelty for key, d in compare(before, after).differences.items()}


# ------------------------------------------------------------------ one by one


def test_added_and_failing_is_new():
    before, after = without(make_ingest(5, 1), 0), make_ingest(5, 1)
    (difference,) = compare(before, after).differences.values()
    assert (difference.novelty, difference.definition, difference.status_before) == ("new", "added", None)


def test_removed_is_listed_with_what_it_was():
    before = make_ingest(5, 1)
    told = compare(before, without(before, 0))
    assert [(r.name, r.status_before) for r in told.removed] == [(before.checks[0].name, "failed")]
    assert told.differences == {}, "gone is not fixed"


def test_renamed_and_failing_is_known():
    before = make_ingest(5, 1)
    after = changed(before, 0, check={"key": "test.shop.other_name.1", "name": "other_name"})
    told = compare(before, after)
    (difference,) = told.differences.values()
    assert (difference.key, difference.novelty) == ("test.shop.other_name.1", "known")
    assert difference.definition == "renamed" and told.removed == ()
    assert not is_red(difference, "failed")


def test_renamed_a_passing_test_into_a_failing_one_is_new():
    before = make_ingest(5, 0)
    after = changed(
        before, 0, check={"key": "test.shop.b.1", "name": "b"}, result={"status": "failed", "failures": 1}
    )
    (difference,) = compare(before, after).differences.values()
    assert (difference.novelty, difference.definition) == ("new", "renamed")


def test_fixed_and_not_run_are_told_apart():
    before, after = with_words(["failed", "failed"]), with_words(["passed", "not_run"])
    assert list(novelties(before, after).values()) == ["fixed", "untested"]


def test_the_data_got_worse():
    before, after = with_words(["failed"], {0: 3}), with_words(["failed"], {0: 900})
    (difference,) = compare(before, after).differences.values()
    assert (difference.novelty, difference.is_worse, difference.failures_before) == ("known", True, 3)
    assert (difference.definition, difference.is_model_changed) == ("same", False)
    assert not is_red(difference, "failed"), "this code did not do it"
    (back,) = compare(after, before).differences.values()
    assert not back.is_worse


def test_the_model_changed_and_the_data_got_worse():
    before, after = with_words(["failed"], {0: 3}), with_words(["failed"], {0: 900})
    table = msgspec.structs.replace(after.datasets[0], checksum="another")
    after = msgspec.structs.replace(after, datasets=(table, *after.datasets[1:]))
    (difference,) = [d for d in compare(before, after).differences.values() if d.key.startswith("test.")]
    assert difference.is_worse and difference.is_model_changed
    assert is_red(difference, "failed")


def test_a_model_above_changed():
    before, after = with_words(["failed"], {0: 3}), with_words(["failed"], {0: 900})
    first, second, third = after.datasets
    tested = msgspec.structs.replace(first, depends_on=(second.key,))
    between = msgspec.structs.replace(second, depends_on=(third.key,))
    source = msgspec.structs.replace(third, checksum="another")
    after = msgspec.structs.replace(after, datasets=(tested, between, source))
    (difference,) = compare(before, after).differences.values()
    assert difference.is_worse and difference.is_model_changed


def test_arguments_edited_is_a_changed_definition_and_no_new_test():
    before = with_words(["failed", "passed", "passed"], {0: 3})
    edited = {
        "key": "test.shop.another_hash.2",
        "name": "another_hash",
        "alias": "another",
        "definition_checksum": "another",
    }
    after = changed(before, 0, check=edited)
    told = compare(before, after)
    (difference,) = told.differences.values()
    assert (difference.novelty, difference.definition, told.removed) == ("known", "changed", ())
    assert not is_red(difference, "failed")
    worse = compare(before, changed(after, 0, result={"failures": 4}))
    assert is_red(worse.differences["test.shop.another_hash.2"], "failed"), (
        "the test changed, and it is worse"
    )


def test_a_custom_name_holds_where_several_tests_are_alike():
    before = with_words(["failed"] * 7)  # two tests of one type on one column of one table
    edited = {"key": "test.shop.k.2", "alias": "another", "definition_checksum": "another"}
    told = compare(before, changed(before, 0, check=edited))
    assert told.differences["test.shop.k.2"].definition == "changed" and told.removed == ()
    renamed = compare(before, changed(before, 0, check={**edited, "name": "quite_another"}))
    assert renamed.differences["test.shop.k.2"].novelty == "new", "nothing says that it is the same test"
    assert [r.key for r in renamed.removed] == [before.checks[0].key]


def test_the_same_key_with_other_thresholds_is_a_changed_definition():
    before = make_ingest(5, 1)
    after = changed(before, 0, check={"definition_checksum": "another"})
    (difference,) = compare(before, after).differences.values()
    assert (difference.novelty, difference.definition) == ("known", "changed")


def test_a_base_that_tells_no_definitions_is_matched_by_alias():
    before, after = make_ingest(5, 1), make_ingest(5, 1)
    past = mapping.past(before, FILE)
    bare = msgspec.structs.replace(
        past, checks=tuple(msgspec.structs.replace(c, definition_checksum=None) for c in past.checks)
    )
    (difference,) = mapping.compare(bare, after).differences.values()
    assert difference.definition == "same"
    other = changed(after, 0, check={"alias": "another"})
    (difference,) = mapping.compare(bare, other).differences.values()
    assert difference.definition == "changed"


@pytest.mark.parametrize(
    ("was", "is_", "novelty"),
    [
        (None, "errored", "new"),
        ("passed", "errored", "new"),
        ("errored", "errored", "known"),
        ("partial", "errored", "known"),
        ("skipped", "errored", "new"),
        ("errored", "passed", "fixed"),
        ("errored", "skipped", "untested"),
        ("errored", None, "untested"),
        ("passed", "passed", None),
        ("skipped", "skipped", None),
    ],
)
def test_a_model_that_does_not_build(was, is_, novelty):
    def built(status):
        made = make_ingest(4, 0)
        run = DatasetRun(status=status) if status else None
        first = msgspec.structs.replace(made.datasets[0], run=run)
        return msgspec.structs.replace(made, datasets=(first, *made.datasets[1:]))

    assert list(novelties(built(was), built(is_)).values()) == ([novelty] if novelty else [])


def test_a_base_that_tells_of_no_dataset_lets_no_broken_model_through():
    made = make_ingest(4, 0)
    broken = msgspec.structs.replace(made.datasets[0], run=DatasetRun(status="errored"))
    after = msgspec.structs.replace(made, datasets=(broken, *made.datasets[1:]))
    past = msgspec.structs.replace(mapping.past(made, FILE), datasets=(), has_datasets=False)
    (difference,) = mapping.compare(past, after).differences.values()
    assert (difference.key, difference.novelty) == (broken.key, "new")


def test_since_is_what_the_base_tells():
    before = make_ingest(5, 1, completed_at="2026-03-01T07:15:30Z")
    (difference,) = compare(before, make_ingest(5, 1)).differences.values()
    assert difference.since == "2026-03-01T07:15:30Z"


# ------------------------------------------------------------------ any runs


def oracle(before, after):
    """What the documentation says of one check, by its two words."""
    good = before in ("passed", "reused", "not_run")
    if after in ("passed", "reused", "not_run"):
        if good:
            return None
        return "fixed" if after == "passed" else "untested"
    if after == "failed":
        return "known" if before == "failed" else "new"
    if after == "warned":
        return "known" if before in ("failed", "warned") else "new"
    if before == "skipped":  # it showed nothing
        return "known" if after == "skipped" else "new"
    return "known" if before in ("failed", "errored", "unknown") else "new"


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS)), max_size=30))
def test_every_bad_check_has_one_novelty_and_the_one_that_is_documented(words):
    before, after = with_words([a for a, _ in words]), with_words([b for _, b in words])
    told = novelties(before, after)
    expected = {
        check.key: novelty
        for check, (a, b) in zip(after.checks, words, strict=True)
        if (novelty := oracle(a, b))
    }
    assert told == expected
    bad = {r.check for r in after.results if r.status not in ("passed", "reused", "not_run")}
    assert bad <= told.keys()


@given(st.lists(st.sampled_from(WORDS), max_size=30))
def test_a_run_has_nothing_new_or_fixed_against_itself(words):
    made = with_words(words, dict.fromkeys(range(len(words)), 7))
    told = compare(made, made)
    assert {d.novelty for d in told.differences.values()} <= {"known", "untested"}
    assert {d.key for d in told.differences.values() if d.novelty == "untested"} == set()
    assert not any(d.is_worse for d in told.differences.values()) and told.removed == ()
    assert {d.definition for d in told.differences.values()} <= {"same"}


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30))
def test_what_one_way_is_new_is_fixed_the_other_way(words):
    a = with_words(["failed" if x else "passed" for x, _ in words])
    b = with_words(["failed" if y else "passed" for _, y in words])
    there, back = novelties(a, b), novelties(b, a)
    assert {k for k, v in there.items() if v == "new"} == {k for k, v in back.items() if v == "fixed"}
    assert {k for k, v in there.items() if v == "known"} == {k for k, v in back.items() if v == "known"}


keys = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=8)


@given(keys, keys)
def test_pairs_are_one_to_one_and_the_same_from_either_side(left, right):
    """Any two sets of checks, with twins by alias, by name and by slot among them."""

    def made(shape):
        base = make_ingest(len(shape), len(shape), tables=2)
        for n, (alias, name) in enumerate(shape):
            key = f"test.shop.{alias}.{n}.{len(shape)}"
            base = changed(
                base,
                n,
                check={
                    "key": key,
                    "alias": f"a{alias}",
                    "name": f"n{name}",
                    "definition_checksum": f"a{alias}",
                },
            )
        return base

    a, b = made(left), made(right)
    there, back = compare(a, b), compare(b, a)
    paired = len(b.checks) - sum(d.definition == "added" for d in there.differences.values())
    assert paired == len(a.checks) - len(there.removed)
    assert paired == len(b.checks) - len(back.removed)
