"""Which provider runs us: exactly one, and a word about every other one that left its marks. Must not read
fields; it reads marks."""

from __future__ import annotations

from qalita_action.ci.fields import Found, Scope
from qalita_action.ci.providers import GENERIC, NO_CI, PROVIDERS, Provider
from qalita_action.model import RunWarning


def choose(scope: Scope, warnings: list[RunWarning]) -> tuple[Provider, Found | None]:
    """(row, the mark that gave it away): the first row whose marks are set and whose companions confirm them,
    else the generic one, else none."""
    marked = {row.name: mark for row in PROVIDERS if (mark := _first_set(scope, row.marks))}
    row = next((row for row in PROVIDERS if row.name in marked and _confirmed(scope, row)), None)
    mark = marked[row.name] if row else _first_set(scope, GENERIC.marks)
    row = row or (GENERIC if mark else NO_CI)
    for other in PROVIDERS:
        if other is not row and other.name not in row.mimics:
            warnings += _about_other(scope, row, other, marked.get(other.name))
    if mark and not row.fields:
        warnings.append(_unread(row))
    return row, mark


def _first_set(scope: Scope, names: tuple[str, ...]) -> Found | None:
    return next((found for name in names if (found := scope.look(name))), None)


def _confirmed(scope: Scope, row: Provider) -> bool:
    return not row.companions or _first_set(scope, row.companions) is not None


def _about_other(scope: Scope, row: Provider, other: Provider, mark: Found | None) -> list[RunWarning]:
    if mark and _confirmed(scope, other):
        text = f"{_name(mark)} is set as well ({other.title}); this run is taken for {row.title}."
        return [RunWarning(code="ci-nested", text=text)]
    if mark:
        text = (
            f"{_name(mark)} is set without {' or '.join(other.companions)}: a leftover in an image, or the "
            f"variables of {other.title} were not all handed to this container. None of them is believed."
        )
        return [RunWarning(code="ci-stale", text=text)]
    leftover = _first_set(scope, other.leftovers)
    if leftover:
        text = f"{_name(leftover)} is set, but {other.marks[0]} is not: a leftover of an image."
        return [RunWarning(code="ci-stale", text=f"{text} It is not believed.")]
    return []


def _unread(row: Provider) -> RunWarning:
    what = (
        "CI is set, but no provider is recognised; its variables may not have been handed to this container"
        if row is GENERIC
        else f"{row.title} is recognised, but its variables are not read"
    )
    text = f"{what}. Commit, branch and change come from your settings and from the checkout alone."
    return RunWarning(code="ci-unread", text=text)


def _name(found: Found) -> str:
    return found.source.removeprefix("env:")
