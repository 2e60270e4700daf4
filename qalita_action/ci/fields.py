"""The words that a provider's row is written in. A cell is a function from what is known to one value and
where it came from, or None. Must not read the world: environment and event are handed in.

A name that starts with a slash is a JSON pointer into the event file, any other is a variable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from string import Formatter
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote

from qalita_action.ci.urls import repository_url, slug
from qalita_action.ci.values import unset
from qalita_action.model import Value


class Found(NamedTuple):
    """A raw value and its source: `flag`, `input`, `config`, `env:NAME`, `event:/pointer`, `git:<file>`."""

    value: str
    source: str


class Scope(Value, frozen=True, kw_only=True):
    """What cells may look at. user holds the user's own words by field name."""

    env: Mapping[str, str]
    event: Any = None
    user: Mapping[str, Found] = {}

    def look(self, name: str) -> Found | None:
        """The variable or event member of that name; None where it is unset, empty or not a scalar."""
        if name.startswith("/"):
            text = _scalar(at(self.event, name))
            return Found(text, f"event:{name}") if text else None
        text = self.env.get(name, "").strip()
        return None if unset(text) else Found(text, f"env:{name}")


Cell: TypeAlias = Callable[[Scope], "Found | None"]
Test: TypeAlias = Callable[[Scope], bool]


def at(document: Any, pointer: str) -> Any:
    """What stands at a JSON pointer, or None. Never raises, whatever the document's shape."""
    for step in pointer[1:].split("/"):
        if isinstance(document, dict):
            document = document.get(step)
        elif isinstance(document, list) and step.isdigit() and int(step) < len(document):
            document = document[int(step)]
        else:
            return None
    return document


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def var(*names: str) -> Cell:
    """The first of the names that is set."""

    def cell(scope: Scope) -> Found | None:
        return next((found for name in names if (found := scope.look(name))), None)

    return cell


def first(*cells: Cell) -> Cell:
    """The first cell that says something."""

    def cell(scope: Scope) -> Found | None:
        return next((found for part in cells if (found := part(scope))), None)

    return cell


def said(field: str) -> Cell:
    """The user's own word for a field, for cells that are built from it."""
    return lambda scope: scope.user.get(field)


def fmt(template: str, **parts: Cell) -> Cell:
    """A template over names, or over the cells given by keyword. Says nothing unless every part is there. Its
    source is that of its last part, the most specific one."""
    names = [name for _, name, _, _ in Formatter().parse(template) if name]

    def cell(scope: Scope) -> Found | None:
        found = {name: parts.get(name, var(name))(scope) for name in names}
        known = {name: part for name, part in found.items() if part}
        if len(known) < len(found):
            return None
        return Found(
            template.format_map({name: part.value for name, part in known.items()}), known[names[-1]].source
        )

    return cell


def match(pattern: str, inner: Cell) -> Cell:
    """The first group of an anchored pattern in another cell's value."""

    def cell(scope: Scope) -> Found | None:
        found = inner(scope)
        hit = re.fullmatch(pattern, found.value) if found else None
        return Found(hit[1], found.source) if hit and found and hit[1] else None

    return cell


def only(value: str) -> Cell:
    """A constant, as a part of a template."""
    return lambda _: Found(value, "")


def number_after(inner: Cell) -> Cell:
    """One more than a count: attempts begin at one, retries at none."""

    def cell(scope: Scope) -> Found | None:
        found = inner(scope)
        counts = found is not None and re.fullmatch(r"[0-9]{1,8}", found.value)
        return Found(str(int(found.value) + 1), found.source) if found and counts else None

    return cell


def quoted(inner: Cell) -> Cell:
    """As one segment of an address."""

    def cell(scope: Scope) -> Found | None:
        found = inner(scope)
        return Found(quote(found.value, safe="", errors="replace"), found.source) if found else None

    return cell


def path_of(inner: Cell) -> Cell:
    """`owner/name` of a repository's address, whatever its form."""

    def cell(scope: Scope) -> Found | None:
        found = inner(scope)
        path = slug(repository_url(found.value)) if found else None
        return Found(path, found.source) if found and path else None

    return cell


def looked_up(table: Mapping[str, str], inner: Cell) -> Cell:
    """The entry of a table under another cell's value, in lower case."""

    def cell(scope: Scope) -> Found | None:
        found = inner(scope)
        entry = table.get(found.value.lower()) if found else None
        return Found(entry, found.source) if found and entry else None

    return cell


def branch(*names: str) -> Cell:
    """The branch of the first full ref among the names that is one (`refs/heads/x`)."""
    return first(*(match(r"refs/heads/(.+)", var(name)) for name in names))


def tag(*names: str) -> Cell:
    """The tag of the first full ref among the names that is one (`refs/tags/x`)."""
    return first(*(match(r"refs/tags/(.+)", var(name)) for name in names))


def when(test: Test, inner: Cell) -> Cell:
    return lambda scope: inner(scope) if test(scope) else None


def unless(test: Test, inner: Cell) -> Cell:
    return lambda scope: None if test(scope) else inner(scope)


def is_set(*names: str) -> Test:
    return lambda scope: any(scope.look(name) for name in names)


def one_of(name: str, values: Collection[str]) -> Test:
    def test(scope: Scope) -> bool:
        found = scope.look(name)
        return found is not None and found.value in values

    return test


def either(*tests: Test) -> Test:
    return lambda scope: any(test(scope) for test in tests)


def both(*tests: Test) -> Test:
    return lambda scope: all(test(scope) for test in tests)


def neither(*tests: Test) -> Test:
    return lambda scope: not any(test(scope) for test in tests)


def says(cell: Cell) -> Test:
    """Whether a cell says something."""
    return lambda scope: cell(scope) is not None


def never(_: Scope) -> bool:
    return False


def nothing(_: Scope) -> Found | None:
    return None
