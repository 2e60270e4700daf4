"""Other people's text in every field of the document, read back as each place's own reader reads it."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
import report_samples as samples
from markdown_it import MarkdownIt

from qalita_action.redact import clean_line
from qalita_action.report.build import build
from qalita_action.report.console import console
from qalita_action.report.github import annotate
from qalita_action.report.github_summary import summary
from qalita_action.report.html import html

LONG = [text * 4000 for text in ("|", "`", "<b>", "é| ", "![](", "\x1b[31m", "::error::\n", "日本")] + [
    "w" * 100_000
]
TEXTS = samples.HOSTILE + LONG


def view_of(text: str):
    document = samples.hostile(text)
    receipt = samples.receipt(
        document,
        "refused",
        error_text=text,
        error_code=text,
        spool=text,
        notes=(text,),
        url="javascript:alert(1)",
        reason=text,
    )
    return build([document], samples.gate(document), [receipt])


def ids(text: str) -> str:
    return repr(text[:20])


# ---------------------------------------------------------------- console and annotations

WHITE = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"


def commands(log: str) -> list[tuple[str, dict[str, str], str]]:
    """A small reader of workflow commands, after actions/runner: lines end at \\n or a lone \\r; `::` counts after
    white space, `##[` anywhere."""
    found = []
    for line in re.split(r"\r\n|\r|\n", log):
        trimmed = line.lstrip(WHITE)
        if trimmed.startswith("::") and "::" in trimmed[2:]:
            head, _, data = trimmed[2:].partition("::")
            name, _, written = head.partition(" ")
            pairs = [pair.partition("=") for pair in written.split(",") if pair]
            found.append(
                (name, {k: unescape(v, ("%3A", ":"), ("%2C", ",")) for k, _, v in pairs}, unescape(data))
            )
        elif "##[" in line:
            found.append(("legacy", {}, line))
    return found


def unescape(text: str, *more: tuple[str, str]) -> str:
    for written, meant in (*more, ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(written, meant)
    return text


@pytest.mark.parametrize("text", TEXTS, ids=ids)
@pytest.mark.parametrize("color", [True, False])
def test_the_console_holds_no_command(text, color):
    log = console(view_of(text), color=color)
    assert commands(re.sub(r"\x1b\[[0-9;]*m", "", log)) == commands(log) == []
    assert "section_start:1:x\r" not in log
    assert all(len(line) < 1000 for line in log.splitlines())
    if not color:
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", log)


@pytest.mark.parametrize("text", TEXTS, ids=ids)
def test_annotations_are_ours_alone_and_say_what_was_meant(text):
    lines = annotate(view_of(text))
    read = commands("\n".join(lines))
    assert len(read) == len(lines) == 2
    assert {name for name, _, _ in read} <= {"error", "notice"}
    assert all(set(properties) <= {"file", "line", "title"} for _, properties, _ in read)
    if "##" not in text and clean_line(text, 300):
        assert read[1][1]["file"] == clean_line(text, 300)
        assert read[1][1].get("line") == "3"
    assert all(len(line) < 8000 for line in lines)


# ---------------------------------------------------------------- Markdown

OWN_TAGS = {"<code>", "</code>", "<br>"}


def parse(markdown: str):
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown)


@pytest.mark.parametrize("text", TEXTS, ids=ids)
def test_markdown_keeps_its_shape(text):
    markdown = summary(view_of(text))
    tokens = parse(markdown)
    blocks = [t for t in tokens if t.type == "html_block"]
    assert [t.content.strip() for t in blocks] == [
        "<details><summary>2 checks that did not pass</summary>",
        "</details>",
    ]
    inline = [child for t in tokens if t.type == "inline" for child in t.children]
    assert {c.content for c in inline if c.type == "html_inline"} <= OWN_TAGS
    assert not [c for c in inline if c.type in {"image", "em_open", "s_open", "code_inline"}]
    links = [dict(c.attrs)["href"] for c in inline if c.type == "link_open"]
    assert links == []  # the sample's repository and pipeline are no URLs
    assert not [t for t in tokens if t.type in {"fence", "code_block", "hr"}]
    # what broke, the ledger, all checks that did not pass: a head and its rows each
    assert [len(row) for row in markdown_rows(tokens)] == [5] * 3 + [8] * 2 + [7] * 3


def markdown_rows(tokens) -> list[list[str]]:
    rows: list[list[str]] = []
    for at, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in {"td_open", "th_open"}:
            rows[-1].append(tokens[at + 1].content)
    return rows


@pytest.mark.parametrize("text", samples.HOSTILE, ids=ids)
def test_markdown_shows_the_text_as_it_is(text):
    shown = []
    for token in parse(summary(view_of(text))):
        if token.type == "inline":
            shown.append("".join(c.content for c in token.children if c.type in {"text", "text_special"}))
    assert any(clean_line(text) in piece for piece in shown)


# ---------------------------------------------------------------- HTML


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.raw: dict[str, str] = {}
        self.text: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.inside = tag if tag in {"style", "script", "title"} else ""

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside in {"style", "script"}:
            self.raw[self.inside] = self.raw.get(self.inside, "") + data
        else:
            self.text.append(data)


def read(page: bytes) -> Page:
    reader = Page()
    reader.feed(page.decode("utf-8"))
    reader.close()
    return reader


@pytest.mark.parametrize("text", TEXTS, ids=ids)
def test_html_keeps_its_shape(text):
    reader = read(html(view_of(text)))
    if clean_line(text):  # an error of several lines has several items in its list
        assert [t for t in reader.tags if t != "li"] == [
            t for t in read(html(view_of("benign"))).tags if t != "li"
        ]
    assert reader.tags.count("script") == reader.tags.count("style") == 1
    names = {name for name, _ in reader.attributes}
    assert not [
        name for name in names if name.startswith("on") or name in {"style", "src", "srcset", "action"}
    ]
    assert [v for n, v in reader.attributes if n == "href"] == []


@pytest.mark.parametrize("text", samples.HOSTILE, ids=ids)
def test_html_shows_the_text_as_it_is(text):
    shown = read(html(view_of(text))).text
    assert any(clean_line(text) in piece for piece in shown)


def test_the_policy_allows_the_page_itself_and_nothing_else():
    page = html(build([samples.failing()], samples.gate(samples.failing())))
    reader = read(page)
    policy = next(v for n, v in reader.attributes if n == "content" and v and "default-src" in v)
    allowed = {
        tag: f"'sha256-{base64.b64encode(hashlib.sha256(raw.encode()).digest()).decode()}'"
        for tag, raw in reader.raw.items()
    }
    assert policy == (
        f"default-src 'none'; style-src {allowed['style']}; script-src {allowed['script']}; base-uri 'none'; form-action 'none'"
    )
    links = [v for n, v in reader.attributes if n == "href"]
    assert links
    assert all(link.startswith("https://github.com/acme/opendata/") for link in links)
    assert not re.search(
        rb"(?:src|url\(|@import|https?://(?!github\.com/acme/))",
        page.split(b"<style>")[1].split(b"</style>")[0],
    )


# ---------------------------------------------------------------- the budget of the job summary


@pytest.fixture(scope="module")
def large():
    document = samples.large()
    return build([document], samples.gate(document))


@pytest.mark.parametrize("room", [1024 * 1024 - 1, 1024 * 1024, 1024 * 1024 + 1, 500_001, 50_000, 10_000])
def test_the_summary_uses_its_room_and_tells_the_rest(large, room):
    markdown = summary(large, room)
    assert room - 1500 < len(markdown.encode()) <= room
    shown = sum(line.startswith("| ❌ |") for line in markdown.splitlines())
    more = [
        int(n.replace(",", ""))
        for n in re.findall(r"^([\d,]+) more (?:cause|check)s? in the report\.$", markdown, re.MULTILINE)
    ]
    assert shown + sum(more) == 5000 + 5000  # causes and checks
    assert room > 100_000 or len([t for t in parse(markdown) if t.type == "table_open"]) == 3
    assert markdown.index("column_4999") < markdown.index("column_4998")


def test_any_room_is_enough_for_something_that_fits(large):
    for room in [*range(0, 3000, 37), 4000, 5000, 7000]:
        markdown = summary(large, room)
        assert len(markdown.encode()) <= room
        assert markdown == "" or "5,000 of 30,000 checks failed" in markdown


def test_many_projects_share_the_room():
    documents = [
        samples.ingest(*parts(n), project=f"project_{n}", run={"key": f"{n:032x}"}) for n in range(100)
    ]
    view = build(documents, samples.gate(documents[0]))
    for room in (1024 * 1024, 40_000):
        markdown = summary(view, room)
        assert len(markdown.encode()) <= room
        assert "### ❌ project_99 · ci" in markdown


def parts(n: int):
    document = samples.large(60, 40)
    return document.datasets, document.checks, document.results, document.causes
