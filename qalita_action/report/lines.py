"""The line that declares a check or builds a dataset, as a person would point at it, and where its file lies
in the repository. The manifest names the file alone. Where the line cannot be known there is none: never a
wrong one. Reads through the reader that it is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from qalita_action.model import Check, Dataset, Ingest, Result, Status, Value

if TYPE_CHECKING:
    from qalita_action.report.declared import Declared, SchemaFile, Table

YAML_ENDINGS = (".yml", ".yaml")
PACKAGE_FOLDERS = ("dbt_packages", "dbt_modules")
# Rows that a person goes to. The others may be tens of thousands.
SHOWN: frozenset[Status] = frozenset({"failed", "errored", "unknown", "warned", "skipped"})
BROKEN = frozenset({"errored", "partial"})
_SECTION = {"model": "models", "seed": "seeds", "snapshot": "snapshots", "source": "sources"}
_VERSION = re.compile(r"(.+)\.v([^.]+)")
_PACKAGE = re.compile(r"\w+")
_NO_WORD = re.compile(r"[^0-9a-zA-Z_]+")


class Reader(Protocol):
    """Files of the repository, by their path from its root."""

    def text(self, path: str) -> str | None:
        """None where there is none, it is outside, too large, or no text."""

    def real(self, path: str) -> str | None:
        """The path with its links followed; None outside of the repository."""

    def has_folder(self, path: str) -> bool: ...


class Spot(Value, frozen=True, kw_only=True):
    """path: from the repository's root. in_repository: whether the forge has the file."""

    path: str
    line: int | None
    in_repository: bool = True


class Spots(Value, frozen=True, kw_only=True):
    """By key. A source and its freshness share theirs."""

    checks: dict[str, Spot] = msgspec.field(default_factory=dict)
    datasets: dict[str, Spot] = msgspec.field(default_factory=dict)


def locate(ingest: Ingest, folder: str, reader: Reader) -> Spots:
    """Of what did not pass. folder: the project's in the repository, "" for its root."""
    finder = _Finder(ingest, folder.strip("/"), reader)
    results = {result.check: result for result in ingest.results if result.status in SHOWN}
    good = {result.check for result in ingest.results if result.status not in SHOWN}
    checks = [c for c in ingest.checks if c.path and c.key not in good]
    # The reader's room is limited, and is for the worst.
    checks.sort(key=lambda check: _badness(results.get(check.key)))
    asked = {key for cause in ingest.causes for key in (cause.dataset, *cause.checks[:20])}
    datasets = [d for d in ingest.datasets if d.path and (d.key in asked or _is_broken(d))]
    return Spots(
        checks={c.key: finder.spot(c.key, c.path or "", finder.of_check(c), c.line) for c in checks},
        datasets={d.key: finder.spot(d.key, d.path or "", finder.of_dataset(d)) for d in datasets},
    )


def _badness(result: Result | None) -> tuple[bool, float]:
    """What has no answer first, then by how many rows failed."""
    if result is None or result.status in ("errored", "unknown"):
        return False, 0.0
    return True, -float(result.failures or 0)


def _is_broken(dataset: Dataset) -> bool:
    return dataset.run is not None and dataset.run.status in BROKEN


class _Finder:
    """Each file is read and parsed once."""

    def __init__(self, ingest: Ingest, folder: str, reader: Reader) -> None:
        self.project = ingest.source.project
        self.folder = f"{folder}/" if folder else ""
        self.reader = reader
        self._files: dict[str, SchemaFile | None] = {}
        self._packages: dict[str, str] = {}

    def spot(
        self, key: str, path: str, line_in: Callable[[str, str], int | None], line: int | None = None
    ) -> Spot:
        """line_in: path and text -> line. line: what the document tells already."""
        wanted = f"{self._base(key)}{path}".replace("\\", "/")
        real = self.reader.real(wanted)
        where = real or wanted
        text = self.reader.text(where) if real else None
        if text is not None:
            with suppress(ValueError):  # too dense to be a person's
                line = line_in(where, text) or line
        installed = any(part in PACKAGE_FOLDERS for part in where.split("/"))
        return Spot(path=where, line=line, in_repository=not installed)

    def _base(self, key: str) -> str:
        """A package's paths count from where dbt installed it."""
        package = key.split(".")[1] if key.count(".") > 1 else ""
        if package == self.project or not _PACKAGE.fullmatch(package):
            return self.folder
        if package not in self._packages:
            places = (f"{self.folder}{installed}/{package}" for installed in PACKAGE_FOLDERS)
            found = next(filter(self.reader.has_folder, places), None)
            self._packages[package] = f"{found}/" if found else self.folder
        return self._packages[package]

    def _schema(self, path: str, text: str) -> SchemaFile | None:
        from qalita_action.report.declared import SchemaFile

        if path not in self._files:
            try:
                self._files[path] = SchemaFile(text)
            except ValueError:
                self._files[path] = None
        return self._files[path]

    # ------------------------------------------------------------ what is looked for

    def of_check(self, check: Check) -> Callable[[str, str], int | None]:
        def line_in(path: str, text: str) -> int | None:
            if not path.endswith(YAML_ENDINGS):
                return 1 if check.type == "singular" and text.strip() else None
            schema = self._schema(path, text)
            if schema is None:
                return None
            match check.kind:
                case "unit_test":
                    return _unit_test(schema, check)
                case "freshness":
                    lines = [schema.freshness(table) for table in schema.tables("sources", _tail(check.key))]
                    return _only(lines)
                case _:
                    return _data_test(schema, check)

        return line_in

    def of_dataset(self, dataset: Dataset) -> Callable[[str, str], int | None]:
        def line_in(path: str, text: str) -> int | None:
            if path.endswith(YAML_ENDINGS):
                schema = self._schema(path, text)
                section = _SECTION.get(dataset.kind)
                found = schema.tables(section, _tail(dataset.key)) if schema and section else []
                return _only([table.line for table in found])
            if dataset.kind == "snapshot" and path.endswith(".sql"):
                return _snapshot(text, dataset.name)
            return 1 if text.strip() else None

        return line_in


def _tail(key: str) -> str:
    """`source.pkg.src.table` -> `src.table`."""
    return key.split(".", 2)[2] if key.count(".") > 1 else key


def _only(lines: Sequence[int | None]) -> int | None:
    found = set(lines)
    return found.pop() if len(found) == 1 else None


def _snapshot(text: str, name: str) -> int | None:
    """A file may hold several: `{% snapshot name %}`."""
    opening = re.compile(rf"\{{%-?\s*snapshot\s+{re.escape(name)}\s*-?%\}}")
    return _only([text.count("\n", 0, found.start()) + 1 for found in opening.finditer(text)])


def _unit_test(schema: SchemaFile, check: Check) -> int | None:
    tail = _tail(check.dataset) if check.dataset else None
    versioned = _VERSION.fullmatch(tail) if tail else None
    model, version = (versioned[1], versioned[2]) if versioned else (tail, None)
    found = schema.unit_tests(check.name, model)
    if not found and version:  # dbt names a unit test of every version after it
        found = schema.unit_tests(check.name.removesuffix(f"_v{version}"), model)
    return _only(found)


def _data_test(schema: SchemaFile, check: Check) -> int | None:
    section = _SECTION.get((check.dataset or "").split(".", 1)[0])
    if check.dataset is None or section is None:
        return _only(schema.named(check.name))
    tail = _tail(check.dataset)
    tables: list[tuple[Table, str | None]] = [(table, None) for table in schema.tables(section, tail)]
    if not tables and (versioned := _VERSION.fullmatch(tail)):
        tables = [(table, versioned[2]) for table in schema.tables(section, versioned[1])]
    found = {
        test.line: test
        for table, version in tables
        for test in schema.tests_of(table, version, check.column)
        if _is_of_type(test, check)
    }
    return _chosen(list(found.values()), check, tail)


def _is_of_type(test: Declared, check: Check) -> bool:
    package, _, name = test.type.rpartition(".")
    return name == check.type and (not package or not check.namespace or package == check.namespace)


def _chosen(found: list[Declared], check: Check, tail: str) -> int | None:
    """By its own name, by the name that dbt makes of its arguments, by the arguments that the document tells;
    where several are left, the column or table that they all belong to."""
    by_name = [test for test in found if test.name == check.name]
    # a name with Jinja in it is known after dbt has rendered it, so not here
    left = by_name or [test for test in found if test.name is None or "{{" in test.name]
    for is_meant in (_has_made_name(check, tail), _has_arguments(check)):
        if len(left) < 2:
            break
        left = [test for test in left if is_meant(test)] or left
    return left[0].line if len(left) == 1 else _only([test.around for test in left])


def _has_made_name(check: Check, tail: str) -> Callable[[Declared], bool]:
    """dbt-core's synthesize_generic_test_names: type, table, then the values of the sorted arguments."""
    origin = "source_" if (check.dataset or "").startswith("source.") else ""
    package = f"{check.namespace}_" if check.namespace else ""
    start = f"{package}{origin}{check.type}_{tail.replace('.', '_')}_"

    def is_meant(test: Declared) -> bool:
        if test.arguments is None:
            return False
        quoted = f'"{check.column}"'
        for column in (check.column, quoted) if check.column else (None,):
            arguments = {**({"column_name": column} if column else {}), **test.arguments}
            if check.name == start + "__".join(_NO_WORD.sub("_", w) for w in _words(arguments)):
                return True
        return False

    return is_meant


def _words(arguments: dict[str, Any]) -> list[str]:
    found: list[Any] = []
    for key in sorted(arguments):
        match arguments[key]:
            case dict() as value:
                found += value.values()
            case list() as value:
                found += value
            case value:
                found.append(value)
    return [str(value) for value in found]


def _has_arguments(check: Check) -> Callable[[Declared], bool]:
    def is_meant(test: Declared) -> bool:
        said = {k: v for k, v in (test.arguments or {}).items() if k != "column_name"}
        return said.keys() == check.arguments.keys() and all(
            _agrees(check.arguments[key], value) for key, value in said.items()
        )

    return is_meant


def _agrees(told: Any, written: Any) -> bool:
    """told: as the document has it, literals counted instead of kept."""
    if not isinstance(told, dict):
        return bool(told == written) and type(told) is type(written)
    count = told.get("literals")
    if isinstance(written, list):
        return isinstance(count, int) and count == sum(isinstance(entry, str) for entry in written)
    return count == (len(written) if isinstance(written, dict) else 1)
