"""The parts of the HTML page that hold many rows: the ledger, scores, datasets and checks, each with a bound.
Must not write a text that `for_html` has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from qalita_action.model import LedgerRow, Status
from qalita_action.redact import for_html
from qalita_action.report import against, words
from qalita_action.report.view import DatasetRow, Place, Row, Section

DATASETS = 500

Item = TypeVar("Item")

_STATUS_MARK: dict[Status, str] = {
    "failed": "✗",
    "errored": "✗",
    "unknown": "?",
    "warned": "!",
    "skipped": "↷",
    "not_run": "–",
    "reused": "↺",
    "passed": "✓",
}
_LEDGER = ("passed", "warned", "failed", "errored", "skipped", "not_run", "reused", "vanished", "unknown")
_ALWAYS = frozenset(_LEDGER[:6])


def link(text: str, url: str | None) -> str:
    return f'<a href="{for_html(url)}" rel="noopener noreferrer">{text}</a>' if url else text


def place(place: Place | None) -> str:
    if place is None:
        return ""
    text = f"{place.path}:{place.line}" if place.line else place.path
    return link(f"<code>{for_html(text)}</code>", place.link)


def bounded(
    items: Sequence[Item], limit: int, write: Callable[[Item], str], more: Callable[[int], str]
) -> Iterator[str]:
    """The first `limit` items, then a word on how many are left out."""
    yield from map(write, items[:limit])
    if len(items) > limit:
        yield more(len(items) - limit)


def _shares(row: LedgerRow) -> Iterator[tuple[str, int]]:
    for name in _LEDGER:
        if (count := getattr(row, name)) or name in _ALWAYS:
            yield name, count


def _bar(shares: Sequence[tuple[str, int]], label: str) -> str:
    """A stacked bar of SVG rectangles: a style attribute would need a hole in the content policy."""
    whole = sum(count for _, count in shares) or 1
    at, parts = 0.0, []
    for name, count in shares:
        width = 1000 * count / whole
        parts.append(
            f'<rect class="{name}" x="{at:.2f}" y="0" width="{width:.2f}" height="10"/>' if count else ""
        )
        at += width
    return (
        f'<svg class="bar" viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def numbers(section: Section) -> Iterator[str]:
    shares = list(_shares(section.total))
    yield f'<h2>{words.plural(section.total.expected, "check")} expected</h2>\n<div class="card">'
    yield _bar(shares, ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in shares))
    entries = (
        f'<li class="{name if count else "none"}">{name.replace("_", " ")} <b>{count:,}</b></li>'
        for name, count in shares
    )
    yield f'<ul class="legend">{"".join(entries)}</ul></div>\n'
    if len(section.ledger) > 1:
        yield _ledger(section)
    yield from _scores(section)


def _ledger(section: Section) -> str:
    names = [name for name, _ in _shares(section.total)]
    head = "".join(
        f'<th scope="col" class="number">{name.replace("_", " ")}</th>' for name in (*names, "expected")
    )
    lines = "".join(
        f'<tr><th scope="row">{words.KIND_WORD[kind]}</th>'
        + "".join(f'<td class="number">{getattr(row, name):,}</td>' for name in (*names, "expected"))
        + "</tr>\n"
        for kind, row in section.ledger
    )
    return (
        f'<div class="scroll ledger"><table><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>\n"
    )


def _scores(section: Section) -> Iterator[str]:
    if section.movement and not (section.comparison and section.comparison.state == "compared"):
        yield f'<p class="against">Score {for_html(section.movement)}</p>\n'
    if section.score is None and section.score_reason:
        yield f'<p class="notice">No score: {for_html(section.score_reason)}</p>\n'
    if not section.dimensions:
        return
    yield '<h2>Scores by dimension</h2>\n<div class="scroll"><table><tbody>\n'
    for name, score in section.dimensions:
        percent = words.percent(score) or "none"
        bar = (
            _bar([("passed", round(score * 10000)), ("failed", 10000 - round(score * 10000))], percent)
            if score is not None
            else ""
        )
        yield f'<tr><th scope="row">{for_html(name)}</th><td class="where">{bar}</td>'
        yield f'<td class="number">{percent}</td></tr>\n'
    yield "</tbody></table></div>\n"


# ---------------------------------------------------------------- tables


def datasets(section: Section) -> Iterator[str]:
    rows = [row for row in section.datasets if row.counts or row.broken]
    if not rows:
        return
    columns = "".join(
        f'<th scope="col" class="number">{name}</th>' for name in ("score", "failing", "warned", "passed")
    )
    yield (
        f'<h2>Datasets</h2>\n<div class="scroll"><table><thead><tr><th scope="col">dataset</th>{columns}'
        '<th scope="col">owner</th><th scope="col">file</th></tr></thead><tbody>\n'
    )
    yield from map(_dataset, rows[:DATASETS])
    if more := max(len(rows) - DATASETS, 0) + section.datasets_left:
        yield f'<tr><td colspan="7" class="more">and {words.plural(more, "more dataset")}</td></tr>\n'
    yield "</tbody></table></div>\n"


def _dataset(row: DatasetRow) -> str:
    count = row.counts.get
    failing = count("failed", 0) + count("errored", 0) + count("unknown", 0)
    run = f' <b class="bad">{for_html(row.run)}</b>' if row.broken else ""
    return (
        f'<tr><td class="name">{for_html(row.name)} <span class="sub">{row.kind}</span>{run}</td>'
        f'<td class="number">{words.percent(row.score) or "–"}</td>'
        f'<td class="number{" bad" if failing else ""}">{failing:,}</td>'
        f'<td class="number">{count("warned", 0):,}</td><td class="number">{count("passed", 0):,}</td>'
        f'<td class="owner">{for_html(row.owner)}</td><td class="where">{place(row.place)}</td></tr>\n'
    )


def checks(section: Section, limit: int) -> Iterator[str]:
    if not section.rows:
        return
    more = max(len(section.rows) - limit, 0) + section.passed_left
    yield '<h2>All checks, worst first</h2>\n<div data-checks><div class="scroll"><table><thead><tr>'
    yield "".join(
        f'<th scope="col">{x}</th>' for x in ("status", "check", "dataset", "found", "owner", "file")
    )
    yield "</tr></thead><tbody>\n"
    yield from map(_row, section.rows[:limit])
    yield "</tbody></table></div>\n"
    if more > 0:
        left_out = words.plural(more, "more check")
        yield f'<p class="more">and {left_out}, none of them worse than the last one shown</p>\n'
    yield "</div>\n"


def _row(row: Row) -> str:
    status = words.STATUS_WORD[row.status]
    found = "<br>".join(for_html(x) for x in (row.amount, row.reason, against.told(row)) if x)
    because = (
        f'<div class="sub">because of {for_html(", ".join(row.caused_by))}</div>' if row.caused_by else ""
    )
    message = f"<pre>{for_html(row.message)}</pre>" if row.message and row.status != "passed" else ""
    column = f'<div class="sub">{for_html(row.column)}</div>' if row.column else ""
    data = f'data-dataset="{for_html(row.dataset)}" data-owner="{for_html(row.owner)}"'
    return (
        f'<tr data-status="{status}" {data}>'
        f'<td class="status s-{row.status}">{_STATUS_MARK[row.status]} {status}</td>'
        f'<td class="name">{for_html(row.name)}'
        f'<div class="sub">{for_html(row.type)} · {for_html(row.dimension)}</div>'
        f"{because}{message}</td><td>{for_html(row.dataset)}{column}</td><td>{found}</td>"
        f'<td class="owner">{for_html(row.owner)}</td><td class="where">{place(row.place)}</td></tr>\n'
    )
