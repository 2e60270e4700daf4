"""JUnit XML, for the readers of GitLab, Jenkins and whoever shows tests: one suite a dataset.

Valid by the schema of Jenkins' xUnit plugin, which refuses `file` on a test case; GitLab reads it for a link,
so it is written there alone. A warned check has passed here unless the gate blocks for it: JUnit has no word
for it. What did not run is skipped, with the reason. Must not grow without bound: GitLab takes 30 MB a file.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator

from qalita_action.model import Status, Value
from qalita_action.redact import cut, for_xml
from qalita_action.report import words
from qalita_action.report.view import DatasetRow, Place, Row, Section, View

LIMIT = 20_000_000
TEXT_LIMIT = 2000

_BAD: dict[Status, str] = {"failed": "failure", "errored": "error", "unknown": "error"}
_NOT_RUN: frozenset[Status] = frozenset({"skipped", "not_run", "reused"})


class _Case(Value, frozen=True, kw_only=True):
    """element: failure, error, skipped, system-out; empty for a pass. file: where GitLab links to."""

    suite: str
    name: str
    key: str
    element: str = ""
    type: str = ""
    message: str = ""
    text: str = ""
    seconds: float | None = None
    file: str = ""


def junit(view: View, *, with_files: bool = False, limit: int = LIMIT) -> bytes:
    """UTF-8, at most `limit` bytes; the worst cases are kept, what does not fit is counted in a suite's
    output. with_files: a `file` for each case, as GitLab reads it and Jenkins' schema refuses it."""
    suites: dict[str, list[tuple[_Case, str]]] = {}
    left, dropped = limit - 2000, 0
    cases = [case for section in view.sections for case in _cases(view, section)]
    if not any(case.element in {"failure", "error"} for case in cases):
        cases[:0] = _verdict(view)
    names = Counter((case.suite, case.name) for case in cases)
    for case in cases:
        written = _written(case, is_unique=names[case.suite, case.name] == 1, with_files=with_files)
        needed = len(written.encode()) + (
            0 if case.suite in suites else 300 + 2 * len(case.suite.encode()) * 6
        )
        if dropped or needed > left:
            dropped += 1
            continue
        left -= needed
        suites.setdefault(case.suite, []).append((case, written))
    return "".join(_document(view, suites, dropped)).encode()


def _cases(view: View, section: Section) -> Iterator[_Case]:
    """Worst first."""
    project = section.project.replace(".", "_")

    def suite(name: str) -> str:
        # Jenkins takes what stands before the last dot for a package
        return f"{project}.{name.replace('.', '_') or 'project'}"

    for dataset in section.datasets:
        if dataset.broken:
            yield _of_dataset(dataset, suite(dataset.name))
    for row in section.rows:
        yield _of_row(row, suite(row.dataset), is_blocking=row.key in view.blocking)
    for brief in section.passed:
        yield _Case(
            suite=suite(brief.dataset),
            name=brief.name,
            key=brief.key,
            element="skipped" if brief.is_reused else "",
            text="reused" if brief.is_reused else "",
            seconds=brief.duration_s,
        )


def _of_dataset(row: DatasetRow, suite: str) -> _Case:
    message = f"{row.kind} {row.run or 'not built'}"
    text = _lines(
        message, row.message, row.owner and f"owner: {row.owner}", _at(row.place), f"next: {row.command}"
    )
    return _Case(
        suite=suite,
        name=f"{row.kind} {row.name}",
        key=row.key,
        element="error",
        type=row.kind,
        message=message,
        text=text,
        file=row.place.path if row.place else "",
    )


def _of_row(row: Row, suite: str, *, is_blocking: bool) -> _Case:
    status = words.STATUS_WORD[row.status]
    message = words.listed([status, row.amount, row.reason])
    element = _BAD.get(row.status, "")
    if row.status in _NOT_RUN:
        element = "skipped"
    elif row.status == "warned":
        element = "failure" if is_blocking else "system-out"
    because = f"because of {', '.join(row.caused_by)}" if row.caused_by else ""
    next_ = f"next: {row.command}" if element in {"failure", "error", "system-out"} else ""
    hints = [f"{hint.label}: {hint.text}" for hint in row.hints]
    text = _lines(
        message, because, row.message, row.owner and f"owner: {row.owner}", _at(row.place), *hints, next_
    )
    return _Case(
        suite=suite,
        name=row.name,
        key=row.key,
        element=element,
        type=row.type,
        message=message,
        text=text if element else "",
        seconds=row.duration_s,
        file=row.place.path if row.place else "",
    )


def _verdict(view: View) -> Iterator[_Case]:
    """A run that is no success though no check says so: nothing tested, a score too low, dbt's exit code."""
    if view.state == "passed" and not view.blocks:
        return
    yield _Case(
        suite="dbt run.verdict",
        name="the quality gate",
        key="",
        element="failure" if view.blocks else "skipped",
        type="gate",
        message=view.headline,
        text=_lines(view.headline, *view.reasons[:50]),
    )


def _lines(*parts: str) -> str:
    return cut("\n".join(part for part in parts if part), TEXT_LIMIT)


def _at(place: Place | None) -> str:
    return f"{place.path}:{place.line}" if place and place.line else place.path if place else ""


def _attribute(name: str, value: str) -> str:
    return f' {name}="{for_xml(value).replace(chr(10), " ")}"'


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:8]


def _written(case: _Case, *, is_unique: bool, with_files: bool) -> str:
    name = case.name if is_unique and case.name else f"{case.name} ({_digest(case.key)})"
    attributes = _attribute("name", name) + _attribute("classname", case.suite)
    if case.seconds is not None:
        attributes += f' time="{case.seconds:.3f}"'
    if with_files and case.file:
        attributes += _attribute("file", case.file)
    if not case.element:
        return f"    <testcase{attributes}/>\n"
    told = ""
    if case.element in {"failure", "error"}:
        told = _attribute("type", case.type) + _attribute("message", case.message)
    text = for_xml(case.text)
    return f"    <testcase{attributes}><{case.element}{told}>{text}</{case.element}></testcase>\n"


def _document(view: View, suites: dict[str, list[tuple[_Case, str]]], dropped: int) -> Iterator[str]:
    every = [case for found in suites.values() for case, _ in found]
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f'<testsuites name="dbt"{_counts(every, with_skipped=False)}>\n'
    at = next((section.completed_at for section in view.sections if section.completed_at), "")[:19]
    for name, found in suites.items():
        counts = _counts([case for case, _ in found], with_skipped=True)
        stamp = _attribute("timestamp", at) if at else ""
        yield f"  <testsuite{_attribute('name', name)}{counts}{stamp}>\n"
        yield from (written for _, written in found)
        yield "  </testsuite>\n"
    if dropped:
        more = words.plural(dropped, "more check")
        told = f"<system-out>{more} in the report</system-out>"
        yield f'  <testsuite name="left out" tests="0">{told}</testsuite>\n'
    yield "</testsuites>\n"


def _counts(cases: list[_Case], *, with_skipped: bool) -> str:
    tally = Counter(case.element for case in cases)
    seconds = sum(case.seconds or 0.0 for case in cases)
    skipped = f' skipped="{tally["skipped"]}"' if with_skipped else ""
    return (
        f' tests="{len(cases)}" failures="{tally["failure"]}" errors="{tally["error"]}"{skipped}'
        f' time="{seconds:.3f}"'
    )
