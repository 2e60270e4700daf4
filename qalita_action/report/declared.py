"""One YAML file as a person sees it: which lines declare a table, a column's tests, a unit test, a freshness.

PyYAML's composer gives the nodes with their lines; nothing is constructed but single scalars, so that aliases
stay what they are, one node, and no bomb goes off. Pure. Must not read a file, nor know a check.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml
from yaml.constructor import SafeConstructor

MERGE_TAG = "tag:yaml.org,2002:merge"
MOST_MERGED = 50  # mappings that one mapping takes keys from
MOST_TABLES = 200_000  # pairs of a source and a table: lists that are shared by aliases multiply
MOST_WORDS = 4000  # characters of a test's arguments, written out as dbt writes them into a name
DEEPEST = 6
# What YAML 1.1 calls a line's end and editors, git and forges do not.
_NO_LINE_ENDS = {0x85: " ", 0x2028: " ", 0x2029: " "}
_LONE_RETURN = re.compile(r"\r(?!\n)")
# dbt-core, TestBuilder: what stands beside a test's arguments and is none.
_NO_ARGUMENTS = frozenset(
    "severity tags enabled where limit warn_if error_if fail_calc store_failures"  # noqa: SIM905 - words
    " store_failures_as meta database schema alias config name test_name description docs arguments"
    " model".split()
)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SECTIONS = ("models", "seeds", "snapshots", "functions")


class Declared(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One entry of a list of tests. type as written, package included; name: its own, if it was given one;
    around: the line of the column or table that it belongs to."""

    type: str
    name: str | None
    line: int
    around: int
    arguments: dict[str, Any] | None  # None: too large to be written out


class Table(msgspec.Struct, frozen=True, eq=False):
    """A model, seed, snapshot or source table. source: the entry that holds a source's table."""

    node: yaml.MappingNode
    source: yaml.MappingNode | None
    line: int


class TooDense(ValueError):
    """No person wrote this file."""


class SchemaFile:
    """The lookups of one file; each part of it is read when somebody asks for it, once."""

    def __init__(self, text: str) -> None:
        """Raises ValueError where it is no YAML whose lines can be told."""
        if _LONE_RETURN.search(text):
            raise ValueError("its lines end as no editor's do")
        plain = text.removeprefix("\ufeff").translate(_NO_LINE_ENDS)
        try:
            roots = list(yaml.compose_all(plain, Loader=_LOADER))
        except (yaml.YAMLError, RecursionError) as error:
            raise ValueError(str(error)) from None
        self._roots = [root for root in roots if isinstance(root, yaml.MappingNode)]
        self._keys: dict[int, tuple[dict[str, tuple[Any, Any]], list[Any]]] = {}
        self._tables: dict[str, dict[str, list[Table]]] = {}
        self._columns: dict[int, dict[str, list[yaml.MappingNode]]] = {}
        self._tests: dict[int, list[Declared]] = {}
        self._scalars = SafeConstructor()

    # ------------------------------------------------------------ nodes

    def pair(self, node: Any, key: str) -> tuple[Any, Any] | None:
        """The key's node and its value's: the mapping's own, the last one winning, else the first that it is
        merged with has."""
        waiting, seen = [node], set[int]()
        while waiting and len(seen) < MOST_MERGED:
            here = waiting.pop(0)
            if id(here) in seen or not isinstance(here, yaml.MappingNode):
                continue
            seen.add(id(here))
            own, merged = self._own(here)
            if key in own:
                return own[key]
            waiting = [*merged[:MOST_MERGED], *waiting]
        return None

    def value(self, node: Any, *path: str) -> Any:
        for key in path:
            found = self.pair(node, key)
            node = found[1] if found else None
        return node

    def text(self, node: Any, key: str) -> str | None:
        value = self.value(node, key)
        return value.value if isinstance(value, yaml.ScalarNode) else None

    def _own(self, node: yaml.MappingNode) -> tuple[dict[str, tuple[Any, Any]], list[Any]]:
        if id(node) not in self._keys:
            own: dict[str, tuple[Any, Any]] = {}
            merged: list[Any] = []
            for key, value in node.value:
                if key.tag == MERGE_TAG:
                    merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
                elif isinstance(key, yaml.ScalarNode):
                    own[key.value] = (key, value)
            self._keys[id(node)] = (own, merged)
        return self._keys[id(node)]

    @staticmethod
    def _entries(node: Any) -> list[Any]:
        """Of a list, each once, however many aliases name it."""
        if not isinstance(node, yaml.SequenceNode):
            return []
        return list({id(entry): entry for entry in node.value}.values())

    def _line(self, node: yaml.MappingNode) -> int:
        """Of an entry: that of its `name`, else of its first key."""
        found = self._own(node)[0].get("name")
        first = found[0] if found else node.value[0][0] if node.value else node
        return int(first.start_mark.line) + 1

    # ------------------------------------------------------------ tables

    def tables(self, section: str, name: str) -> list[Table]:
        """A source's table is called `<source>.<table>`. Raises TooDense."""
        if section not in self._tables:
            self._tables[section] = {}
            for at, (key, table) in enumerate(self._all(section)):
                if at > MOST_TABLES:
                    raise TooDense
                self._tables[section].setdefault(key, []).append(table)
        return self._tables[section].get(name, [])

    def _all(self, section: str) -> Iterator[tuple[str, Table]]:
        for entry in (e for root in self._roots for e in self._entries(self.value(root, section))):
            name = self.text(entry, "name")
            if name is None:
                continue
            if section != "sources":
                yield name, Table(entry, None, self._line(entry))
                continue
            for table in self._entries(self.value(entry, "tables")):
                if called := self.text(table, "name"):
                    yield f"{name}.{called}", Table(table, entry, self._line(table))

    def version(self, table: Table, version: str) -> yaml.MappingNode | None:
        versions = self._entries(self.value(table.node, "versions"))
        return next((v for v in versions if self.text(v, "v") == version), None)

    def freshness(self, table: Table) -> int | None:
        """The table's own, else its source's."""
        for node in (table.node, table.source):
            for holder in (self.value(node, "config"), node):
                found = self.pair(holder, "freshness")
                if found:
                    return int(found[0].start_mark.line) + 1
        return None

    def unit_tests(self, name: str, model: str | None) -> list[int]:
        found = [
            entry
            for root in self._roots
            for entry in self._entries(self.value(root, "unit_tests"))
            if self.text(entry, "name") == name
        ]
        of_model = [entry for entry in found if model is None or self.text(entry, "model") == model]
        return [self._line(entry) for entry in (of_model or found)]

    # ------------------------------------------------------------ tests

    def tests_of(self, table: Table, version: str | None, column: str | None) -> list[Declared]:
        """Tests on the column, or on the table itself; those on the table that name the column, too."""
        override = self.version(table, version) if version is not None else None
        if version is not None and override is None:
            return []
        at_table = [override] if override and self._has_tests(override) else [table.node]
        found = [test for node in at_table for test in self._tests_at(node)]
        if column is None:
            return [test for test in found if not (test.arguments or {}).get("column_name")]
        named = [test for test in found if (test.arguments or {}).get("column_name") == column]
        if override and self._includes(override, column):
            columns = [*self._column(override, column), *self._column(table.node, column)]
        else:
            columns = self._column(override or table.node, column)
        return [*(test for node in columns for test in self._tests_at(node)), *named]

    def named(self, name: str) -> list[int]:
        """Lines of tests with a name of their own, anywhere in the file. Raises TooDense."""
        holders: dict[int, Any] = {}
        for section in (*SECTIONS, "sources"):
            self.tables(section, "")
            for table in (t for tables in self._tables[section].values() for t in tables):
                versions = self._entries(self.value(table.node, "versions"))
                holders |= {id(node): node for node in (table.node, *versions)}
        lists = {id(c): c for node in holders.values() if (c := self.value(node, "columns")) is not None}
        holders |= {id(c): c for columns in lists.values() for c in self._entries(columns)}
        return [t.line for node in holders.values() for t in self._tests_at(node) if t.name == name]

    def _has_tests(self, node: Any) -> bool:
        return any(self.pair(node, key) for key in ("data_tests", "tests"))

    def _includes(self, version: yaml.MappingNode, column: str) -> bool:
        """Whether a version takes the model's column over: `include` and `exclude` among its columns, all
        where it says nothing."""
        for entry in self._entries(self.value(version, "columns")):
            if self.pair(entry, "include"):
                taken, left = self.value(entry, "include"), self.value(entry, "exclude")
                takes = _scalar(taken) in {"all", "*"} or column in _scalars(taken)
                return takes and column not in _scalars(left)
        return True

    def _column(self, node: yaml.MappingNode, name: str) -> list[yaml.MappingNode]:
        columns = self.value(node, "columns")
        if id(columns) not in self._columns:
            found: dict[str, list[yaml.MappingNode]] = {}
            for entry in self._entries(columns):
                if called := self.text(entry, "name"):
                    found.setdefault(_unquoted(called), []).append(entry)
            self._columns[id(columns)] = found
        known = self._columns[id(columns)]
        if name in known:
            return known[name]
        alike = [nodes for key, nodes in known.items() if key.casefold() == name.casefold()]
        return alike[0] if len(alike) == 1 else []

    def _tests_at(self, holder: yaml.MappingNode) -> list[Declared]:
        if id(holder) not in self._tests:
            lists = [self.value(holder, key) for key in ("data_tests", "tests")]
            entries = {id(entry): entry for tests in lists for entry in self._entries(tests)}
            around = self._line(holder)
            found = [self._test(entry, around) for entry in entries.values()]
            self._tests[id(holder)] = [test for test in found if test]
        return self._tests[id(holder)]

    def _test(self, entry: Any, around: int) -> Declared | None:
        if isinstance(entry, yaml.ScalarNode):
            line = entry.start_mark.line + 1
            return Declared(type=entry.value.strip(), name=None, line=line, around=around, arguments={})
        if not isinstance(entry, yaml.MappingNode) or not entry.value:
            return None
        given: Any = entry
        kind = self.text(entry, "test_name")
        if kind is None:
            key, given = entry.value[0]
            if len(entry.value) > 1 or not isinstance(key, yaml.ScalarNode):
                return None
            kind = key.value
        return Declared(
            type=kind.strip(),
            name=self.text(given, "name"),
            line=int(entry.value[0][0].start_mark.line) + 1,
            around=around,
            arguments=self._arguments(given),
        )

    def _arguments(self, given: Any) -> dict[str, Any] | None:
        nodes = {k: v for k, v in self._flat(given).items() if k not in _NO_ARGUMENTS}
        nodes |= self._flat(self.value(given, "arguments"))
        room = [MOST_WORDS]
        try:
            return {key: self._plain(node, room, DEEPEST) for key, node in nodes.items()}
        except TooDense:
            return None

    def _flat(self, node: Any) -> dict[str, Any]:
        """A mapping's values, merged ones included."""
        waiting, seen, found = [node], set[int](), dict[str, Any]()
        while waiting and len(seen) < MOST_MERGED:
            here = waiting.pop(0)
            if id(here) in seen or not isinstance(here, yaml.MappingNode):
                continue
            seen.add(id(here))
            own, merged = self._own(here)
            found = {**{key: value for key, (_, value) in own.items()}, **found}
            waiting = [*merged[:MOST_MERGED], *waiting]
        return found

    def _plain(self, node: Any, room: list[int], deep: int) -> Any:
        """As dbt's loader gives it, within `room` characters: shared nodes are counted each time."""
        room[0] -= len(node.value) + 1
        if room[0] < 0 or deep < 0:
            raise TooDense
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(entry, room, deep - 1) for entry in node.value]
        if isinstance(node, yaml.MappingNode):
            return {
                str(self._plain(key, room, deep - 1)): self._plain(value, room, deep - 1)
                for key, value in node.value
            }
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError):
            return node.value


def _scalar(node: Any) -> str | None:
    return node.value if isinstance(node, yaml.ScalarNode) else None


def _scalars(node: Any) -> set[str]:
    if not isinstance(node, yaml.SequenceNode):
        return set()
    return {entry.value for entry in node.value if isinstance(entry, yaml.ScalarNode)}


def _unquoted(name: str) -> str:
    return name[1:-1] if len(name) > 1 and name[0] + name[-1] in {'""', "``", "[]"} else name
