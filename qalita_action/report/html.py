"""The report as one HTML file: no network, readable without its script, in dark and in light, and on paper.

Every text goes through `for_html`; links are those that the view vouches for. The content policy names the
hashes of the page's own style and script, so that nothing else would run even where an escape were missing.
Must not grow without bound: the worst rows are shown, the others are counted.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence

from qalita_action.redact import for_html
from qalita_action.report import against, words
from qalita_action.report.assets import SCRIPT, STYLE
from qalita_action.report.html_tables import bounded, checks, datasets, link, numbers, place
from qalita_action.report.view import CauseView, Section, View
from qalita_action.report.words import Tone

ROWS, CAUSES, REASONS, LINES = 3000, 200, 50, 50

MARK: dict[Tone, str] = {"good": "✓", "doubtful": "!", "bad": "✗"}


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def policy() -> str:
    return (
        f"default-src 'none'; style-src 'sha256-{_hash(STYLE)}'; script-src 'sha256-{_hash(SCRIPT)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def html(view: View) -> bytes:
    return "".join(_page(view)).encode("utf-8")


def _page(view: View) -> Iterator[str]:
    alone = len(view.sections) == 1
    name = view.sections[0].name if alone else words.plural(len(view.sections), "project")
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy()}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{MARK[view.tone]} {for_html(name)}: {for_html(view.headline)}</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
    )
    if not alone:
        yield _verdict(view.tone, name, view.headline, "", "")
        yield from _gate(view)
    rows = ROWS // max(len(view.sections), 1)
    for section in view.sections:
        yield '<section class="section">\n' if not alone else "<section>\n"
        tone, headline = (view.tone, view.headline) if alone else (section.tone, section.headline)
        yield _verdict(tone, section.name, headline, _score(section), _facts(section))
        yield from _against(section)
        for notice in filter(None, (section.why_nothing, section.extent)):
            yield f'<p class="notice">! {for_html(notice)}</p>\n'
        yield from _causes(section)
        if alone:
            yield from _gate(view)
        yield from numbers(section)
        yield from datasets(section)
        yield from checks(section, max(rows, 50))
        yield from _notes(section)
        yield "</section>\n"
    yield f"</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"


def _verdict(tone: Tone, name: str, headline: str, score: str, facts: str) -> str:
    return (
        f'<header class="verdict {tone}"><div class="mark" aria-hidden="true">{MARK[tone]}</div>'
        f'<div class="told"><h1>{for_html(headline)}</h1>'
        f'<p class="about"><b>{for_html(name)}</b>{facts}</p></div>{score}</header>\n'
    )


def _score(section: Section) -> str:
    if section.score is None:
        return '<div class="score"><b>–</b>no score</div>'
    return f'<div class="score"><b>{words.percent(section.score)}</b>score</div>'


def _facts(section: Section) -> str:
    return "".join(f" · {link(for_html(fact.text), fact.link)}" for fact in section.facts)


def _list(title: str, items: Sequence[str], limit: int) -> Iterator[str]:
    yield f'<h2>{title}</h2>\n<ul class="plain">\n'
    yield from bounded(
        items, limit, lambda x: f"<li>{for_html(x)}</li>\n", lambda n: f"<li>and {n:,} more</li>\n"
    )
    yield "</ul>\n"


def _against(section: Section) -> Iterator[str]:
    """What is new, known and fixed; a base that is missing or unreadable is a doubt, and stands out."""
    if section.comparison is not None and section.comparison.state == "compared":
        moved = f" · score {for_html(section.movement)}" if section.movement else ""
        yield f'<p class="against">Against {for_html(section.against)}{moved}</p>\n'
        gone = against.removed_and_red(section.comparison)
        if gone:
            yield from _list("Failed in the base, and removed since", gone, LINES)
    elif section.against:
        yield f'<p class="notice">! {for_html(section.against)}</p>\n'


def _gate(view: View) -> Iterator[str]:
    yield from _blocks(view)
    for excuse, every in against.by_excuse(view.excused).items():
        title = f"{words.plural(len(every), 'failure')} set aside: {for_html(words.EXCUSE[excuse])}"
        yield from _list(title, [f"{e.text} {e.by}".rstrip() for e in every], REASONS)
    if view.notices:
        yield from _list("Of the allowlist", view.notices, REASONS)


def _blocks(view: View) -> Iterator[str]:
    if view.blocks and view.reasons:
        yield from _list("Why the quality gate blocks", view.reasons, REASONS)
    elif view.state != "passed":
        text = "The quality gate blocks." if view.blocks else "The quality gate does not block this job."
        yield f'<p class="notice">{text}</p>\n'


# ---------------------------------------------------------------- causes


def _causes(section: Section) -> Iterator[str]:
    if not section.causes:
        return
    yield '<h2>What broke</h2>\n<ol class="causes">\n'
    yield from bounded(
        section.causes,
        CAUSES,
        _cause,
        lambda n: f'<li class="more">and {words.plural(n, "more cause")}</li>\n',
    )
    yield "</ol>\n"


def _cause(cause: CauseView) -> str:
    owner = f"<span>{for_html(cause.owner)}</span>" if cause.owner else ""
    dataset = (
        f"<span>on {for_html(cause.dataset)}</span>"
        if cause.dataset and cause.dataset != cause.subject
        else ""
    )
    tone: Tone = "bad" if cause.level == "high" else "doubtful"
    parts = [
        f'<div class="what"><span class="{tone}">{MARK[tone]}</span><b>{for_html(cause.subject)}</b>',
        f'<span class="tag {cause.tag}">{cause.tag}</span>' if cause.tag else "",
        f'<span class="fact {tone}">{for_html(cause.fact)}</span>' if cause.fact else "",
        f'<span class="dim">{" · ".join(filter(None, (dataset, place(cause.place), owner)))}</span></div>',
        f"<pre>{for_html(cause.message)}</pre>" if cause.message else "",
    ]
    if cause.check_count > 1:
        names = "".join(f"<li>{for_html(r.name)} <b>{for_html(r.amount)}</b></li>" for r in cause.checks)
        more = cause.check_count - len(cause.checks)
        parts.append(f"<ul>{names}{f'<li>and {more:,} more</li>' if more > 0 else ''}</ul>")
    if cause.followed:
        parts.append(f"<p>Skipped because of it: {for_html(cause.followed)}</p>")
    if cause.command:
        parts.append(f'<p class="next">Next: <code>{for_html(cause.command)}</code></p>')
    for hint in cause.hints:
        parts.append(f'<p class="dim">{for_html(hint.label)}: <code>{for_html(hint.text)}</code></p>')
    return f'<li class="cause {cause.level}">{"".join(parts)}</li>\n'


def _notes(section: Section) -> Iterator[str]:
    if section.warnings:
        yield from _list("Notes", section.warnings, LINES)
    if section.receipt is not None:
        text, tone = words.published(section.receipt)
        yield f'<h2>Published</h2>\n<p class="{tone}">{link(for_html(text), section.receipt.url)}</p>\n'
        details = words.published_details(section.receipt)
        if details:
            yield from _list("What the platform said", details, LINES)
    about = " · ".join(map(for_html, (f"source {section.source}", f"run {section.run_key}", section.tool)))
    yield f"<footer>{about}</footer>\n"
