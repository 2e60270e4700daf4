"""JUnit, Code Quality, GitLab's links and variables: read as their readers read them, and within their limits."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET

import jsonschema
import msgspec
import pytest
import report_samples as samples
from dotenv import dotenv_values
from junitparser import JUnitXml
from test_report_hostile import TEXTS, ids, view_of

from qalita_action.knobs import KNOBS
from qalita_action.model import Hint, Reason, Result
from qalita_action.report.build import build
from qalita_action.report.gitlab import DOTENV_BYTES, code_quality, dotenv, job_links
from qalita_action.report.junit import junit
from qalita_action.settings import ENV_NAMES


def view(document, verdict=None, **more):
    return build([document], verdict or samples.gate(document), **{"every": True, **more})


def cases(content: bytes) -> dict[tuple[str, str], ET.Element]:
    """By class and name, as GitLab tells them apart: of two with one name it shows the first alone."""
    found = ET.fromstring(content).findall("testsuite/testcase")
    named = {(case.attrib["classname"], case.attrib["name"]): case for case in found}
    assert len(named) == len(found)
    return named


# ---------------------------------------------------------------- JUnit


def test_a_failed_check_says_what_to_type():
    case = cases(junit(view(samples.failing())))[
        "opendata_dbt.stg_airquality", "not_null_stg_airquality_city"
    ]
    (failure,) = case
    assert (failure.tag, failure.attrib["message"]) == ("failure", "failed, 4 rows")
    assert "next: dbt test --select not_null_stg_airquality_city --store-failures" in failure.text


def test_every_status_has_its_element():
    counted = {}
    for name in ("failing", "broken_model", "selected", "nothing_tested"):
        document = getattr(samples, name)()
        by_status = {}
        for case, result in ((c, r) for c in document.checks for r in document.results if r.check == c.key):
            element = next(e for (_, n), e in cases(junit(view(document))).items() if n == case.name)
            by_status.setdefault(result.status, set()).add(tuple(child.tag for child in element))
        for status, found in by_status.items():
            counted.setdefault(status, set()).update(found)
    assert counted == {
        "passed": {()},
        "failed": {("failure",)},
        "errored": {("error",)},
        "warned": {("system-out",)},
        "skipped": {("skipped",)},
        "not_run": {("skipped",)},
    }


def test_a_model_that_did_not_build_is_an_error_though_no_test_says_so():
    case = cases(junit(view(samples.broken_model())))["opendata_dbt.orders", "model orders"]
    assert case[0].tag == "error"
    assert "raw_orders does not exist" in case[0].text


def test_a_warned_check_that_blocks_is_a_failure():
    document = samples.failing()
    warned = next(r.check for r in document.results if r.status == "warned")
    name = next(c.name for c in document.checks if c.key == warned)
    verdict = samples.verdict("failed", reasons=[Reason(code="check-warned", subject=warned, text="x")])
    case = next(e for (_, n), e in cases(junit(view(document, verdict))).items() if n == name)
    assert case[0].tag == "failure"


@pytest.mark.parametrize(("blocks", "tag"), [(True, "failure"), (False, "skipped")])
def test_a_run_in_which_nothing_was_tested_is_never_only_green(blocks, tag):
    found = cases(junit(view(samples.nothing_tested(), samples.verdict("nothing-tested", blocks=blocks))))
    assert found["dbt run.verdict", "the quality gate"][0].tag == tag


def test_a_gate_that_says_no_for_the_run_alone_is_a_failure():
    verdict = samples.verdict(
        "failed", reasons=[Reason(code="score", subject=None, text="score below 99.9 %")]
    )
    found = cases(junit(view(samples.passing(), verdict)))
    assert "score below 99.9 %" in found["dbt run.verdict", "the quality gate"][0].text


def test_a_good_run_holds_its_checks_and_nothing_else():
    document = samples.passing()
    assert {name for _, name in cases(junit(view(document)))} == {c.name for c in document.checks}


def test_checks_of_one_name_are_told_apart():
    table = samples.dataset("a")
    one = samples.check("same", dataset=table.key)
    two = one.__class__(**{**{f: getattr(one, f) for f in one.__struct_fields__}, "key": one.key + ".2"})
    results = [Result(check=one.key, status="failed", failures=1), Result(check=two.key, status="passed")]
    found = cases(junit(view(samples.ingest([table], [one, two], results, []))))
    assert sorted(len(case) for case in found.values()) == [0, 1]


def test_the_file_of_a_case_is_written_for_gitlab_alone():
    assert b" file=" not in junit(view(samples.failing()))
    assert b' file="models/schema.yml"' in junit(view(samples.failing()), with_files=True)


def test_hints_stand_beside_the_check():
    document = samples.failing()
    key = next(r.check for r in document.results if r.status == "failed")
    hints = {
        document.run.key: {key: Hint(compiled="target/compiled/x.sql", stored='"db"."dbt_test__audit"."x"')}
    }
    content = junit(view(document, hints=hints)).decode()
    assert "compiled SQL: target/compiled/x.sql" in content
    assert "select * from &quot;db&quot;.&quot;dbt_test__audit&quot;.&quot;x&quot; limit 100" in content


@pytest.mark.parametrize("text", TEXTS, ids=ids)
def test_hostile_text_in_junit(text):
    content = junit(view_of(text), with_files=True)
    assert not re.search(rb"[\x00-\x08\x0b-\x1f]", content)
    found = cases(content)
    assert sorted({e.tag for e in ET.fromstring(content).iter()}) == [
        "error", "failure", "skipped", "testcase", "testsuite", "testsuites",
    ]  # fmt: skip
    suites = list(JUnitXml.fromstring(content))
    assert sum(len(list(suite)) for suite in suites) == len(found) == 3


# ---------------------------------------------------------------- Code Quality

# docs.gitlab.com/ci/testing/code_quality: what a report must hold
QUALITY = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": r"^(?!/|\./|\.\./).+"},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
        "additionalProperties": False,
    },
}


def findings(view) -> list[dict]:
    found = json.loads(code_quality(view))
    jsonschema.validate(found, QUALITY)
    assert len({entry["fingerprint"] for entry in found}) == len(found)
    return found


def test_findings_are_what_is_bad_and_nothing_else():
    document = samples.failing()
    names = {c.key: c.name for c in document.checks}
    bad = {names[r.check] for r in document.results if r.status in {"failed", "errored", "warned"}}
    found = findings(view(document))
    assert {entry["description"].split(":")[0] for entry in found} == bad
    assert {entry["severity"] for entry in found} == {"major", "minor"}
    assert findings(view(samples.passing())) == []
    assert findings(view(samples.broken_model()))[0]["severity"] == "critical"


def test_a_fingerprint_survives_another_line_count_and_environment():
    table = samples.dataset("a")

    def marks(line: int, failures: int, environment: str) -> set[str]:
        check = samples.check("not_null_a", dataset=table.key, line=line)
        result = Result(check=check.key, status="failed", failures=failures)
        document = samples.ingest([table], [check], [result], [], environment=environment)
        return {entry["fingerprint"] for entry in findings(view(document))}

    assert marks(3, 10, "ci") == marks(99, 20, "prod")


def test_two_projects_of_one_name_keep_their_findings():
    document = samples.failing()
    found = findings(build([document, document], samples.gate(document)))
    assert len(found) == 2 * len(findings(view(document)))


@pytest.mark.parametrize("text", TEXTS, ids=ids)
def test_hostile_text_in_code_quality(text):
    assert len(findings(view_of(text))) == 2


# ---------------------------------------------------------------- links, variables


def on_gitlab():
    document = samples.failing()
    run, address = document.run, "https://gitlab.example.com/acme/dbt"
    ci = msgspec.structs.replace(run.ci, provider="gitlab", job_url=f"{address}/-/jobs/77")
    git = msgspec.structs.replace(run.git, repository_url=address)
    return msgspec.structs.replace(document, run=msgspec.structs.replace(run, ci=ci, git=git))


def test_links_lead_to_the_run_the_report_and_the_files():
    document = on_gitlab()
    links = json.loads(
        job_links(build([document], samples.gate(document), [samples.receipt(document)]), "out/report.html")
    )
    urls = [entry["external_link"]["url"] for entry in links["dbt checks"]]
    assert urls[0] == "https://qalita.example.com/runs/0123"
    assert urls[1] == "https://gitlab.example.com/acme/dbt/-/jobs/77/artifacts/file/out/report.html"
    assert all(re.match(r"https://gitlab\.example\.com/acme/dbt/-/blob/", url) for url in urls[2:])
    assert len(urls) > 2


@pytest.mark.parametrize("text", TEXTS, ids=ids)
def test_hostile_text_is_no_link(text):
    assert json.loads(job_links(view_of(text), "report.html")) == {"dbt checks": []}


def told(**more: str) -> dict[str, str]:
    values = {
        "verdict": "failed",
        "score": "81.2",
        "not-run": "0",
        "platform-url": "https://q.example.com/r/1?x=2",
    }
    return values | more


def gitlab_variables(content: bytes) -> dict[str, str]:
    """A dotenv report as GitLab takes it: no blank line, no comment, no quote, at most 20, at most 5 KB."""
    assert len(content) <= 5 * 1024
    found = {}
    for line in content.decode("ascii").splitlines():
        key, separator, value = line.partition("=")
        assert separator and re.fullmatch(r"[A-Za-z0-9_]+", key) and value
        assert not set(value) & set("\"'`$\\ #;&|<>") - {"&"}
        found[key] = value
    assert len(found) <= 20
    return found


def test_variables_are_read_as_they_were_meant():
    content = dotenv(told())
    assert gitlab_variables(content) == {
        "QALITA_RESULT_VERDICT": "failed",
        "QALITA_RESULT_SCORE": "81.2",
        "QALITA_RESULT_NOT_RUN": "0",
        "QALITA_RESULT_PLATFORM_URL": "https://q.example.com/r/1?x=2",
    }
    assert dict(dotenv_values(stream=io.StringIO(content.decode()))) == gitlab_variables(content)


@pytest.mark.parametrize(
    "text", [t for t in TEXTS if not re.fullmatch(r"[\w.,:/+%~?&=@-]{1,1000}", t, re.ASCII)], ids=ids
)
def test_a_value_that_is_not_plain_is_no_variable(text):
    assert gitlab_variables(dotenv(told(spool=text))) == gitlab_variables(dotenv(told()))


def test_variables_fit_whatever_they_hold():
    many = {f"key-{n}": "x" * 40 * n for n in range(1, 25)}
    found = gitlab_variables(dotenv(told(**many)))
    assert found["QALITA_RESULT_VERDICT"] == "failed"
    assert len(dotenv(told(**many))) <= DOTENV_BYTES


def test_no_variable_is_a_setting_of_a_later_job():
    settings = {name for names in ENV_NAMES.values() for name in names} | {
        f"QALITA_{k.upper()}" for k in KNOBS
    }
    assert not [name for name in settings if name.startswith("QALITA_RESULT_")]


# ---------------------------------------------------------------- limits


@pytest.fixture(scope="module")
def large():
    document = samples.large()
    return build([document], samples.gate(document), every=True)


@pytest.mark.parametrize("limit", [20_000_000, 1_000_000, 100_000])
def test_junit_keeps_the_worst_and_counts_the_rest(large, limit):
    content = junit(large, limit=limit)
    assert len(content) <= limit
    root = ET.fromstring(content)
    found = list(root.iter("testcase"))
    more = [text for text in (e.text for e in root.iter("system-out")) if text.endswith("in the report")]
    rest = int(re.sub(r"\D", "", more[0])) if more else 0
    assert len(found) + rest == 30_000
    assert bool(rest) == (limit < 20_000_000)
    assert {case.attrib["name"] for case in found} >= {
        f"not_null_model_{n % 1000:04}_column_{n}_größe" for n in range(4999, 4899, -1)
    }


@pytest.mark.parametrize("limit", [5_000_000, 100_000])
def test_findings_are_cut_from_the_end_and_counted(large, limit):
    content = code_quality(large, limit)
    assert len(content) <= limit
    found = json.loads(content)
    assert "column_4999" in found[0]["description"]
    if len(found) < 5000:
        assert found[-1]["description"] == f"{5000 - len(found) + 1:,} more findings in the report"
