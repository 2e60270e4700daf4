"""docs/compatibility.md says what really comes out, and is held to the fixtures by an independent count."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.artifact_sets import BASE, all_sets, expected_counts, expected_refusal, last_exit_code, name_of

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "compatibility.md"
SHOWN = {"data_test": "tests", "unit_test": "unit tests", "freshness": "freshness"}


@pytest.fixture(scope="module")
def script():
    """scripts/make_compatibility.py, which is no part of the package."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import make_compatibility
    finally:
        sys.path.remove(str(ROOT / "scripts"))
    return make_compatibility


@pytest.fixture(scope="module")
def rows(script):
    return {row.name: row for row in map(script.row, script.sets())}


def test_the_page_is_what_the_script_writes(script):
    """Renew it with `python scripts/make_compatibility.py`."""
    written = PAGE.read_text("utf-8")
    assert script.page(written) == written


def test_every_set_stands_there(rows):
    assert sorted(rows) == sorted(map(name_of, all_sets()))
    table = PAGE.read_text("utf-8").partition("## What came out")[2]
    assert table.count("\n| `") == len(rows)


def test_each_row_says_what_an_independent_count_says(rows):
    for folder in all_sets():
        row = rows[name_of(folder)]
        assert row.dbt_exit == last_exit_code(folder)
        assert row.came_out.startswith("refused") == expected_refusal(folder), row
        if row.came_out.startswith("refused"):
            assert row.exit == 3
            continue
        for kind, counter in expected_counts(folder).items():
            wanted = +Counter({status.replace("_", " "): n for status, n in counter.items()})
            assert counts_of(row.came_out, SHOWN[kind]) == wanted, (row.name, kind)


def counts_of(text: str, kind: str) -> Counter:
    """`…; tests: 3 passed, 1 failed; …` -> {passed: 3, failed: 1}."""
    part = re.search(rf"; {kind}: ([^;]*)", text)
    pairs = re.findall(r"(\d+) ([a-z ]+)", part[1]) if part else []
    return Counter({word: int(number) for number, word in pairs})


def test_no_run_that_was_red_to_dbt_is_green_here(rows):
    assert [r.name for r in rows.values() if r.dbt_exit and not (r.exit and r.told_exit)] == []


def test_commands_that_run_no_tests_passed_none(rows):
    nothing = (
        "compile",
        "docs_generate",
        "list",
        "build_empty",
        "build_empty_green",
        "seed",
        "snapshot",
        "run",
    )
    found = [r for r in rows.values() if r.name.rpartition("/")[2] in nothing]
    assert len(found) > 25
    for row in found:
        assert counts_of(row.came_out, "tests")["passed"] == 0, row
        assert counts_of(row.came_out, "unit tests")["passed"] == 0, row


def test_every_promised_version_is_there(rows):
    versions = {r.version for r in rows.values()}
    assert {"1.3", "1.5", "1.7", "1.8", "1.9", "1.10", "1.11"} <= versions
    assert any(v.startswith("2.0") for v in versions)


def test_the_links_of_refusals_lead_somewhere(rows):
    errors = (ROOT / "docs" / "errors.md").read_text("utf-8")
    codes = {c for r in rows.values() for c in re.findall(r"errors\.md#([a-z-]+)", r.came_out)}
    assert codes
    for code in codes:
        assert re.search(rf'(?:id="{code}"|^#+ .*`?{code}`?\s*$)', errors, re.MULTILINE), code


def test_the_words_around_the_table_are_kept(script):
    written = script.page(f"before\n{script.BEGIN}old\n{script.END}after\n")
    assert written.startswith("before\n")
    assert written.endswith("after\n")
    assert "\nold\n" not in written
    with pytest.raises(SystemExit):
        script.page("no marks")


def test_fixtures_are_where_the_script_looks(script):
    assert script.FIXTURES == BASE
