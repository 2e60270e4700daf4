"""GitHub's annotations and the step's outputs. Text only: must not open a file.

Limits (actions/runner): 10 annotations a level and step are kept, a message is cut at 4096 characters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from qalita_action.model import Difference, Status, Value
from qalita_action.redact import cut, for_workflow_command
from qalita_action.report import against, words
from qalita_action.report.view import DatasetRow, Place, Row, Section, View

ANNOTATIONS_A_LEVEL = 9
MESSAGE_LIMIT, TITLE_LIMIT = 1500, 240

AnnotationLevel = Literal["error", "warning", "notice"]


class _Annotation(Value, frozen=True, kw_only=True):
    level: AnnotationLevel
    title: str
    message: str
    place: Place | None


# Worst first. What passed or was not asked for is not worth a reader's eye; a check without an answer fails
# the gate, and so does one that was skipped and nobody can say why.
_RANK: dict[Status, int] = {"errored": 1, "failed": 1, "unknown": 1, "skipped": 2, "warned": 3}
_BROKEN_RANK = 0


def annotate(view: View, *, checks: bool = True) -> tuple[str, ...]:
    """Workflow commands, at most 9 a level, worst first; the last of a full level counts the rest. checks:
    those on a change's files too, beside what concerns every run."""
    by_level: defaultdict[AnnotationLevel, list[_Annotation]] = defaultdict(list)
    rows = _annotations(view) if checks else ()
    for annotation in (*_cautions(view.sections), *rows):
        by_level[annotation.level].append(annotation)
    lines: list[str] = []
    for level, found in by_level.items():
        fits = len(found) <= ANNOTATIONS_A_LEVEL
        shown = found if fits else found[: ANNOTATIONS_A_LEVEL - 1]
        lines += map(_command, shown)
        if not fits:
            more = words.plural(len(found) - len(shown), "more like these", "more like these")
            lines.append(f"::{level} title=dbt checks::{more} in the job summary and the report")
    return tuple(lines)


def notice(text: str) -> str:
    """About the comment, which is of no file."""
    return _command(_Annotation(level="notice", title="comment on the change", message=text, place=None))


def _cautions(sections: Sequence[Section]) -> Iterable[_Annotation]:
    """Of no file: about the account and the connection. Once, however many projects there are."""
    said = dict.fromkeys(text for section in sections if section.receipt for text in section.receipt.cautions)
    for text in said:
        yield _Annotation(level="warning", title="publishing to QALITA", message=text, place=None)


def _annotations(view: View) -> Iterable[_Annotation]:
    """Worst first over all projects; a skipped check is told by its cause."""
    ranked: list[tuple[int, float, _Annotation]] = []
    for section in view.sections:
        ranked += [
            (_BROKEN_RANK, 0.0, _of_dataset(d, is_allowed=d.key in view.allowed))
            for d in section.datasets
            if d.broken
        ]
        ranked += [
            (_RANK[row.status], -row.failures, _of_row(row, is_allowed=row.key in view.allowed))
            for row in section.rows
            if row.status in _RANK and not (row.status == "skipped" and row.caused_by)
        ]
    return (annotation for *_, annotation in sorted(ranked, key=lambda entry: entry[:2]))


def _of_dataset(dataset: DatasetRow, *, is_allowed: bool) -> _Annotation:
    lead = cut(dataset.message, 1000) or "not built"
    return _Annotation(
        level=_level(dataset.difference, is_allowed=is_allowed),
        title=f"{dataset.kind} {dataset.name}: {dataset.run}",
        message="\n".join(filter(None, (lead, against.told(dataset), f"next: {dataset.command}"))),
        place=dataset.place,
    )


def _of_row(row: Row, *, is_allowed: bool) -> _Annotation:
    return _Annotation(
        level="notice" if row.status == "warned" else _level(row.difference, is_allowed=is_allowed),
        title=words.listed([f"{row.name}: {words.STATUS_WORD[row.status]}", row.amount]),
        message=_message(row),
        place=row.place,
    )


def _level(difference: Difference | None, *, is_allowed: bool) -> AnnotationLevel:
    """What the base has too, or the allowlist sets aside, does not stop a reviewer. Everything else does."""
    return "warning" if is_allowed or (difference and difference.novelty == "known") else "error"


def _message(row: Row) -> str:
    on = f"on {row.dataset}" + (f".{row.column}" if row.column else "") if row.dataset else ""
    lead = words.listed([f"{row.type} {on}".strip(), row.reason])
    owner = f"owner: {row.owner}" if row.owner else ""
    message = cut(row.message, MESSAGE_LIMIT)
    return "\n".join(filter(None, (lead, message, against.told(row), owner, f"next: {row.command}")))


def _command(annotation: _Annotation) -> str:
    """Properties in the order of @actions/core, empty ones left out."""
    place = annotation.place
    properties = {
        "title": cut(annotation.title, TITLE_LIMIT),
        "file": place.path if place else "",
        "line": str(place.line) if place and place.line else "",
    }
    written = ",".join(f"{k}={for_workflow_command(v, is_property=True)}" for k, v in properties.items() if v)
    return f"::{annotation.level} {written}::{for_workflow_command(cut(annotation.message, MESSAGE_LIMIT))}"


# ---------------------------------------------------------------- outputs


def _sum(counts: list[int | None]) -> str:
    """Empty where one of them is not known: a part is not the whole."""
    known = [count for count in counts if count is not None]
    return str(sum(known)) if len(known) == len(counts) else ""


def outputs(view: View, *, report: str, page: str, junit: str, summary: str) -> dict[str, str]:
    """What later steps read. score is a percentage with one decimal, rounded down, empty where there is none.
    Several documents: totals; score, score-change, run-key, receipt, platform-url and spool in the view's
    order (worst first), joined by commas. report, page, junit and summary: paths of files."""
    total, receipts = view.total, [section.receipt for section in view.sections]
    return {
        "verdict": view.state,
        "score": ",".join(words.percent(section.score).removesuffix(" %") for section in view.sections),
        "score-change": ",".join(map(against.score_change, view.sections)),
        "new-failures": _sum(list(map(against.new_failures, view.sections))),
        "passed": str(total.passed),
        "warned": str(total.warned),
        "failed": str(total.failed),
        "errored": str(total.errored),
        "skipped": str(total.skipped),
        "not-run": str(total.not_run),
        "run-key": ",".join(section.run_key for section in view.sections),
        "receipt": ",".join(receipt.status if receipt else "" for receipt in receipts),
        "platform-url": ",".join((receipt.url or "") if receipt else "" for receipt in receipts),
        "spool": ",".join((receipt.spool or "") if receipt else "" for receipt in receipts),
        "report": report,
        "report-html": page,
        "report-junit": junit,
        "report-summary": summary,
    }
