"""`accept`: today's failures into the allowlist. It only ever appends, so that every comment, reason, owner
and day that people wrote stays as it is.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from qalita_action import mapping
from qalita_action.errors import SettingsError
from qalita_action.model import Allowance
from qalita_action.pipeline import allowances
from qalita_action.pipeline.planning import plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from qalita_action.model import CIContext, Ingest
    from qalita_action.pipeline.world import World
    from qalita_action.settings import Resolved

ACCEPTED = frozenset({"failed", "errored", "unknown", "warned", "dataset-broken"})
AGE = re.compile(r"(\d{1,4})([dw])")
DAYS = {"d": 1, "w": 7}
HEAD = "# Failures that the gate lets pass, each until its day. Written by `qalita-ingest accept`.\n"


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """added: entries that were written. left: reasons that stay, since no entry may stand for them. notices:
    entries that want a look: removable, expired, about to expire."""

    path: str
    added: tuple[Allowance, ...]
    kept: int
    left: tuple[str, ...]
    notices: tuple[str, ...]


def accept(
    resolved: Resolved,
    context: CIContext,
    world: World,
    *,
    expires: str,
    reason: str | None,
    owner: str | None,
) -> Accepted:
    """Errors: those of `dbt` about artifacts; allowances-unreadable; setting-invalid."""
    settings, today = resolved.settings, world.now().date()
    until = last_day(expires, today)
    place = settings.allow_failures or allowances.PLACE
    path = world.workspace / place
    text = allowances.text_of(path) if path.is_file() else ""
    known = allowances.parsed(text, place)
    ingests = plan(settings, context, world).ingests
    gate = settings.gate()
    strict = "fail" if gate.fail_on in ("new", "never") else gate.fail_on
    verdict = mapping.verdict(
        ingests, msgspec.structs.replace(gate, fail_on=strict, allowances=known, today=today)
    )
    listed = {entry.check for entry in known}
    subjects = dict.fromkeys(r.subject for r in verdict.reasons if r.subject and r.code in ACCEPTED)
    owners = _owners(ingests)
    added = tuple(
        Allowance(check=s, reason=reason, owner=owner or owners.get(s), expires=until.isoformat())
        for s in subjects
        if s not in listed
    )
    if added:
        _write(path, _appended(text, added, place))
    names = {a.check for a in added}
    return Accepted(
        path=place,
        added=added,
        kept=len(known),
        left=tuple(r.text for r in verdict.reasons if r.subject not in names and r.code != "skipped"),
        notices=verdict.notices,
    )


def last_day(expires: str, today: date) -> date:
    """`90d`, `12w`, or a day that is still to come."""
    age = AGE.fullmatch(expires.strip())
    try:
        day = (
            today + timedelta(days=int(age[1]) * DAYS[age[2]]) if age else date.fromisoformat(expires.strip())
        )
    except (ValueError, OverflowError):
        day = date.min
    if day < today:
        raise SettingsError(
            "setting-invalid",
            f"--expires has a value that it cannot have: {expires[:40]!r}",
            expected="a time such as 90d or 12w, or a day to come such as 2026-03-31",
            looked=["it came from: flag"],
            todo=["correct it there"],
        )
    return day


def _owners(ingests: Sequence[Ingest]) -> dict[str, str]:
    found = {d.key: d.owner for i in ingests for d in i.datasets if d.owner}
    return {**found, **{c.key: c.owner for i in ingests for c in i.checks if c.owner}}


def _appended(text: str, added: Sequence[Allowance], place: str) -> str:
    """The text as it is with the entries after it, indented as those before them; then read again: what
    people wrote must still say the same."""
    import yaml

    first = re.search(r"^( *)- ", text, re.MULTILINE)
    indent = first[1] if first else ""
    entries: list[dict[str, Any]] = [
        {
            "check": a.check,
            **({"reason": a.reason} if a.reason else {}),
            **({"owner": a.owner} if a.owner else {}),
            "expires": date.fromisoformat(a.expires),
        }
        for a in added
    ]
    block = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=1000)
    lines = "".join(f"{indent}{line}\n" for line in block.splitlines())
    head = text if text.strip() else HEAD
    whole = f"{head}{'' if head.endswith(chr(10)) else chr(10)}{lines}"
    before = allowances.parsed(text, place)
    try:
        is_same = allowances.parsed(whole, place) == (*before, *added)
    except SettingsError:
        is_same = False
    if not is_same:
        raise SettingsError(
            "allowances-unreadable",
            f"nothing can be appended to the allowlist {place}",
            expected="a list with one entry below the other, each beginning with `- `",
            looked=["it was left as it is"],
            todo=["write its entries below each other, then run `accept` again"],
        )
    return whole


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as e:
        raise SettingsError(
            "allowances-unwritable",
            f"the allowlist {path} cannot be written: {e.strerror or type(e).__name__}",
            expected="a folder that this user may write to",
            looked=[str(path)],
            todo=["check --allow-failures, and the folder's owner"],
        ) from None
