"""`accept` and the allowlist as a file, through the real command, over artifacts of real dbt."""

from __future__ import annotations

import json
import shutil
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml

from tests.command import run

SAMPLE = Path(__file__).parents[1] / "examples" / "airquality" / "sample-target"
OFFLINE = ("--publish", "never")
FILE = Path(".qalita", "allow-failures.yml")
RED = {"no_reading_twice", "unit_is_known", "value_is_not_negative", "assert_no_station_is_silent"}


@pytest.fixture
def project(tmp_path) -> Path:
    shutil.copytree(SAMPLE, tmp_path / "target")
    return tmp_path


def entries(project):
    return yaml.safe_load((project / FILE).read_text())


def heal(project, name):
    path = project / "target" / "run_results.json"
    content = json.loads(path.read_text())
    for row in content["results"]:
        if f".{name}" in row["unique_id"]:
            row["status"], row["failures"] = "pass", 0
    path.write_text(json.dumps(content))


def in_days(n: int) -> date:
    return datetime.now(timezone.utc).date() + timedelta(days=n)


def test_a_team_with_red_tests_begins_in_one_commit(project):
    assert run("dbt", "target", *OFFLINE, cwd=project).returncode == 1
    process = run("accept", "target", "--reason", "known: when # we began", "--expires", "30d", cwd=project)
    assert process.returncode == 0, process.stderr
    assert "4 added" in process.stdout
    found = entries(project)
    assert {e["check"].split(".")[2] for e in found} == RED
    assert all(in_days(29) <= e["expires"] <= in_days(30) for e in found)
    assert {e["reason"] for e in found} == {"known: when # we began"}
    assert all(e["owner"] for e in found), "the owner of the check"
    green = run("dbt", "target", *OFFLINE, cwd=project)
    assert green.returncode == 0
    assert "4 failures set aside, and 5 skipped because of them: the allowlist names them" in green.stdout
    assert green.stdout.startswith("✗") and "4 of 51 checks failed" in green.stdout
    assert run("accept", "target", cwd=project).stdout.startswith(f"{FILE.as_posix()}: 0 added, 4 were there")


def test_what_people_wrote_stays_byte_for_byte(project):
    (project / FILE).parent.mkdir()
    written = (
        "# reviewed by the data team\n"
        "- check:   unit_is_known   # ask Ana first\n"
        '  reason: "a µg is a µg"\n'
        "  owner: ana@example.com\n"
        "  expires: 2999-12-31\n"
        "\n"
        "# the end, without a line feed"
    )
    (project / FILE).write_text(written)
    process = run("accept", "target", "--owner", "bob@example.com", cwd=project)
    assert process.returncode == 0, process.stderr
    text = (project / FILE).read_text()
    assert text.startswith(written + "\n- check: ")
    found = entries(project)
    assert found[0] == {
        "check": "unit_is_known", "reason": "a µg is a µg", "owner": "ana@example.com",
        "expires": date(2999, 12, 31),
    }  # fmt: skip
    assert len(found) == 4, "the one that a name allows is not written again"
    assert {e["owner"] for e in found[1:]} == {"bob@example.com"}


def test_an_indented_list_goes_on_as_it_began(project):
    (project / FILE).parent.mkdir()
    (project / FILE).write_text("  - selector: tag:no_such\n    expires: 2999-12-31\n")
    process = run("accept", "target", cwd=project)
    assert process.returncode == 0, process.stderr
    assert len(entries(project)) == 5
    assert "tag:no_such until 2999-12-31: matches nothing" in process.stdout


def test_a_list_that_nothing_can_be_appended_to_is_left_alone(project):
    (project / FILE).parent.mkdir()
    written = "[{check: unit_is_known, expires: 2999-12-31}]\n"
    (project / FILE).write_text(written)
    process = run("accept", "target", cwd=project)
    assert process.returncode == 2 and "[allowances-unreadable]" in process.stderr
    assert (project / FILE).read_text() == written


def test_what_passes_again_can_go_and_what_is_over_blocks(project):
    run("accept", "target", cwd=project)
    text = (project / FILE).read_text()
    heal(project, "unit_is_known")
    process = run("dbt", "target", *OFFLINE, cwd=project)
    assert process.returncode == 0
    assert "unit_is_known" in process.stdout and "passes again, the entry can go" in process.stdout
    assert "passes again" in run("accept", "target", cwd=project).stdout
    lines = text.splitlines()
    at = next(n for n, line in enumerate(lines) if "value_is_not_negative" in line)
    over = next(n for n in range(at, len(lines)) if "expires" in lines[n])
    lines[over] = "  expires: 2020-01-01"
    (project / FILE).write_text("\n".join(lines) + "\n")
    red = run("dbt", "target", *OFFLINE, cwd=project)
    assert red.returncode == 1
    assert "value_is_not_negative: failed; it was allowed until 2020-01-01" in red.stdout
    again = run("accept", "target", cwd=project)
    assert "0 added" in again.stdout and "still blocks: value_is_not_negative" in again.stdout


def test_another_place(project):
    process = run("accept", "target", "--allow-failures", "ci/allowed.yml", cwd=project)
    assert process.returncode == 0 and (project / "ci/allowed.yml").exists()
    assert run("dbt", "target", *OFFLINE, cwd=project).returncode == 1
    named = ("--allow-failures", "ci/allowed.yml")
    assert run("dbt", "target", *OFFLINE, *named, cwd=project).returncode == 0


@pytest.mark.parametrize("expires", ["soon", "0", "90", "-1d", "2020-01-01", "99999999d"])
def test_a_day_that_is_none_is_refused(project, expires):
    process = run("accept", "target", f"--expires={expires}", cwd=project)
    assert process.returncode == 2 and "[setting-invalid]" in process.stderr
    assert not (project / FILE).exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("- check: a\n", "says nothing of when it expires"),
        ("- {check: a, selector: b, expires: 2030-01-01}\n", "one of the two"),
        ("- {expires: 2030-01-01}\n", "one of the two"),
        ("- {check: a, expires: someday}\n", "is no day"),
        ("- {check: a, expires: 2030-01-01, until: never}\n", "until: no key of an entry"),
        ("- just text\n", "it is no mapping"),
        ("check: a\n", "a list is expected"),
        ("- [\n", ""),
    ],
)
def test_an_allowlist_that_is_wrong_is_told_and_nothing_runs(project, content, said):
    (project / FILE).parent.mkdir()
    (project / FILE).write_text("- {check: fine, expires: 2030-01-01}\n" * content.startswith("-") + content)
    process = run("dbt", "target", *OFFLINE, cwd=project)
    assert process.returncode == 2
    assert "[allowances-unreadable]" in process.stderr and said in process.stderr


def test_a_named_allowlist_that_is_not_there_is_told(project):
    process = run("dbt", "target", *OFFLINE, "--allow-failures", "nowhere.yml", cwd=project)
    assert process.returncode == 2 and "nowhere.yml" in process.stderr


@pytest.mark.parametrize(("said", "exit_code"), [("0.9", 2), ("101", 2), ("x", 2), ("81", 0), ("90 %", 1)])
def test_a_least_score(project, said, exit_code):
    run("accept", "target", cwd=project)
    process = run("dbt", "target", *OFFLINE, "--min-score", said, cwd=project)
    assert process.returncode == exit_code, process.stdout + process.stderr
    if exit_code == 1:
        assert "the score 81.25 % is below --min-score 90; worst:" in process.stdout
