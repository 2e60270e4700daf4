"""The report as text for a terminal or a CI log, 100 columns: the verdict, then what broke and what to type,
then numbers, then what was published. Reads the view alone; must not know a CI system's syntax."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import islice

from qalita_action.model import Level, Receipt
from qalita_action.redact import defuse
from qalita_action.report import words
from qalita_action.report.view import CauseView, Excused, Row, Section, View
from qalita_action.report.words import Tone

WIDTH = 100
CAUSES, ROWS, REASONS, WARNINGS, NAMES = 20, 20, 10, 10, 3

MARK: dict[Tone, str] = {"good": "✓", "doubtful": "!", "bad": "✗"}
_LEVEL_TONE: dict[Level, Tone] = {"high": "bad", "warning": "doubtful", "info": "doubtful"}
_TONE_COLOR: dict[Tone, str] = {"good": "32", "doubtful": "33", "bad": "31"}


def columns(text: str) -> int:
    """Terminal cells: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def _head(text: str, width: int) -> str:
    """As many characters as fit into width cells."""
    used = 0
    for at, character in enumerate(text):
        used += columns(character)
        if used > width:
            return text[:at]
    return text


def cut_middle(text: str, width: int) -> str:
    """At most width cells, two thirds of them the start: long names are told apart by both ends."""
    if columns(text) <= width:
        return text
    if width < 4:
        return _head(text, max(width - 1, 0)) + "…"
    tail = (width - 1) // 3
    return f"{_head(text, width - 1 - tail)}…{_head(text[::-1], tail)[::-1]}"


def console(view: View, *, color: bool = False, written: str = "") -> str:
    """The whole text; each line ends with a line feed. written names the HTML page, when there is one."""
    lines = _Page(view, color=color, written=written).lines()
    return "".join(f"{defuse(line.rstrip())}\n" for line in lines)


class _Page:
    def __init__(self, view: View, *, color: bool, written: str) -> None:
        self.view, self.color, self.written = view, color, written
        self.where = written or "the document"

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and text else text

    def toned(self, text: str, tone: Tone) -> str:
        return self.paint(text, f"1;{_TONE_COLOR[tone]}")

    def lines(self) -> Iterator[str]:
        view = self.view
        alone = len(view.sections) == 1
        if not alone:
            projects = words.plural(len(view.sections), "project")
            yield self.toned(f"{MARK[view.tone]} {projects} · {view.headline}", view.tone)
            yield ""
        for section in view.sections:
            if alone:  # the verdict is that of the run: it may know more than the rows do
                yield from self.section(section, view.headline, view.tone)
            else:
                yield from self.section(section, section.headline, section.tone)
            yield ""
        yield from self.gate()
        if self.written:
            yield self.field("REPORT", self.written)

    def field(self, label: str, text: str) -> str:
        return f"  {self.paint(f'{label:<10}', '1')} {text}"

    def section(self, section: Section, headline: str, tone: Tone) -> Iterator[str]:
        score = f"score {words.percent(section.score)}" if section.score is not None else "no score"
        room = WIDTH - len(score) - 4
        title = cut_middle(section.name, max(room - 3 - columns(headline), 24))
        lead = f"{MARK[tone]} {title} · {headline}"
        gap = " " * max(WIDTH - columns(lead) - len(score), 2)
        yield self.toned(lead, tone) + gap + self.paint(score, "1")
        facts = [fact.text for fact in section.facts if fact.label not in {"adapter", "finished", "pipeline"}]
        yield from (self.paint(line, "2") for line in _wrapped(facts, "  "))
        if section.comparison and section.comparison.state == "compared":
            yield self.field("AGAINST", section.against)
        elif section.against:
            yield "  " + self.toned(f"! {section.against}", "doubtful")
        for notice in filter(None, (section.why_nothing, section.extent)):
            yield "  " + self.toned(f"! {notice}", "doubtful")
        yield from self.what_broke(section)
        yield ""
        yield from self.numbers(section)
        yield from self.warnings(section)
        yield from self.published(section.receipt)

    def what_broke(self, section: Section) -> Iterator[str]:
        if section.causes:
            yield ""
            yield "  " + self.paint("WHAT BROKE", "1")
            shown = section.causes[:CAUSES]
            widths = _cause_widths(shown)
            for cause in shown:
                yield from self.cause(cause, widths)
            if more := len(section.causes) - len(shown):
                yield f"  … {words.plural(more, 'more cause')} in {self.where}"
        elif bad := [row for row in section.rows if row.status in {"failed", "errored", "unknown"}]:
            yield ""
            yield "  " + self.paint("WHAT BROKE", "1")
            for row in bad[:ROWS]:
                yield from self.row(row)
            if more := len(bad) - len(bad[:ROWS]):
                yield f"  … {words.plural(more, 'more check')} in {self.where}"

    def row(self, row: Row) -> Iterator[str]:
        fact = words.listed([words.STATUS_WORD[row.status], row.amount or row.reason])
        place = row.place.path if row.place else ""
        yield f"  {self.toned(MARK['bad'], 'bad')} " + "  ".join(
            filter(None, (cut_middle(row.name, 50), cut_middle(fact, 20), cut_middle(place, 22)))
        )

    def cause(self, cause: CauseView, widths: Sequence[int]) -> Iterator[str]:
        tone = _LEVEL_TONE[cause.level]
        first, *rest = (_cell(cell, width) for cell, width in zip(_cause_cells(cause), widths, strict=True))
        yield f"  {self.toned(MARK[tone], tone)} " + "  ".join([self.paint(first, "1"), *filter(None, rest)])
        if cause.message and (not cause.checks or cause.checks[0].status == "errored"):
            yield f"      {cut_middle(cause.message.partition(chr(10))[0], WIDTH - 6)}"
        if cause.check_count > 1:
            names = [cut_middle(f"{r.name} {r.amount}".rstrip(), WIDTH - 8) for r in cause.checks[:NAMES]]
            yield from (f"      · {name}" for name in names)
            if more := cause.check_count - len(names):
                yield f"      · and {words.plural(more, 'more check')}"
        if cause.followed:
            yield cut_middle(f"      skipped because of it: {cause.followed}", WIDTH)
        if cause.command:
            yield f"      next: {self.paint(cause.command, '36')}"

    def numbers(self, section: Section) -> Iterator[str]:
        counts = " · ".join(words.ledger_words(section.total))
        yield self.field("CHECKS", f"{counts}   ({section.total.expected:,} expected)")
        if len(section.ledger) > 1:
            kinds = [f"{words.KIND_WORD[k]} {row.passed:,} of {row.expected:,}" for k, row in section.ledger]
            yield from _wrapped([f"passed by kind: {kinds[0]}", *kinds[1:]], " " * 13)
        if section.score is None:
            yield self.field("SCORES", f"none: {section.score_reason or 'no data test was decided'}")
        if section.movement:
            yield self.field("MOVED", section.movement)
        scores = [f"{name} {words.percent(value) or 'none'}" for name, value in section.dimensions]
        if scores and section.score is not None:
            first, *rest = _wrapped(scores, " " * 13)
            yield self.field("SCORES", first.strip())
            yield from rest

    def warnings(self, section: Section) -> Iterator[str]:
        shown = section.warnings[:WARNINGS]
        for at, warning in enumerate(shown):
            yield self.field("NOTES" if at == 0 else "", f"! {warning}")
        if more := len(section.warnings) - len(shown):
            yield self.field("", f"… {words.plural(more, 'more note')} in {self.where}")

    def published(self, receipt: Receipt | None) -> Iterator[str]:
        text, tone = words.published(receipt)
        yield self.field("PUBLISHED", self.toned(f"{MARK[tone]} {text}", tone) if tone != "good" else text)
        details = words.published_details(receipt)
        for detail in details[:REASONS]:
            yield self.field("", detail)
        if more := len(details) - len(details[:REASONS]):
            yield self.field("", f"… {more:,} more")

    def gate(self) -> Iterator[str]:
        view = self.view
        if view.blocks:
            why = words.plural(len(view.reasons), "reason") if view.reasons else view.headline
            yield self.field("GATE", self.toned(f"blocks: {why}", "bad"))
            for reason in islice(view.reasons, REASONS):
                yield self.field("", f"- {reason}")
            if (more := len(view.reasons) - REASONS) > 0:
                yield self.field("", f"… {words.plural(more, 'more reason')}")
        elif view.state != "passed":
            yield self.field("GATE", self.toned("does not block this job", "doubtful"))
        yield from self.set_aside()
        for notice in islice(view.notices, WARNINGS):
            yield self.field("", f"! {notice}")
        if (more := len(view.notices) - WARNINGS) > 0:
            yield self.field("", f"… {words.plural(more, 'more notice')} of the allowlist")

    def set_aside(self) -> Iterator[str]:
        """What did not block, by its excuse: failures still, each with who lets it pass."""
        by_excuse: dict[str, list[Excused]] = {}
        for excused in self.view.excused:
            by_excuse.setdefault(words.EXCUSE[excused.excuse], []).append(excused)
        for told, every in by_excuse.items():
            found = [e for e in every if not e.is_consequence]
            followed = len(every) - len(found)
            more_text = f", and {followed:,} skipped because of them" if followed else ""
            yield self.field("", f"{words.plural(len(found), 'failure')} set aside{more_text}: {told}")
            for excused in found[:REASONS]:
                by = f" {excused.by}" if excused.by and excused.excuse != "no-base" else ""
                yield self.field("", cut_middle(f"- {excused.text}{by}", WIDTH - 13))
            if (more := len(found) - REASONS) > 0:
                yield self.field("", f"… {words.plural(more, 'more failure')}")


def _cell(text: str, width: int) -> str:
    cut = cut_middle(text, width)
    return cut + " " * (width - columns(cut))


def _cause_cells(cause: CauseView) -> tuple[str, str, str, str]:
    place = cause.place
    where = (f"{place.path}:{place.line}" if place.line else place.path) if place else ""
    return cause.subject, " · ".join(filter(None, (cause.tag, cause.fact))), where, cause.owner


def _cause_widths(causes: Sequence[CauseView]) -> list[int]:
    """Columns as wide as their content, the subject taking what is left of the line."""
    wanted = [max(map(columns, cells)) for cells in zip(*map(_cause_cells, causes), strict=True)]
    rest = [min(width, limit) for width, limit in zip(wanted[1:], (20, 24, 24), strict=True)]
    room = WIDTH - 4 - sum(width + 2 for width in rest if width)
    return [min(wanted[0], room), *rest]


def _wrapped(parts: Sequence[str], indent: str) -> list[str]:
    """Parts joined by middle dots, as many a line as fit."""
    lines: list[str] = []
    for part in parts:
        if lines and columns(lines[-1]) + 3 + columns(part) <= WIDTH:
            lines[-1] += f" · {part}"
        else:
            lines.append(indent + part)
    return lines
