"""The gate over documents as values: fail-on, scores, the allowlist and its days, the base. The rules are those
of docs/gate.md, worked out by hand."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from qalita_action import mapping
from qalita_action.model import Allowance, Base, Comparison, DatasetRun, Gate
from tests.make_ingest import make_ingest
from tests.test_comparing import FILE, changed, with_words

TODAY = date(2026, 3, 10)


def gate(ingest, base=None, **said):
    """base: a document, or a Comparison that tells why there is none."""
    comparisons = {}
    if base is not None:
        told = base if isinstance(base, Comparison) else mapping.compare(mapping.past(base, FILE), ingest)
        comparisons = {ingest.run.key: told}
    return mapping.verdict([ingest], Gate(today=TODAY, comparisons=comparisons, **said))


def allow(ingest, n=0, expires="2026-04-30", **more):
    return Allowance(check=ingest.checks[n].key, expires=expires, **more)


def red(words=("failed", "passed"), **more):
    return with_words(list(words), **more)


# ------------------------------------------------------------------ fail-on × base

NONE = Comparison(state="none", reason="nobody ran yet")
UNREADABLE = Comparison(state="unreadable", reason="the platform is down")


@pytest.mark.parametrize(
    ("base", "fail", "warn", "new", "never"),
    [
        (red(["passed", "passed"]), True, True, True, False),
        (red(["failed", "passed"]), True, True, False, False),
        (red(["warned", "passed"]), True, True, True, False),
        (red(["errored", "passed"]), True, True, True, False),
        (red(["not_run", "passed"]), True, True, True, False),
        (NONE, True, True, False, False),
        (UNREADABLE, True, True, True, False),
        (None, True, True, True, False),
    ],
    ids=["good", "failed", "warned", "errored", "not-run", "none", "unreadable", "not-asked"],
)
def test_fail_on(base, fail, warn, new, never):
    for fail_on, blocks in {"fail": fail, "warn": warn, "new": new, "never": never}.items():
        verdict = gate(red(), base, fail_on=fail_on)
        assert verdict.blocks is blocks, fail_on
        assert verdict.state == "failed", "what is set aside is never shown as passed"
        assert len(verdict.reasons) + len(verdict.excused) == 1


def test_a_good_run_passes_whatever_the_base():
    for base in (red(["failed", "failed"]), NONE, UNREADABLE, None):
        verdict = gate(red(["passed", "passed"]), base, fail_on="new")
        assert (verdict.state, verdict.blocks, verdict.excused) == ("passed", False, ())


def test_a_new_failure_among_known_ones_is_the_one_that_is_named():
    verdict = gate(red(["failed", "failed"]), red(["failed", "passed"]), fail_on="new")
    assert [r.subject for r in verdict.reasons] == [red().checks[1].key]
    assert [(r.subject, r.excuse) for r in verdict.excused] == [(red().checks[0].key, "known")]


def test_a_warning_is_nothing_to_new():
    assert not gate(red(["warned"]), red(["passed"]), fail_on="new").blocks


def test_renaming_a_red_test_does_not_make_it_green_or_new():
    before = red()
    after = changed(before, 0, check={"key": "test.shop.b.1", "name": "b"})
    verdict = gate(after, before, fail_on="new")
    assert (verdict.state, verdict.blocks) == ("failed", False)
    assert gate(after, red(["passed", "passed"]), fail_on="new").blocks


def test_what_the_code_made_worse_blocks_and_what_the_data_made_worse_does_not():
    before, after = red(failures={0: 3}), red(failures={0: 900})
    assert not gate(after, before, fail_on="new").blocks
    edited = changed(after, 0, check={"definition_checksum": "another"})
    verdict = gate(edited, before, fail_on="new")
    assert verdict.blocks and "worse than in the base" in verdict.reasons[0].text


def test_skipped_because_of_what_is_known_is_known():
    before = make_ingest(6, 1)
    after = make_ingest(6, 1, skipped=2)
    assert not gate(after, before, fail_on="new").blocks
    new_cause = make_ingest(6, 2, skipped=2)
    results = [
        msgspec.structs.replace(r, caused_by=(new_cause.checks[1].key,)) if r.status == "skipped" else r
        for r in new_cause.results
    ]
    verdict = gate(msgspec.structs.replace(new_cause, results=tuple(results)), before, fail_on="new")
    assert len(verdict.reasons) == 3, "the new failure, and the two that it skipped"


def test_fail_fast_is_never_set_aside():
    before, after = make_ingest(6, 1), make_ingest(6, 1, skipped=4)
    results = [
        msgspec.structs.replace(r, reason="fail_fast") if r.status == "skipped" else r for r in after.results
    ]
    after = msgspec.structs.replace(after, results=tuple(results))
    assert gate(after, before, fail_on="new").blocks
    assert gate(after, allowances=(allow(after),)).blocks


def test_a_run_that_did_not_finish_is_not_good_because_its_failures_are_known():
    before, after = make_ingest(6, 1), make_ingest(6, 1, extent="partial")
    verdict = gate(after, before, fail_on="new")
    assert [r.code for r in verdict.reasons] == ["unfinished"] and verdict.blocks
    assert gate(after, allowances=(allow(after),)).blocks


@pytest.mark.parametrize("base", [make_ingest(4, 0), NONE], ids=["base", "none"])
def test_an_exit_code_that_nothing_explains_blocks_under_new(base):
    made = make_ingest(4, 0)
    after = msgspec.structs.replace(made, run=msgspec.structs.replace(made.run, dbt_exit_code=1))
    verdict = gate(after, base, fail_on="new")
    assert [r.code for r in verdict.reasons] == ["dbt-exit-code"] and verdict.blocks


def test_a_model_that_never_built_is_known_and_a_new_one_is_not():
    made = make_ingest(4, 0)
    broken = msgspec.structs.replace(made.datasets[0], run=DatasetRun(status="errored"))
    after = msgspec.structs.replace(made, datasets=(broken, *made.datasets[1:]))
    assert gate(after, made, fail_on="new").blocks
    assert not gate(after, after, fail_on="new").blocks
    assert not gate(after, allowances=(Allowance(check=broken.name, expires="2026-04-30"),)).blocks


def test_what_must_run_is_excused_by_nothing():
    made = with_words(["not_run", "passed"])
    name = made.checks[0].name
    entry = Allowance(check=name, expires="2026-04-30")
    assert gate(made, made, fail_on="new", require_run=(name,), allowances=(entry,)).blocks
    assert gate(made, made, fail_on="new", require_run=("tag:nowhere",)).blocks


# ------------------------------------------------------------------ the allowlist × its days


@pytest.mark.parametrize(
    ("expires", "blocks", "said"),
    [
        ("2026-04-30", False, ""),
        ("2026-03-25", False, ""),
        ("2026-03-24", False, "expires in 14 days"),
        ("2026-03-11", False, "expires in 1 day"),
        ("2026-03-10", False, "expires today"),
        ("2026-03-09", True, "expired"),
        ("2025-01-01", True, "expired"),
    ],
)
@pytest.mark.parametrize("by", ["key", "name", "selector"])
def test_an_entry_holds_to_the_end_of_its_day(expires, blocks, said, by):
    made = red()
    check = made.checks[0]
    entry = {
        "key": Allowance(check=check.key, expires=expires, reason="a bug", owner="ana@example.com"),
        "name": Allowance(check=check.name, expires=expires, reason="a bug", owner="ana@example.com"),
        "selector": Allowance(selector=check.name, expires=expires, reason="a bug", owner="ana@example.com"),
    }[by]
    verdict = gate(made, allowances=(entry,))
    assert verdict.blocks is blocks and verdict.state == "failed"
    assert [said in n for n in verdict.notices] == ([True] if said else [])
    told = verdict.reasons if blocks else verdict.excused
    text = told[0].text if blocks else told[0].by
    assert f"until {expires}: a bug (ana@example.com)" in text


def test_an_entry_lets_nothing_else_through():
    made = red(["failed", "failed"])
    verdict = gate(made, allowances=(allow(made),))
    assert [r.subject for r in verdict.reasons] == [made.checks[1].key]


def test_entries_that_can_go_are_told():
    made = red(["passed", "failed"])
    entries = (allow(made), Allowance(check="no_such_check", expires="2026-04-30"), allow(made, 1))
    notices = gate(made, allowances=entries).notices
    assert len(notices) == 2
    assert "passes again, the entry can go" in notices[0] and made.checks[0].key in notices[0]
    assert "no_such_check" in notices[1] and "matches nothing" in notices[1]


@pytest.mark.parametrize("word", ["not_run", "skipped", "reused", "warned"])
def test_what_did_not_pass_is_not_said_to_pass_again(word):
    made = red([word, "passed"])
    assert not any("passes again" in n for n in gate(made, allowances=(allow(made),)).notices)


def test_a_second_entry_for_a_later_day_counts():
    made = red()
    entries = (allow(made, expires="2026-03-01"), allow(made, expires="2026-06-01"))
    assert not gate(made, allowances=entries).blocks


# ------------------------------------------------------------------ scores


def scored(score, verdict="executed"):
    made = with_words(["passed", "passed"])
    return msgspec.structs.replace(
        made,
        scores=msgspec.structs.replace(made.scores, overall=score),
        run=msgspec.structs.replace(made.run, verdict=verdict),
    )


@pytest.mark.parametrize(
    ("score", "least", "blocks"),
    [
        (0.9, "90", False),
        (0.899999, "90", True),
        (0.905, "90.5", False),
        (1.0, "100", False),
        (0.999999, "100", True),
        (0.0, "0", False),
        (None, "0", True),
        (None, "90", True),
    ],
)
def test_min_score(score, least, blocks):
    verdict = gate(scored(score), min_score=least)
    assert verdict.blocks is blocks
    assert not gate(scored(score), min_score=least, fail_on="never").blocks


def test_a_run_that_selected_nothing_has_no_score_to_hold():
    assert not gate(scored(None, "nothing_selected"), min_score="90").blocks


@pytest.mark.parametrize(
    ("before", "after", "most", "blocks"),
    [
        (0.95, 0.93, "2", False),
        (0.95, 0.929999, "2", True),
        (0.93, 0.95, "0", False),
        (0.95, 0.949999, "0", True),
        (0.95, None, "2", True),
        (None, 0.5, "2", False),
        (None, None, "2", False),
    ],
)
def test_max_score_drop(before, after, most, blocks):
    assert gate(scored(after), scored(before), max_score_drop=most).blocks is blocks


@pytest.mark.parametrize(("base", "blocks"), [(NONE, False), (UNREADABLE, True)])
def test_a_drop_without_a_base(base, blocks):
    assert gate(scored(0.5), base, max_score_drop="2").blocks is blocks


def test_a_low_score_is_allowed_by_nobody():
    made = make_ingest(2, 1)
    verdict = gate(made, made, fail_on="new", min_score="90", allowances=(allow(made),))
    assert [r.code for r in verdict.reasons] == ["min-score"]
    assert made.causes[0].title in verdict.reasons[0].text


def test_the_base_is_named():
    told = mapping.compare(mapping.past(red(), Base(origin="state", where="state/run_results.json")), red())
    assert (told.base.origin, told.base.run_key) == ("state", red().run.key)
