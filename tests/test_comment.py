"""The comment's words, read by GitHub's own renderer."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import cmarkgfm
import msgspec
import pytest
import report_samples as samples
from cmarkgfm.cmark import Options
from test_report_hostile import TEXTS, ids

from qalita_action.model import CI, Base, Comparison, Difference, Reason, Removed
from qalita_action.report.build import build
from qalita_action.report.comment import comment
from qalita_action.report.marker import Marker, marker_of, read_marker

TAGS = {
    "h3",
    "h4",
    "p",
    "strong",
    "em",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "code",
    "a",
    "br",
    "ul",
    "li",
    "sub",
} | {"details", "summary", "blockquote"}


class Page(HTMLParser):
    """What a browser makes of it: tags and where they close, links, and the words outside of code."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text: list[str] = []
        self.code: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(cmarkgfm.github_flavored_markdown_to_html(markdown, Options.CMARK_OPT_UNSAFE))
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        allowed = {"a": {"href"}, "th": {"align"}, "td": {"align"}}.get(tag, set())
        assert {name for name, _ in attributes} <= allowed, (tag, attributes)
        self.links += [value for name, value in attributes if name == "href"]
        if tag != "br":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        (self.code if "code" in self.open else self.text).append(data)
        if self.rows and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def body_of(*documents, mention_owners=False, comparisons=None, receipts=()):
    view = build(list(documents), samples.gate(documents[0]), receipts, comparisons=comparisons or {})
    return comment(list(documents), view, mention_owners=mention_owners)


@pytest.mark.parametrize("text", TEXTS, ids=ids)
@pytest.mark.parametrize("mention_owners", [False, True])
def test_nobodys_text_is_more_than_text(text, mention_owners):
    document = samples.hostile(text)
    removed = (Removed(key="test.x.y", name=text, status_before="failed"),)
    differences = {c.key: Difference(key=c.key, novelty="fixed", definition="same") for c in document.checks}
    base = Base(origin="file", where=text, branch=text, sha=text)
    compared = Comparison(state="compared", reason=text, base=base, differences=differences, removed=removed)
    body = body_of(document, mention_owners=mention_owners, comparisons={document.run.key: compared}).body
    page = Page(body)
    assert page.tags <= TAGS, page.tags - TAGS
    assert all(link.startswith("https://") for link in page.links)
    assert not re.search(r"[@#]\w", "".join(page.text)), "a mention, or a reference to another request"
    assert len(body) < 65_536 and len(body.encode()) < 65_536
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", body)
    widths = {len(row) for row in page.rows}
    assert widths <= {5}
    assert not [line for line in body.splitlines() if line.lstrip().startswith("/")]


@pytest.mark.parametrize("text", ["/close", "/merge", "/label ~bug", "\n/approve", "x\r/close"])
def test_gitlab_finds_no_command(text):
    body = body_of(samples.hostile(text)).body
    assert not [line for line in re.split(r"[\r\n]", body) if re.match(r"\s*/", line)]


def test_a_usual_failure_says_what_broke_who_owns_it_and_what_to_type():
    document = samples.failing()
    page = Page(body_of(document, receipts=[samples.receipt(document)]).body)
    first = page.rows[1]
    assert "not_null_stg_airquality_city" in first[1] and "models/schema.yml:14" in first[1]
    assert first[2:] == [
        "4 rows",
        "data-team@example.com",
        "dbt test --select not_null_stg_airquality_city --store-failures",
    ]
    assert f"https://github.com/acme/opendata/blob/{samples.SHA}/models/schema.yml#L14" in page.links
    assert "https://github.com/acme/opendata/actions/runs/1/job/2" in page.links
    assert "dbt build --select orders+" in Page(body_of(samples.broken_model()).body).code


def known_and_new(document, known: str):
    differences = {
        c.key: Difference(
            key=c.key,
            novelty="known" if c.name == known else "new",
            definition="same",
            is_worse=c.name == known,
        )
        for c in document.checks
        if c.name in {known, "test_index_is_rounded"}
    }
    differences["test.p.mended.0123456789"] = Difference(
        key="test.p.mended.0123456789", novelty="fixed", definition="same"
    )
    base = Base(origin="file", where="base.json", branch="main", sha="a" * 40)
    gone = (Removed(key="test.p.gone", name="gone", status_before="passed"),)
    compared = Comparison(state="compared", base=base, differences=differences, removed=gone)
    return {document.run.key: compared}


def test_what_is_new_stands_first_and_everything_is_counted():
    document = samples.failing()
    body = body_of(document, comparisons=known_and_new(document, "not_null_stg_airquality_city")).body
    page = Page(body)
    counted = "main@\u200baaaaaaa: 1 new, 1 known (1 worse), 1 fixed, 1 check removed"
    assert counted in "".join(page.text)
    causes = page.rows[1 : 1 + len(document.causes)]
    found = {row[1].split("models/")[0]: row[2] for row in causes}
    assert found["test_index_is_rounded"] == "failed, new"
    assert found["not_null_stg_airquality_city"] == "4 rows, worse"
    assert "failed, 4 rows, known, the data got worse" in {cell for row in page.rows for cell in row}
    assert "test_index_is_rounded" in page.rows[1][1]
    assert {"test.p.mended.0123456789", "gone"} <= set(page.code)


@pytest.mark.parametrize(
    ("owner", "mentioned"),
    [
        ("@acme/stations", "@acme/stations"),
        ("@someone", "@someone"),
        ("@group/sub.group/team_1", "@group/sub.group/team_1"),
        ("@one, @two @one", "@one @two"),
        ("data-team@example.com", ""),
        ("Data Team", ""),
        ("@all", ""),
        ("@Everyone", ""),
        ("@a<b>|`x`", ""),
        ("x @y/", ""),
        ("@\u202eone", "@one"),
    ],
)
def test_owners_are_mentioned_only_where_asked_and_only_handles(owner, mentioned):
    document = samples.failing()
    causes = tuple(msgspec.structs.replace(c, owner=owner) for c in document.causes)
    document = msgspec.structs.replace(document, causes=causes)
    quiet, loud = Page(body_of(document).body), Page(body_of(document, mention_owners=True).body)
    assert not re.search(r"@\w", "".join(quiet.text))
    cells = [row[3] for row in loud.rows[1 : 1 + len(causes)]]
    if mentioned:
        assert set(cells) == {mentioned}
        assert "".join(loud.text).count(mentioned) == len(causes), "once a cause"
    else:
        assert not re.search(r"@\w", "".join(loud.text).replace("@acme/", ""))


def test_a_large_run_fits_and_says_how_much_is_left():
    checks = [
        samples.check(f"not_null_column_{n}_{'x' * 60}", dataset=f"model.{samples.PROJECT}.t{n}")
        for n in range(3000)
    ]
    results = [samples.Result(check=c.key, status="failed", failures=n + 1) for n, c in enumerate(checks)]
    causes = [
        samples.Cause(
            key=c.key,
            level="high",
            title=c.name,
            body="",
            dataset=None,
            checks=(c.key,),
            consequences=(),
            owner=None,
        )
        for c in checks
    ]
    document = samples.ingest([], checks, results, causes)
    for documents in ([document], [document, samples.failing()]):
        body = body_of(*documents).body
        assert len(body.encode()) < 65_536
        page = Page(body)
        assert re.search(r"[\d,]+ more causes in the report", "".join(page.text))
        assert re.search(r"[\d,]+ more checks in the report", "".join(page.text))
        assert "not_null_column_2999_" in page.rows[1][1], "the worst first"


def test_what_the_gate_set_aside_is_still_told():
    document = samples.failing()
    reasons = [Reason(code="failed", subject=None, text="x", excuse=e) for e in ("known", "known", "allowed")]
    verdict = msgspec.structs.replace(samples.gate(document), blocks=False, excused=tuple(reasons))
    body = comment([document], build([document], verdict)).body
    assert "2 failures set aside: the base had them too." in body
    assert "1 failure set aside: the allowlist names them." in body


def test_several_projects_are_one_comment():
    page = Page(body_of(samples.failing(), samples.passing()).body)
    assert {"h3", "h4"} <= page.tags


# ---------------------------------------------------------------- the marker


def stamped(at, attempt=1):
    return Marker(identity="0" * 32, completed_at=at, attempt=attempt)


def test_the_marker_is_read_back_at_the_start_alone():
    made = body_of(samples.failing())
    assert read_marker(made.body) == made.marker == marker_of([samples.failing()])
    assert read_marker("x" + made.body) is None and read_marker("\n" + made.body) is None
    assert read_marker("> " + made.body) is None


def test_another_source_has_another_marker():
    document = samples.failing()
    others = [
        msgspec.structs.replace(document, source=msgspec.structs.replace(document.source, **{field: "other"}))
        for field in ("project", "environment", "suite")
    ]
    assert len({marker_of([d]).identity for d in (document, *others)}) == 4
    assert marker_of([document, *others]).identity == marker_of([*others, document]).identity


def test_the_newer_run_is_the_one_that_ended_later():
    order = [
        stamped(""),
        stamped("2026-11-23T07:15:12Z"),
        stamped("2026-11-23T07:15:12.000001Z"),
        stamped("2026-11-23T07:15:12.1Z"),
        stamped("2026-11-23T07:15:12.123456789Z"),
        stamped("2026-11-23T07:15:12.123456789Z", 2),
        stamped("2026-11-23T07:15:13Z"),
    ]
    order_again = sorted({str(m): m for m in order[::-1]}.values(), key=Marker.stamp)
    assert order_again == order


def test_a_hostile_time_does_not_leave_the_marker():
    document = samples.failing()
    run = msgspec.structs.replace(document.run, completed_at="--> <b>", ci=CI(attempt=3))
    made = marker_of([msgspec.structs.replace(document, run=run)])
    assert str(made).endswith(" - 3 -->")
