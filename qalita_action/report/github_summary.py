"""GitHub's job summary: GFM within a budget of bytes, since a summary over 1 MiB a step is dropped whole
(docs.github.com, workflow commands). Text only: must not open a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from qalita_action.model import Status
from qalita_action.redact import cut, for_markdown, markdown_code
from qalita_action.report import against, words
from qalita_action.report.view import CauseView, Place, Row, Section, View
from qalita_action.report.words import Tone

SUMMARY_LIMIT = 1024 * 1024
CELL_LIMIT = 240
REASONS = 10

MARK: dict[Tone, str] = {"good": "✅", "doubtful": "⚠️", "bad": "❌"}
STATUS_MARK: dict[Status, str] = {
    "failed": "❌",
    "errored": "❌",
    "unknown": "❌",
    "warned": "⚠️",
    "skipped": "⏭️",
    "not_run": "◻️",
    "reused": "♻️",
    "passed": "✅",
}


def size(text: str) -> int:
    return len(text.encode("utf-8"))


def summary(view: View, room: int = SUMMARY_LIMIT) -> str:
    """GFM of at most `room` bytes of UTF-8, worst first. What does not fit is counted; empty where not even
    the verdict fits."""
    alone = len(view.sections) == 1
    title = for_markdown(view.sections[0].name if alone else words.plural(len(view.sections), "project"))
    head = f"## {MARK[view.tone]} {title}: {for_markdown(view.headline)}\n\n"
    if size(head) > room:
        return ""
    gate = _fitting(_gate(view), room - size(head))
    parts = [head, "" if alone else gate]
    left = room - sum(map(size, parts))
    for at, section in enumerate(view.sections):
        share = left // (len(view.sections) - at)
        text = _section(section, share, title="" if alone else _title(section), gate=gate if alone else "")
        parts.append(text)
        left -= size(text)
    return "".join(parts)


def _fitting(text: str, room: int) -> str:
    return text if size(text) <= room else ""


def _gate(view: View) -> str:
    return _blocks(view) + _set_aside(view) + _listed("Of the allowlist", view.notices)


def _blocks(view: View) -> str:
    if not view.blocks:
        return "" if view.state == "passed" else "_The quality gate does not block this job._\n\n"
    shown = "".join(f"- {for_markdown(cut(reason, CELL_LIMIT))}\n" for reason in view.reasons[:REASONS])
    more = len(view.reasons) - REASONS
    rest = f"- … {words.plural(more, 'more reason')}\n" if more > 0 else ""
    why = words.plural(len(view.reasons), "reason") if view.reasons else for_markdown(view.headline)
    return f"**The quality gate blocks: {why}**\n\n{shown}{rest}\n"


def _set_aside(view: View) -> str:
    """What did not block is a failure still, by who lets it pass."""
    parts = []
    for excuse, every in against.by_excuse(view.excused).items():
        title = f"{words.plural(len(every), 'failure')} set aside: {words.EXCUSE[excuse]}"
        parts.append(_listed(title, [f"{e.text} {e.by}".rstrip() for e in every]))
    return "".join(parts)


def _listed(title: str, items: Sequence[str]) -> str:
    if not items:
        return ""
    shown = "".join(f"- {for_markdown(cut(item, CELL_LIMIT))}\n" for item in items[:REASONS])
    more = f"- … {len(items) - REASONS:,} more\n" if len(items) > REASONS else ""
    return f"{for_markdown(title)}:\n\n{shown}{more}\n"


def _title(section: Section) -> str:
    return f"### {MARK[section.tone]} {for_markdown(section.name)}: {for_markdown(section.headline)}\n\n"


def _section(section: Section, room: int, *, title: str, gate: str) -> str:
    """One document within its share of the bytes: the short blocks first, then causes, then other rows."""
    head = title + _lead(section)
    tail = gate + _ledger(section) + _scores(section) + _published(section)
    left = room - size(head) - size(tail)
    if left < 0:
        return _fitting(title, room)
    causes = table(
        "#### What broke\n\n| | What | Found | Where | Owner |\n|---|---|---|---|---|\n",
        map(_cause, section.causes),
        len(section.causes),
        left * 2 // 3,
        lambda more: f"\n{words.plural(more, 'more cause')} in the report.\n",
    )
    rows = [row for row in section.rows if row.status not in {"passed", "reused"}]
    details = table(
        f"<details><summary>{words.plural(len(rows), 'check')} that did not pass</summary>\n\n"
        "| | Check | Dataset | Found | Message | Where | Owner |\n|---|---|---|---|---|---|---|\n",
        map(_row, rows),
        len(rows),
        left - size(causes),
        lambda more: f"\n{words.plural(more, 'more check')} in the report.\n" if more else "",
        "\n</details>\n\n",
    )
    return head + causes + tail + details


def table(
    head: str, rows: Iterable[str], count: int, room: int, tell: Callable[[int], str], foot: str = "\n"
) -> str:
    """As many rows as fit, then how many do not. Nothing where there is no row, or not even the head fits."""
    left = room - size(head) - size(tell(count)) - size(foot)
    if not count or left < 0:
        return _fitting(tell(count), room) if count else ""
    shown = []
    for row in rows:
        left -= size(row)
        if left < 0:
            break
        shown.append(row)
    more = count - len(shown)
    return head + "".join(shown) + (tell(more) if more else "") + foot


def _lead(section: Section) -> str:
    score = f"**Score {words.percent(section.score)}**" if section.score is not None else "**No score**"
    reason = (
        f" ({for_markdown(section.score_reason)})" if section.score is None and section.score_reason else ""
    )
    facts = [
        f"[{for_markdown(fact.text)}](<{fact.link}>)" if fact.link else for_markdown(fact.text)
        for fact in section.facts
        if fact.label not in {"adapter", "finished"}
    ]
    compared = section.comparison is not None and section.comparison.state == "compared"
    doubt = "" if compared else section.against  # told first: a gate that asks what is new rests on it
    notices = [text for text in (doubt, section.why_nothing, section.extent) if text]
    boxes = "".join(f"> [!WARNING]\n> {for_markdown(text)}\n\n" for text in notices)
    told = f"Against {for_markdown(section.against)}\n\n" if compared else ""
    moved = f"Score {for_markdown(section.movement)}\n\n" if section.movement else ""
    gone = _listed("Failed in the base, and removed since", against.removed_and_red(section.comparison))
    return boxes + " · ".join([score + reason, *facts]) + f"\n\n{told}{moved}{gone}"


def _cell(text: str) -> str:
    return for_markdown(cut(text, CELL_LIMIT))


def place_link(place: Place | None) -> str:
    if place is None:
        return ""
    code = markdown_code(f"{place.path}:{place.line}" if place.line else place.path)
    return f"[{code}](<{place.link}>)" if place.link else code


def _cause(cause: CauseView) -> str:
    mark = MARK["bad"] if cause.level == "high" else MARK["doubtful"]
    tag = f"**{cause.tag}** " if cause.tag else ""
    lines = [tag + markdown_code(cut(cause.subject, CELL_LIMIT))]
    if cause.message and (not cause.checks or cause.checks[0].status == "errored"):
        lines.append(_cell(cause.message))
    if cause.check_count > 1:
        names = [markdown_code(cut(row.name, CELL_LIMIT)) for row in cause.checks[:5]]
        more = cause.check_count - len(names)
        lines.append(words.listed([*names, f"{more:,} more" if more > 0 else ""]))
    if cause.followed:
        lines.append(f"skipped because of it: {_cell(cause.followed)}")
    if cause.command:
        lines.append(f"next: {markdown_code(cause.command)}")
    lines += [f"{hint.label}: {markdown_code(cut(hint.text, CELL_LIMIT))}" for hint in cause.hints]
    owner = markdown_code(cause.owner)
    return f"| {mark} | {'<br>'.join(lines)} | {_cell(cause.fact)} | {place_link(cause.place)} | {owner} |\n"


def _row(row: Row) -> str:
    found = _cell(words.listed([words.STATUS_WORD[row.status], row.amount, row.reason, against.told(row)]))
    dataset = markdown_code(cut(f"{row.dataset}.{row.column}" if row.column else row.dataset, CELL_LIMIT))
    cells = (
        STATUS_MARK[row.status],
        markdown_code(cut(row.name, CELL_LIMIT)),
        dataset,
        found,
        _cell(row.message),
        place_link(row.place),
        markdown_code(cut(row.owner, CELL_LIMIT)),
    )
    return f"| {' | '.join(cells)} |\n"


def _ledger(section: Section) -> str:
    entries = [(words.KIND_WORD[kind], row) for kind, row in section.ledger]
    if len(entries) > 1:
        entries.append(("all", section.total))
    elif not entries:
        return ""
    fields = [
        name
        for name in (
            "passed",
            "warned",
            "failed",
            "errored",
            "skipped",
            "not_run",
            "reused",
            "vanished",
            "unknown",
        )
        if name not in {"reused", "vanished", "unknown"} or getattr(section.total, name)
    ]
    titles = [name.replace("_", " ") for name in fields]
    head = f"#### Checks\n\n| | {' | '.join(titles)} | expected |\n|---|{'---:|' * (len(fields) + 1)}\n"
    lines = [
        f"| {label} | {' | '.join(f'{getattr(row, name):,}' for name in fields)} | {row.expected:,} |\n"
        for label, row in entries
    ]
    return head + "".join(lines) + "\n"


def _scores(section: Section) -> str:
    scores = [f"{_cell(name)} {words.percent(value) or 'none'}" for name, value in section.dimensions[:30]]
    return f"Scores: {' · '.join(scores)}\n\n" if scores else ""


def _published(section: Section) -> str:
    text, tone = words.published(section.receipt)
    details = words.published_details(section.receipt)
    lines = [f"- {_cell(detail)}\n" for detail in details[:REASONS]]
    if len(details) > REASONS:
        lines.append(f"- … {len(details) - REASONS:,} more\n")
    receipt = section.receipt
    link = f" [open](<{receipt.url}>)" if receipt and receipt.url else ""
    bare = text.replace(f" · {receipt.url}", "") if receipt and receipt.url else text
    mark = "" if tone == "good" else f"{MARK[tone]} "
    notes = [f"- {for_markdown(warning)}\n" for warning in section.warnings[:REASONS]]
    if len(section.warnings) > REASONS:
        notes.append(f"- … {words.plural(len(section.warnings) - REASONS, 'more note')} in the report\n")
    block = f"{mark}Published: {for_markdown(cut(bare, 1000))}{link}\n\n{''.join(lines)}\n"
    return block + (f"Notes:\n\n{''.join(notes)}\n" if notes else "")
