"""What GitLab reads of a job: Code Quality, links on the job's page, variables for later jobs. Text only:
must not open a file.

Limits (docs.gitlab.com, CI/CD artifacts reports): a dotenv report has 5 KB and 20 variables on an instance's
defaults, no quotes, no blank lines, no comments; Code Quality has relative paths, told apart by fingerprint.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal
from urllib.parse import quote

from qalita_action.model import Status
from qalita_action.redact import cut
from qalita_action.report import places, words
from qalita_action.report.view import DatasetRow, Place, Row, Section, View

Severity = Literal["info", "minor", "major", "critical", "blocker"]

QUALITY_LIMIT = 5_000_000
DESCRIPTION_LIMIT = 500
LINKS = 20
DOTENV_BYTES, DOTENV_VARIABLES = 5000, 20
PREFIX = "QALITA_RESULT_"

_SEVERITY: dict[Status, Severity] = {
    "failed": "major",
    "errored": "major",
    "unknown": "major",
    "warned": "minor",
}


# ---------------------------------------------------------------- Code Quality


def code_quality(view: View, limit: int = QUALITY_LIMIT) -> bytes:
    """A JSON array of what is bad, worst first, at most `limit` bytes; the last entry counts what is left
    out. A fingerprint is made of the project and dbt's unique_id: a line that moved, another run or another
    number of rows is the same finding."""
    found = list(_told_apart(entry for section in view.sections for entry in _findings(section)))
    left, shown = limit - 1000, []
    for entry in found:
        text = json.dumps(entry, ensure_ascii=False, sort_keys=True)
        left -= len(text.encode()) + 2
        if left < 0:
            break
        shown.append(text)
    if more := len(found) - len(shown):
        rest = _finding(
            "left out", f"{words.plural(more, 'more finding')} in the report", "info", None, ("left out",)
        )
        shown.append(json.dumps(rest, sort_keys=True))
    return ("[" + ",\n".join(shown) + "]\n").encode()


def _told_apart(found: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Two projects of one name have the same keys: each further one gets a fingerprint of its own."""
    seen: Counter[str] = Counter()
    for entry in found:
        mark = entry["fingerprint"]
        seen[mark] += 1
        again = _fingerprint(mark, str(seen[mark])) if seen[mark] > 1 else mark
        yield {**entry, "fingerprint": again}


def _fingerprint(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()


def _findings(section: Section) -> Iterator[dict[str, Any]]:
    for dataset in section.datasets:
        if dataset.broken:
            text = f"{dataset.kind} {dataset.name}: {dataset.run}"
            yield _finding(
                dataset.kind, _told(text, dataset), "critical", dataset.place, (section.project, dataset.key)
            )
    for row in section.rows:
        severity = _SEVERITY.get(row.status)
        if row.status == "skipped" and not row.caused_by:  # nobody can say why, so that the gate says no
            severity = "major"
        if severity:
            status = words.listed([words.STATUS_WORD[row.status], row.amount, row.reason])
            text = f"{row.name}: {status}"
            yield _finding(row.type, _told(text, row), severity, row.place, (section.project, row.key))


def _told(text: str, row: Row | DatasetRow) -> str:
    return cut(" · ".join(filter(None, (text, row.owner, f"next: {row.command}"))), DESCRIPTION_LIMIT)


def _finding(
    name: str, text: str, severity: Severity, place: Place | None, identity: tuple[str, ...]
) -> dict[str, Any]:
    """Without a file of its own a finding stands at the project's: GitLab drops one that has none."""
    path = place.path.removeprefix("./") if place else ""
    if path.startswith(("/", "../")):
        path = ""
    return {
        "description": text,
        "check_name": name or "dbt",
        "fingerprint": _fingerprint(*identity),
        "severity": severity,
        "location": {
            "path": path or "dbt_project.yml",
            "lines": {"begin": max((place.line if place else None) or 1, 1)},
        },
    }


# ---------------------------------------------------------------- links on the job's page


def job_links(view: View, page: str) -> bytes:
    """The run on QALITA, the page among the job's artifacts, then the files of the worst causes. page:
    the HTML page's path, relative to the workspace."""
    links = [link for section in view.sections for link in _section_links(section, page)]
    return json.dumps(
        {"dbt checks": [{"external_link": link} for link in links[:LINKS]]}, ensure_ascii=False
    ).encode()


def _section_links(section: Section, page: str) -> Iterator[dict[str, str]]:
    if section.receipt and section.receipt.url:
        yield {"label": cut(f"QALITA: {section.name}", 200), "url": section.receipt.url}
    job = next((fact.link for fact in section.facts if fact.label == "pipeline" and fact.link), None)
    if job and re.search(r"/-/jobs/\d+$", job) and not page.startswith("/"):
        link = places.web_link(f"{job}/artifacts/file/{quote(page)}")
        if link:
            yield {"label": cut(f"Report: {section.headline}", 200), "url": link}
    for cause in section.causes:
        if cause.place and cause.place.link:
            yield {
                "label": cut(f"{cause.subject}: {cause.fact or cause.title}", 200),
                "url": cause.place.link,
            }


# ---------------------------------------------------------------- variables for later jobs

# Nothing that a shell or GitLab would read as more than a value: no blank, quote, `$`, backslash.
_PLAIN = re.compile(r"[A-Za-z0-9_.,:/+%~?&=@-]{1,1000}")


def dotenv(outputs: Mapping[str, str]) -> bytes:
    """The outputs as QALITA_RESULT_<NAME>, which no setting is called. A value that is empty or not plain is
    left out; so are the longest, until the rest fits."""
    values = {
        PREFIX + key.upper().replace("-", "_"): value
        for key, value in outputs.items()
        if _PLAIN.fullmatch(value)
    }
    while len(values) > DOTENV_VARIABLES or sum(map(_size, values.items())) > DOTENV_BYTES:
        del values[max(values, key=lambda key: len(values[key]))]
    return "".join(_lines(values.items())).encode("ascii")


def _size(pair: tuple[str, str]) -> int:
    return len(pair[0]) + len(pair[1]) + 2


def _lines(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (f"{key}={value}\n" for key, value in pairs)
