"""How numbers, times, places and commands are worded, the same in every dialect. Pure text to text: must not
know a dialect's syntax."""

from __future__ import annotations

import re
import shlex
from decimal import Decimal
from typing import Literal

from typing_extensions import assert_never

from qalita_action.errors import DOCS
from qalita_action.model import (
    CheckKind,
    Dataset,
    DatasetKind,
    Excuse,
    Extent,
    LedgerRow,
    Movement,
    Receipt,
    Result,
    Status,
)
from qalita_action.redact import clean_line, cut

Tone = Literal["good", "doubtful", "bad"]

STATUS_WORD: dict[Status, str] = {
    "failed": "failed",
    "errored": "errored",
    "unknown": "unknown",
    "warned": "warned",
    "skipped": "skipped",
    "not_run": "not run",
    "reused": "reused",
    "passed": "passed",
}
"""Worst first: the order in which rows are shown."""

KIND_WORD: dict[CheckKind, str] = {
    "data_test": "data tests",
    "unit_test": "unit tests",
    "freshness": "freshness",
}

EXCUSE: dict[Excuse, str] = {
    "allowed": "the allowlist names them",
    "known": "the base had them too",
    "no-base": "nobody knows whether they are new",
}
"""Why a failure did not block."""

WHY_NOTHING_RAN: dict[str, str] = {
    "empty": "dbt ran with --empty, so the tests saw no data",
    "compile_only": "these files come from a dbt command that compiles tests and runs none",
    "stale": "these files are older than the job, so they tell of another run",
    "foreign": "results and manifest belong to different projects",
    "phantom": "dbt stopped before it ran anything",
    "nothing_selected": "the selection matched no node",
}


def percent(score: float | None) -> str:
    """One decimal, rounded down: `100.0 %` means that all passed. Empty where there is no score."""
    if score is None:
        return ""
    tenths = int(Decimal(repr(score)) * 1000)
    return f"{tenths // 10}.{tenths % 10} %"


def minute(time: str | None) -> str:
    """2026-01-31T07:15:00.123456Z -> 2026-01-31 07:15Z; what is no such time as it is."""
    text = time or ""
    is_utc = len(text) > 19 and text[10] == "T" and text.endswith("Z")
    return f"{text[:10]} {text[11:16]}Z" if is_utc else text


def duration(seconds: float | None) -> str:
    if seconds is None or seconds < 0:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def amount(kind: CheckKind, result: Result) -> str:
    """What a data test found: rows where it counts, the bare number where it averages."""
    if kind != "data_test" or result.status not in {"failed", "warned"} or result.failures is None:
        return ""
    if isinstance(result.failures, int):
        return plural(result.failures, "row")
    return f"{result.failures:g}"


def telling(message: str, worded_amount: str) -> str:
    """Nothing where the message is dbt's `Got 4 results, configured to fail if != 0`: the amount says it."""
    return "" if worded_amount and message.startswith("Got ") else message


def listed(parts: list[str]) -> str:
    return ", ".join(part for part in parts if part)


# ---------------------------------------------------------------- headlines


def total(rows: list[LedgerRow]) -> LedgerRow:
    return LedgerRow(**{f: sum(getattr(row, f) for row in rows) for f in LedgerRow.__struct_fields__})


def without_answer(row: LedgerRow) -> int:
    return row.unknown + row.vanished


def _others(row: LedgerRow) -> list[str]:
    counts = {
        "warned": row.warned,
        "skipped": row.skipped,
        "reused": row.reused,
        "not run": row.not_run,
        "without an answer": without_answer(row),
    }
    return [f"{count:,} {word}" for word, count in counts.items() if count]


def passed_headline(row: LedgerRow) -> str:
    if row.passed == row.expected:
        return f"all {plural(row.expected, 'check')} passed" if row.expected > 1 else "the only check passed"
    return listed([f"{row.passed:,} of {plural(row.expected, 'check')} passed", *_others(row)])


def nothing_tested_headline(row: LedgerRow) -> str:
    if not row.expected:
        return "nothing was tested: no check is defined"
    ran = "none ran" if not row.executed else f"{row.executed:,} ran, none of them decided about data"
    return f"nothing was tested: {plural(row.expected, 'check')} expected, {ran}"


def failed_headline(row: LedgerRow, broken: int, reason: str) -> str:
    counts = {"failed": row.failed, "errored": row.errored, "without an answer": without_answer(row)}
    parts = [f"{count:,} {word}" for word, count in counts.items() if count]
    if parts:  # the first count says of how many
        parts[0] = parts[0].replace(" ", f" of {plural(row.expected, 'check')} ", 1)
    if broken:
        parts.append(f"{plural(broken, 'dataset')} did not build")
    return listed(parts) or (f"refused: {reason}" if reason else "refused by the quality gate")


def extent_sentence(extent: Extent, reason: str | None, row: LedgerRow) -> str:
    """Empty for a complete run; else said plainly, so that nobody reads a part for the whole."""
    if extent == "complete":
        return ""
    tail = "the run did not finish what it selected" if extent == "partial" else ""
    why = clean_line(reason, 200) if reason else ""
    return listed([f"{extent}: {row.executed:,} of {plural(row.expected, 'check')} ran", tail, why])


def ledger_words(row: LedgerRow) -> list[str]:
    """The six that always stand there, then the rare ones where they are not zero."""
    always = {
        "passed": row.passed,
        "warned": row.warned,
        "failed": row.failed,
        "errored": row.errored,
        "skipped": row.skipped,
        "not run": row.not_run,
    }
    rare = {"reused": row.reused, "vanished": row.vanished, "unknown": row.unknown}
    return [f"{word} {count:,}" for word, count in (*always.items(), *((w, c) for w, c in rare.items() if c))]


# ---------------------------------------------------------------- what was published


def published(receipt: Receipt | None) -> tuple[str, Tone]:
    """What really happened, from the receipt alone."""
    if receipt is None:
        return "nothing was sent", "doubtful"
    kept = f"kept in {receipt.spool}" if receipt.spool else ""
    rejected = f"{plural(len(receipt.rejected), 'row')} rejected" if receipt.rejected else ""
    match receipt.status:
        case "recorded":
            text = " · ".join(filter(None, ("QALITA", _counts(receipt), rejected, receipt.url)))
            return text, "doubtful" if rejected else "good"
        case "already-recorded":
            text = " · ".join(filter(None, ("already recorded", rejected, receipt.url)))
            return text, "doubtful" if rejected else "good"
        case "skipped":
            return f"not sent: {receipt.reason or 'no reason given'}", "doubtful"
        case "not-delivered":
            return listed(["NOT DELIVERED", kept]), "bad"
        case "refused":
            return listed(["REFUSED", kept]), "bad"
        case never:
            assert_never(never)


_ERROR_CODE = re.compile(r"[a-z0-9-]{1,60}")  # an anchor of docs/errors.md, as errors.py writes them


def published_details(receipt: Receipt | None) -> list[str]:
    if receipt is None:
        return []
    rejected = [f"rejected {r.kind} {r.key}: {r.detail} [{r.code}]" for r in receipt.rejected]
    code = receipt.error_code or ""
    more = [f"more: {DOCS}#{code}"] if _ERROR_CODE.fullmatch(code) else []
    error = [cut(line, 300) for line in (receipt.error_text or "").splitlines()[:5]]
    cautions = [f"! {caution}" for caution in receipt.cautions]
    return [*error, *cautions, *receipt.notes, *rejected, *more]


def _counts(receipt: Receipt) -> str:
    """`24 checks, 3 causes`: the kinds are plural words, in the order in which they were sent."""
    return listed(
        [f"{n:,} {kind.removesuffix('s') if n == 1 else kind}" for kind, n in receipt.counts.items() if n]
    )


# ---------------------------------------------------------------- what to type


def _argument(text: str) -> str:
    """As a shell takes it: names come from other people's files and are pasted by people in a hurry."""
    return shlex.quote(clean_line(text, 300))


def _selector(dataset: Dataset) -> str:
    """Dbt's selector of one node. A unique_id is `<type>.<package>.<name>[.<version>]`; a source's is
    `source.<package>.<source>.<table>`."""
    tail = dataset.key.split(".", 2)[2] if dataset.key.count(".") >= 2 else dataset.name
    prefixes: dict[DatasetKind, str] = {
        "source": "source:",
        "exposure": "+exposure:",
        "saved_query": "saved_query:",
    }
    return prefixes.get(dataset.kind, "") + tail


def rebuild_command(dataset: Dataset) -> str:
    if dataset.kind == "source":
        return f"dbt build --select {_argument(_selector(dataset) + '+')}"
    selector = _selector(dataset)
    return f"dbt build --select {_argument(selector if selector.startswith('+') else selector + '+')}"


def retest_command(kind: CheckKind, name: str, dataset: Dataset | None) -> str:
    if kind == "freshness":
        return f"dbt source freshness --select {_argument(_selector(dataset) if dataset else name)}"
    store = " --store-failures" if kind == "data_test" else ""
    return f"dbt test --select {_argument(name)}{store}"


def look_at(relation: str) -> str:
    return f"select * from {relation} limit 100" if relation else ""  # noqa: S608 - for people to type


def retest_all_command(dataset: Dataset) -> str:
    return f"dbt test --select {_argument(_selector(dataset))} --store-failures"


MOVED_SHOWN = 5


def movement(moved: Movement) -> str:
    """91.0 % → 86.0 %: −4.0 unique_orders_id, −1.0 freshness raw.orders."""
    parts = [f"{_signed(part.points)} {part.what}" for part in moved.parts[:MOVED_SHOWN]]
    if more := len(moved.parts) - MOVED_SHOWN:
        parts += [f"and {plural(more, 'more change')}"] if more > 0 else []
    told = f"{percent(moved.before)} → {percent(moved.after)}"
    return f"{told}: {', '.join(parts)}" if parts else told


def _signed(points: float) -> str:
    return f"{'−' if points < 0 else '+'}{abs(points):.1f}"
