"""What a reader of the summary and of the page is told of the base: new, known and fixed, what the gate set
aside, and a base that is missing or cannot be read.
"""

from __future__ import annotations

import re

import cmarkgfm
import msgspec
import pytest
import report_samples as samples
from lxml import html as lxml_html

from qalita_action.model import Base, Comparison, Difference, Reason, Removed
from qalita_action.report.build import build
from qalita_action.report.github_summary import summary
from qalita_action.report.html import html

BASE = Base(
    origin="platform",
    where="the platform",
    branch="main",
    sha="1a2b3c4d5e6f",
    completed_at="2026-03-04T05:06:07Z",
    score=0.9,
)


def bad_of(document):
    return [r.check for r in document.results if r.status == "failed"]


def compared(document, *, new, removed=()):
    differences = {
        key: Difference(key=key, novelty="new" if key in new else "known", definition="same")
        for key in bad_of(document)
    }
    return {
        document.run.key: Comparison(state="compared", base=BASE, differences=differences, removed=removed)
    }


def texts(view) -> dict[str, str]:
    """Both dialects, as their readers show them: one line of words."""
    shown = cmarkgfm.github_flavored_markdown_to_html(summary(view))
    pages = {
        "summary": lxml_html.fromstring(shown),
        "page": lxml_html.document_fromstring(html(view).decode()),
    }
    for page in pages.values():
        for node in page.xpath("//script|//style"):
            node.drop_tree()
    return {
        name: re.sub(r"\s+", " ", page.text_content().replace("\u200b", "")) for name, page in pages.items()
    }


@pytest.mark.parametrize("dialect", ["summary", "page"])
def test_new_and_known_are_told_and_new_stands_first(dialect):
    document = samples.failing()
    *known, newest = bad_of(document)
    gone = Removed(key="test.x.gone", name="a_test_that_was_red", status_before="failed")
    view = build(
        [document], samples.gate(document), comparisons=compared(document, new=[newest], removed=(gone,))
    )
    text = texts(view)[dialect]
    assert f"Against main@1a2b3c4, 2026-03-04: 1 new, {len(known)} known, 1 check removed" in text
    assert "a_test_that_was_red" in text
    names = {c.key: c.name for c in document.checks}
    broke = text[text.index("What broke") :]
    assert broke.index(names[newest]) < min(broke.index(names[key]) for key in known)


@pytest.mark.parametrize("dialect", ["summary", "page"])
@pytest.mark.parametrize(
    ("state", "said"),
    [("none", "what is new is not computed, there is no base"), ("unreadable", "the base cannot be read")],
)
def test_a_base_that_is_not_there_is_told_first(state, said, dialect):
    document = samples.failing()
    reason = Reason(code="failed", subject=bad_of(document)[0], text="one: failed", excuse="no-base")
    verdict = msgspec.structs.replace(samples.gate(document), reasons=(), excused=(reason,), blocks=False)
    base = {document.run.key: Comparison(state=state, reason="nobody kept one")}
    text = texts(build([document], verdict, comparisons=base))[dialect]
    assert text.index(said) < text.index("What broke")


@pytest.mark.parametrize("dialect", ["summary", "page"])
def test_what_was_set_aside_is_a_failure_still_and_names_who_lets_it_pass(dialect):
    document = samples.failing()
    first, second, *_ = bad_of(document)
    excused = (
        Reason(
            code="failed", subject=first, text="one: failed", excuse="allowed", by="until 2026-12-31, ada"
        ),
        Reason(code="failed", subject=second, text="two: failed", excuse="known"),
    )
    verdict = msgspec.structs.replace(
        samples.gate(document),
        reasons=(),
        blocks=False,
        excused=excused,
        notices=("an entry matches nothing",),
    )
    text = texts(build([document], verdict))[dialect]
    assert "1 failure set aside: the allowlist names them" in text
    assert "one: failed until 2026-12-31, ada" in text
    assert "1 failure set aside: the base had them too" in text
    assert "an entry matches nothing" in text
    assert "The quality gate does not block this job" in text
