"""Which provider runs us: exactly one, and a word about every other one that left its marks. Must not read
fields; it reads marks."""

from __future__ import annotations

from qalita_action.ci.fields import Found, Scope, nothing
from qalita_action.ci.providers import GENERIC, NO_CI
from qalita_action.ci.row import Provider
from qalita_action.model import RunWarning

HAND_ON = "docker run $(qalita-ingest context --docker-args) ..., run in the job itself, hands them on"


def choose(
    scope: Scope, table: tuple[Provider, ...], warnings: list[RunWarning]
) -> tuple[Provider, Found | None]:
    """(row, the mark that gave it away): the first row whose marks are set and whose companions confirm them,
    else the generic one, else none."""
    marked = {row.name: mark for row in table if (mark := _mark(scope, row))}
    row = next((row for row in table if row.name in marked and _confirmed(scope, row)), None)
    mark = marked[row.name] if row else _first_set(scope, GENERIC.marks)
    row = row or (GENERIC if mark else NO_CI)
    for other in table:
        if other is not row and other.name not in row.mimics and not other.beside:
            warnings += _about_other(scope, row, other, marked.get(other.name))
    if row is GENERIC:
        text = (
            "CI is set, but no provider is recognised: its variables may not have been handed to this "
            f"container. {HAND_ON}. Commit, branch and change come from your settings and from the checkout "
            "alone."
        )
        warnings.append(RunWarning(code="ci-unread", text=text))
    return row, mark


def _mark(scope: Scope, row: Provider) -> Found | None:
    return row.marked(scope) if row.marked is not nothing else _first_set(scope, row.marks)


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


def _name(found: Found) -> str:
    return found.source.removeprefix("env:")
