"""The comment on a pull or merge request: GFM within a forge's limit, what is new first. Text only: must not
call anybody.

No line begins with somebody else's text: GitLab would carry out `/close`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from qalita_action.model import Ingest, Novelty, Value
from qalita_action.redact import cut, for_markdown, markdown_code
from qalita_action.report import words
from qalita_action.report.against import told
from qalita_action.report.github_summary import CELL_LIMIT, MARK, STATUS_MARK, place_link, size, table
from qalita_action.report.marker import Marker, marker_of
from qalita_action.report.view import CauseView, Fact, Row, Section, View

BODY_LIMIT = 65_000  # bytes; GitHub takes 65,536 characters
NAMES_SHOWN = 50
_HANDLE = re.compile(r"@[A-Za-z0-9][A-Za-z0-9_.-]{0,99}(?:/[A-Za-z0-9_.-]{1,100}){0,5}", re.ASCII)
_TAGS = ("new", "worse", "known", "")
_EVERYBODY = frozenset({"@all", "@everyone", "@here", "@channel"})


class Comment(Value, frozen=True, kw_only=True):
    """is_news: something is failing, new or fixed, so that a first comment is worth it."""

    body: str
    marker: Marker
    is_failing: bool
    is_news: bool


def comment(ingests: Sequence[Ingest], view: View, *, mention_owners: bool = False) -> Comment:
    counted = sum((_counted(section) for section in view.sections), Counter[Novelty]())
    is_failing = view.blocks or view.state == "failed"
    marker = marker_of(ingests)
    return Comment(
        body=f"{marker}\n{_body(view, BODY_LIMIT - size(str(marker)) - 1, mention_owners=mention_owners)}",
        marker=marker,
        is_failing=is_failing,
        is_news=is_failing or bool(counted["new"] or counted["fixed"]),
    )


def _counted(section: Section) -> Counter[Novelty]:
    base = section.comparison
    return Counter(d.novelty for d in base.differences.values()) if base else Counter()


def _body(view: View, room: int, *, mention_owners: bool) -> str:
    alone = len(view.sections) == 1
    title = view.sections[0].name if alone else words.plural(len(view.sections), "project")
    head = f"### {MARK[view.tone]} {for_markdown(title)}: {for_markdown(view.headline)}\n\n{_gate(view)}"
    parts, left = [head], room - size(head)
    for at, section in enumerate(view.sections):
        share = left // (len(view.sections) - at)
        titled = (
            f"#### {MARK[section.tone]} {for_markdown(section.name)}: {for_markdown(section.headline)}\n\n"
        )
        text = _section(section, share, title="" if alone else titled, mention_owners=mention_owners)
        parts.append(text)
        left -= size(text)
    return "".join(parts)


def _gate(view: View) -> str:
    return _blocks(view) + _set_aside(view)


def _set_aside(view: View) -> str:
    """What did not block is a failure still: counted, by who lets it pass."""
    counted = Counter(e.excuse for e in view.excused if not e.is_consequence)
    return "".join(
        f"{words.plural(count, 'failure')} set aside: {words.EXCUSE[excuse]}.\n\n"
        for excuse, count in counted.items()
    )


def _blocks(view: View) -> str:
    if not view.blocks:
        return ""
    reason = view.reasons[0] if view.reasons else view.headline
    more = f" and {words.plural(len(view.reasons) - 1, 'more reason')}" if len(view.reasons) > 1 else ""
    return f"**The quality gate blocks:** {for_markdown(cut(reason, CELL_LIMIT))}{more}\n\n"


def _section(section: Section, room: int, *, title: str, mention_owners: bool) -> str:
    head, tail = title + _lead(section), _foot(section)
    left = room - size(head) - size(tail)
    if left < 0:
        return title if size(title) <= room else ""
    causes = sorted(section.causes, key=lambda cause: (cause.level != "high", _TAGS.index(cause.tag)))
    broke = table(
        "| | What broke | Found | Owner | Next |\n|---|---|---|---|---|\n",
        (_cause(cause, mention_owners=mention_owners) for cause in causes),
        len(causes),
        left // 2,
        lambda more: f"\n{words.plural(more, 'more cause')} in the report.\n" if more else "",
    )
    rows = [row for row in section.rows if row.status not in {"passed", "reused", "not_run"}]
    details = table(
        f"<details><summary>{words.plural(len(rows), 'check')} that did not pass</summary>\n\n"
        "| | Check | Dataset | Found | Message |\n|---|---|---|---|---|\n",
        map(_row, rows),
        len(rows),
        left - size(broke),
        lambda more: f"\n{words.plural(more, 'more check')} in the report.\n" if more else "",
        "\n</details>\n\n",
    )
    changed = _changed(section)
    fits = size(broke) + size(details) + size(changed) <= left
    return head + broke + (changed if fits else "") + details + tail


def _lead(section: Section) -> str:
    score = f"**Score {words.percent(section.score)}**" if section.score is not None else "**No score**"
    why = f" ({for_markdown(section.score_reason)})" if section.score is None and section.score_reason else ""
    moved = f"Score {for_markdown(section.movement)}\n\n" if section.movement else ""
    notices = [text for text in (section.why_nothing, section.extent) if text]
    boxes = "".join(f"> {MARK['doubtful']} {for_markdown(text)}\n\n" for text in notices)
    return f"{score}{why} · {_against(section)}\n\n{moved}{boxes}"


def _against(section: Section) -> str:
    compared = section.comparison
    reason = f": {compared.reason}" if compared and compared.reason else ""
    return for_markdown(section.against or f"nothing to compare with{reason}")


def _cause(cause: CauseView, *, mention_owners: bool) -> str:
    mark = MARK["bad"] if cause.level == "high" else MARK["doubtful"]
    name = markdown_code(cut(cause.subject, CELL_LIMIT))
    lines = [words.listed([name, f"{cause.check_count:,} checks" if cause.check_count > 1 else ""])]
    lines += [link for link in (place_link(cause.place),) if link]
    if cause.followed:
        lines.append(f"skipped because of it: {for_markdown(cut(cause.followed, CELL_LIMIT))}")
    found = words.listed([for_markdown(cut(cause.fact, CELL_LIMIT)), f"**{cause.tag}**" if cause.tag else ""])
    owner = _owner(cause.owner, mention_owners=mention_owners)
    return f"| {mark} | {'<br>'.join(lines)} | {found} | {owner} | {markdown_code(cause.command)} |\n"


def _owner(owner: str, *, mention_owners: bool) -> str:
    """As code, which notifies nobody; where asked for, each handle as a mention."""
    handles = re.split(r"[,\s]+", owner)[:5] if mention_owners else []
    handles = list(dict.fromkeys(h for h in handles if _HANDLE.fullmatch(h) and h.lower() not in _EVERYBODY))
    return " ".join(handles) or markdown_code(cut(owner, CELL_LIMIT))


def _row(row: Row) -> str:
    found = words.listed([words.STATUS_WORD[row.status], row.amount, told(row)])
    dataset = markdown_code(cut(f"{row.dataset}.{row.column}" if row.column else row.dataset, CELL_LIMIT))
    name = "<br>".join(filter(None, (markdown_code(cut(row.name, CELL_LIMIT)), place_link(row.place))))
    message = for_markdown(cut(row.message, CELL_LIMIT))
    return f"| {STATUS_MARK[row.status]} | {name} | {dataset} | {for_markdown(found)} | {message} |\n"


def _changed(section: Section) -> str:
    """Names of what the change mended, and of checks that it took away."""
    compared = section.comparison
    if compared is None or compared.state != "compared":
        return ""
    names = {row.key: row.name for row in section.rows}
    fixed = [names.get(k, k) for k, d in compared.differences.items() if d.novelty == "fixed"]
    removed = [gone.name for gone in compared.removed]
    return _names("fixed", fixed) + _names("removed", removed)


def _names(what: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    lines = [f"- {markdown_code(cut(name, CELL_LIMIT))}\n" for name in names[:NAMES_SHOWN]]
    more = f"- … {len(names) - NAMES_SHOWN:,} more\n" if len(names) > NAMES_SHOWN else ""
    return f"<details><summary>{len(names):,} {what}</summary>\n\n{''.join(lines)}{more}\n</details>\n\n"


def _foot(section: Section) -> str:
    receipt = section.receipt
    links = [f"[{label}](<{fact.link}>)" for fact, label in _linked(section)]
    links += [f"[QALITA](<{receipt.url}>)"] if receipt and receipt.url else []
    facts = [for_markdown(fact.text) for fact in section.facts if fact.label in {"command", "dbt"}]
    return f"<sub>dbt-ingest: {' · '.join([*links, *facts])}</sub>\n\n" if links or facts else ""


def _linked(section: Section) -> list[tuple[Fact, str]]:
    labels = {"pipeline": "run", "commit": "commit"}
    return [(fact, labels[fact.label]) for fact in section.facts if fact.link and fact.label in labels]
