"""The report as a whole: golden files of every dialect, the verdict that never looks better than it is, limits."""

from __future__ import annotations

import json
from datetime import date
from decimal import ROUND_FLOOR, Decimal

import msgspec
import pytest
import report_samples as samples
from hypothesis import given, settings
from hypothesis import strategies as st

from qalita_action import mapping, report
from qalita_action.model import (
    Allowance,
    Comparison,
    Difference,
    Gate,
    Ingest,
    LedgerRow,
    Reason,
    ReportOptions,
    Result,
)
from qalita_action.report import places, words
from qalita_action.report.build import build
from qalita_action.report.console import columns, console, cut_middle
from qalita_action.report.github import annotate, outputs
from qalita_action.report.github_summary import summary
from qalita_action.report.html import html

failing, broken = samples.failing(), samples.broken_model()
CASES = {
    "failing": ([failing], samples.gate(failing), [samples.receipt(failing)]),
    "passing": (
        [samples.passing()],
        samples.verdict("passed"),
        [samples.receipt(samples.passing(), "already-recorded", url="https://qalita.example.com/runs/f")],
    ),
    "broken": (
        [broken],
        samples.gate(broken),
        [samples.receipt(broken, "not-delivered", **samples.NOT_DELIVERED)],
    ),
    "selected": (
        [samples.selected()],
        samples.verdict("passed"),
        [samples.receipt(samples.selected(), "skipped", reason="a change run publishes nothing here")],
    ),
    "nothing": ([samples.nothing_tested()], samples.verdict("nothing-tested", blocks=True), []),
    "monorepo": (
        [failing, samples.passing()],
        samples.gate(failing),
        [samples.receipt(failing, rejected=samples.REJECTED), samples.receipt(samples.passing())],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_console_is_as_agreed(case):
    samples.golden(f"{case}.txt", console(build(*CASES[case]), written="qalita-report/report.html").encode())


@pytest.mark.parametrize("case", CASES)
def test_job_summary_is_as_agreed(case):
    samples.golden(f"{case}.md", summary(build(*CASES[case])).encode())


@pytest.mark.parametrize("case", ["failing", "monorepo"])
def test_page_is_as_agreed(case):
    samples.golden(f"{case}.html", html(build(*CASES[case])))


@pytest.mark.parametrize("case", ["failing", "broken"])
def test_annotations_are_as_agreed(case):
    samples.golden(f"{case}.annotations.txt", "\n".join(annotate(build(*CASES[case]))).encode())


# ---------------------------------------------------------------- a false green


def dialects(ingests, verdict):
    view = build(ingests, verdict)
    return console(view, color=True), summary(view), html(view).decode()


def looks_green(ingests, verdict) -> list[bool]:
    text, markdown, page = dialects(ingests, verdict)
    first = text.splitlines()[0]
    return [
        "✓" in first or "\x1b[1;32m" in first,
        markdown.startswith("## ✅"),
        page.split('class="verdict ')[1].startswith("good"),
    ]


def with_status(status: str, **more) -> Ingest:
    document = samples.passing()
    results = (msgspec.structs.replace(document.results[0], status=status, **more), *document.results[1:])
    return msgspec.structs.replace(document, results=results, ledger=samples.ledger(document.checks, results))


def test_a_pass_looks_like_one():
    assert looks_green([samples.passing()], samples.verdict("passed")) == [True] * 3


@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("state", ["passed", "nothing-tested"])
def test_nothing_tested_never_looks_like_a_pass(state, blocks):
    document = samples.nothing_tested()
    assert looks_green([document], samples.verdict(state, blocks=blocks)) == [False] * 3
    for text in dialects([document], samples.verdict("nothing-tested", blocks=blocks)):
        assert "nothing was tested" in text
        assert "compiles tests and runs none" in text
    assert "✓" not in dialects([document], samples.verdict("nothing-tested", blocks=blocks))[0]


@pytest.mark.parametrize("status", ["failed", "errored", "unknown"])
def test_the_document_outranks_a_verdict_that_is_too_kind(status):
    assert looks_green([with_status(status)], samples.verdict("passed")) == [False] * 3


def test_a_broken_model_is_no_pass():
    document = samples.passing()
    dataset = msgspec.structs.replace(document.datasets[0], run=samples.DatasetRun(status="partial"))
    document = msgspec.structs.replace(document, datasets=(dataset,))
    assert looks_green([document], samples.verdict("passed")) == [False] * 3


def test_a_check_that_vanished_is_no_pass():
    document = samples.passing()
    ledger = msgspec.structs.replace(document.ledger, freshness=LedgerRow(expected=1, vanished=1))
    assert (
        looks_green([msgspec.structs.replace(document, ledger=ledger)], samples.verdict("passed"))
        == [False] * 3
    )


@pytest.mark.parametrize("blocks", [True, False])
def test_a_verdict_that_is_worse_than_the_rows_is_told(blocks):
    verdict = samples.verdict(
        "failed",
        blocks=blocks,
        reasons=[Reason(code="dbt-exit", subject=None, text="dbt exited with 2 and no row says why")],
    )
    assert looks_green([samples.passing()], verdict) == [False] * 3
    assert "dbt exited with 2" in dialects([samples.passing()], verdict)[0].splitlines()[0]


def test_one_idle_project_spoils_the_whole():
    both = [samples.passing(), samples.nothing_tested()]
    assert looks_green(both, samples.verdict("passed")) == [False] * 3
    assert (
        "nothing was tested in 1 of 2 projects"
        in dialects(both, samples.verdict("passed"))[0].splitlines()[0]
    )


def test_no_check_at_all_is_no_pass():
    document = samples.ingest([], [], [], score=None, dimensions={})
    assert looks_green([document], samples.verdict("passed")) == [False] * 3
    assert "no check is defined" in dialects([document], samples.verdict("passed"))[0]


def test_a_check_that_vanished_or_was_skipped_for_no_reason_says_so():
    document = with_status("unknown", reason="vanished")
    key = document.checks[0].key
    cause = samples.Cause(
        key="c", level="high", title="x", body="", dataset=None, checks=(key,), consequences=(), owner=None
    )
    text = console(build([msgspec.structs.replace(document, causes=(cause,))], samples.gate(document)))
    assert "unknown, vanished" in text
    document = with_status("skipped")
    cause = msgspec.structs.replace(cause, title="1 node was skipped, and nothing says why")
    text = console(build([msgspec.structs.replace(document, causes=(cause,))], samples.verdict("failed")))
    assert "1 node was skipped, and nothing says why" in text


def test_a_check_without_a_result_is_unknown():
    document = msgspec.structs.replace(samples.passing(), results=samples.passing().results[1:])
    assert build([document], samples.verdict("passed")).sections[0].rows[0].status == "unknown"


def test_not_blocking_is_said_and_reasons_are_counted():
    text = dialects([failing], samples.verdict("failed", blocks=False))[0]
    assert "does not block this job" in text
    reasons = [Reason(code="check-failed", subject=None, text=f"reason {n}") for n in range(25)]
    text = console(build([failing], samples.verdict("failed", reasons=reasons)))
    assert "blocks: 25 reasons" in text
    assert "- reason 9\n" in text
    assert "reason 10\n" not in text
    assert "… 15 more reasons" in text


# ---------------------------------------------------------------- words


@settings(deadline=None)
@given(st.floats(0, 1))
def test_a_percentage_is_rounded_down(score):
    shown = Decimal(words.percent(score).removesuffix(" %"))
    assert shown == (Decimal(repr(score)) * 100).quantize(Decimal("0.1"), rounding=ROUND_FLOOR)
    assert (shown == 100) == (score == 1)


@pytest.mark.parametrize(
    ("score", "shown"),
    [(0.999999, "99.9 %"), (0.57, "57.0 %"), (0.29, "29.0 %"), (1.0, "100.0 %"), (None, "")],
)
def test_percentages(score, shown):
    assert words.percent(score) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, ""), (0.43, "0.4 s"), (12.4, "12 s"), (75, "1 min 15 s"), (3720, "1 h 2 min")],
)
def test_durations(seconds, shown):
    assert words.duration(seconds) == shown


@settings(deadline=None)
@given(st.text(max_size=80), st.integers(4, 60))
def test_a_long_name_keeps_its_start(text, width):
    cut = cut_middle(text, width)
    assert columns(cut) <= width
    if columns(text) > width:
        head = cut.split("…")[0]
        assert text.startswith(head)
        assert columns(head) >= (width - 1) * 2 // 3 - 1


FILE_LINKS = [
    ("https://github.com/acme/o", "github", "https://github.com/acme/o/blob/{sha}/m/a%20b.yml#L7"),
    ("https://github.com/acme/o.git", None, "https://github.com/acme/o/blob/{sha}/m/a%20b.yml#L7"),
    (
        "https://git.example.com/acme/o",
        "gitlab",
        "https://git.example.com/acme/o/-/blob/{sha}/m/a%20b.yml#L7",
    ),
    (
        "https://bitbucket.org/acme/o/",
        "bitbucket",
        "https://bitbucket.org/acme/o/src/{sha}/m/a%20b.yml#lines-7",
    ),
    ("https://git.example.com/acme/o", "jenkins", None),
    ("https://user:pw@github.com/acme/o", "github", None),
    ("javascript:alert(1)//", "github", None),
    ("git@github.com:acme/o.git", "github", None),
    (None, "github", None),
]


@pytest.mark.parametrize(("repository", "provider", "link"), FILE_LINKS)
def test_links_to_files(repository, provider, link):
    run = samples.ingest([], [], [], git={"repository_url": repository}, ci={"provider": provider}).run
    assert places.file_link(run, "m/a b.yml", 7) == (link and link.format(sha=samples.SHA))
    assert places.file_link(run, "../../etc/passwd", 7) is None
    assert places.file_link(run, "/etc/passwd", 7) is None


def test_commands_are_pasted_safely():
    document = samples.hostile("x; rm -rf $(pwd)")
    row = build([document], samples.gate(document)).sections[0].rows[0]
    assert row.command == "dbt test --select 'x; rm -rf $(pwd)' --store-failures"


def test_tokens_in_any_text_are_masked_before_they_are_cut():
    token = "ghp_" + "a1B2" * 9
    document = samples.hostile("m" * 295 + " " + token)
    for text in (
        *dialects([document], samples.gate(document)),
        *annotate(build([document], samples.gate(document))),
    ):
        assert "ghp_" not in text


# ---------------------------------------------------------------- outputs


def test_outputs_of_one_document():
    assert outputs(
        build([failing], samples.gate(failing), [samples.receipt(failing)]),
        report="r/ingest.json",
        page="r/report.html",
        junit="r/junit.xml",
        summary="r/summary.md",
    ) == {
        "verdict": "failed",
        "score": "87.5",
        "passed": "18",
        "warned": "1",
        "failed": "3",
        "errored": "0",
        "skipped": "2",
        "not-run": "0",
        "run-key": "0123456789abcdef" * 2,
        "receipt": "recorded",
        "platform-url": "https://qalita.example.com/runs/0123",
        "spool": "",
        "score-change": "",
        "new-failures": "",
        "report": "r/ingest.json",
        "report-html": "r/report.html",
        "report-junit": "r/junit.xml",
        "report-summary": "r/summary.md",
    }


def test_outputs_of_several_are_totals_and_lists():
    got = outputs(build(*CASES["monorepo"]), report="", page="", junit="", summary="")
    assert (got["passed"], got["failed"], got["score"]) == ("30", "3", "87.5,100.0")
    assert got["run-key"] == f"{'0123456789abcdef' * 2},{'f' * 32}"
    assert got["receipt"] == "recorded,recorded"


# ---------------------------------------------------------------- page and limits


def test_the_page_for_the_platform_holds_no_receipt():
    page = report.page(failing, samples.gate(failing)).decode()
    assert "qalita.example.com" not in page
    assert "Published" not in page


def test_a_huge_project_stays_inside_every_limit():
    document = samples.large()
    verdict = samples.gate(document)
    view = build([document], verdict)
    text = console(view)
    assert len(text.splitlines()) < 150
    assert "… 4,980 more causes in" in text
    page = html(view)
    assert len(page) < 4_000_000
    assert page.count(b"<tr data-status=") == 3000
    assert b"and 27,000 more checks" in page
    assert b"and 4,800 more causes" in page
    # the worst come first: the most rows
    assert page.index(b"<b>not_null_model_0999_column_4999_gr") < page.index(
        b"<b>not_null_model_0998_column_4998_gr"
    )
    lines = annotate(view)
    assert len(lines) == 9
    assert lines[-1].endswith("4,992 more like these in the job summary and the report")
    assert len(summary(view).encode()) <= 1024 * 1024


def compared(document, known=(), worse=()):
    """Against a base in which the checks of these names failed already."""
    bad = {r.check for r in document.results if r.status in {"failed", "errored", "warned"}}
    broken = {d.key for d in document.datasets if d.run and d.run.status == "errored"}
    names = {c.key: c.name for c in document.checks} | {d.key: d.name for d in document.datasets}
    differences = {
        key: Difference(
            key=key,
            novelty="known" if names[key] in known else "new",
            definition="same",
            is_worse=names[key] in worse,
        )
        for key in bad | broken
    }
    return {document.run.key: Comparison(state="compared", differences=differences)}


def levels(lines):
    return [(line[2:].split(" ")[0], line.split("title=")[1].split("%3A")[0]) for line in lines]


def test_what_the_base_has_too_is_a_warning_and_what_is_new_an_error():
    known = ("not_null_stg_airquality_city", "accepted_values_stg_airquality_country__FR__DE__BE")
    comparisons = compared(failing, known, worse=known)
    lines = annotate(build([failing], samples.gate(failing), comparisons=comparisons))
    assert levels(lines) == [
        ("error", "relationships_stg_airquality_station_id__id__ref_stations_"),
        ("error", "test_index_is_rounded"),
        ("warning", "not_null_stg_airquality_city"),
        ("notice", "accepted_values_stg_airquality_country__FR__DE__BE"),
    ]
    assert "%0Anew%0A" in lines[0]
    assert "%0Aknown, the data got worse%0A" in lines[2]


def test_a_model_that_did_not_build_on_the_base_either_is_a_warning():
    lines = annotate(build([broken], samples.gate(broken), comparisons=compared(broken, known=("orders",))))
    assert ("warning", "model orders") in levels(lines)


def test_what_the_allowlist_sets_aside_is_a_warning_though_no_base_knows_it():
    name = "not_null_stg_airquality_city"
    gate = Gate(allowances=(Allowance(check=name, expires="2026-04-30"),), today=date(2026, 4, 1))
    lines = annotate(build([failing], mapping.verdict((failing,), gate)))
    assert ("warning", name) in levels(lines)
    assert ("error", "test_index_is_rounded") in levels(lines)


@pytest.mark.parametrize("state", ["none", "unreadable"])
def test_without_a_base_every_failure_is_an_error(state):
    comparisons = {failing.run.key: Comparison(state=state, reason="there is none")}
    assert annotate(build([failing], samples.gate(failing), comparisons=comparisons)) == annotate(
        build([failing], samples.gate(failing))
    )


def test_a_skip_that_nobody_can_explain_is_told_by_itself():
    check = samples.check("not_null_orders_id", dataset=f"model.{samples.PROJECT}.orders")
    explained = samples.check("not_null_lines_id", dataset=f"model.{samples.PROJECT}.lines")
    results = [
        Result(check=check.key, status="skipped"),
        Result(check=explained.key, status="skipped", caused_by=("model.x.orders",)),
    ]
    document = samples.ingest([], [check, explained], results)
    assert levels(annotate(build([document], samples.gate(document)))) == [("error", "not_null_orders_id")]


def test_the_worst_of_all_projects_comes_first():
    lines = annotate(build([failing, broken], samples.gate(failing)))
    assert levels(lines)[0] == ("error", "model orders")


def test_render_gives_each_provider_its_own():
    github = ReportOptions(provider="github", is_change=True, summary_path="/nonexistent/summary")
    rendered = report.render([failing], samples.gate(failing), [], github)
    assert rendered.commands
    assert rendered.summary
    assert [json.loads(line)["schemaVersion"] for line in rendered.files["ingest.json"].splitlines()] == ["1"]
    push = report.render([failing], samples.gate(failing), [], ReportOptions(provider="github"))
    assert (push.commands, push.summary) == ((), None)
    assert (
        report.render(
            [failing], samples.gate(failing), [], ReportOptions(provider="gitlab", is_change=True)
        ).commands
        == ()
    )


def test_the_same_run_gives_the_same_bytes():
    assert report.page(failing, samples.gate(failing)) == report.page(
        samples.failing(), samples.gate(samples.failing())
    )
