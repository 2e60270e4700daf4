"""Who is tested: the dataset and the column of a test, by shape. Pure.

1) `attached_node` (dbt 1.5 on; null for tests on sources); 2) the ref() or source() in
`test_metadata.kwargs.model`; 3) the only parent. Never the first parent: relationships lists [to, tested] in
1.x and [tested, to] in 2.x.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from qalita_action.dbt.shapes import Manifest, Node

_REF = re.compile(r"\bref\(([^()]*)\)")
_SOURCE = re.compile(r"\bsource\(([^()]*)\)")
_QUOTED = re.compile(r"""(?:(\w+)\s*=\s*)?(?:'([^']*)'|"([^"]*)"|([\w.]+))""")


_QUOTES = ('"', "`", "[", "")


class Index(msgspec.Struct, frozen=True):
    """Names to ids, built once per manifest. nodes: all that a test may be about."""

    nodes: dict[str, Node]
    by_name: dict[str, tuple[str, ...]]
    by_source: dict[tuple[str, str], tuple[str, ...]]


def index(manifest: Manifest) -> Index:
    nodes = {key: node for key, node in manifest.nodes.items() if not key.startswith("test.")}
    by_name: dict[str, list[str]] = {}
    by_source: dict[tuple[str, str], list[str]] = {}
    for key, node in nodes.items():
        if node.name and not key.startswith(("operation.", "analysis.")):
            by_name.setdefault(node.name, []).append(key)
    for key, node in manifest.sources.items():
        by_source.setdefault((node.source_name or "", node.name or ""), []).append(key)
    return Index(
        nodes | manifest.sources,
        {k: tuple(v) for k, v in by_name.items()},
        {k: tuple(v) for k, v in by_source.items()},
    )


def dataset_of(test: Node, names: Index) -> str | None:
    """unique_id of the tested dataset; None where a test has no single one: it belongs to the project."""
    if test.attached_node and test.attached_node in names.nodes:
        return test.attached_node
    kwargs = (test.test_metadata.kwargs or {}) if test.test_metadata else {}
    model = kwargs.get("model")
    if isinstance(model, str):
        named = _by_reference(model, test, names)
        if named:
            return named
    parents = [p for p in test.parents if p in names.nodes]
    return parents[0] if len(parents) == 1 else None


def column_of(test: Node) -> str | None:
    column: Any = test.column_name
    if not column and test.test_metadata:
        column = (test.test_metadata.kwargs or {}).get("column_name")
    return unquote(column) if isinstance(column, str) and column.strip() else None


def unquote(name: str) -> str:
    """`"libellé"`, `` `x` `` and `[x]` are how warehouses quote; the quotes are not the name."""
    text = name.strip()
    if text[:1] not in _QUOTES:
        return text
    for left, right in ('""', "``", "[]"):
        if len(text) > 1 and text[0] == left and text[-1] == right:
            return text[1:-1]
    return text


def _by_reference(model: str, test: Node, names: Index) -> str | None:
    found = _SOURCE.search(model)
    if found:
        words, _ = _arguments(found[1])
        candidates = names.by_source.get((words[0], words[1]), ()) if len(words) == 2 else ()
        return _only(candidates, test, names)
    found = _REF.search(model)
    if not found:
        return None
    words, version = _arguments(found[1])
    if not words:
        return None
    candidates = names.by_name.get(words[-1], ())
    if len(words) == 2:
        candidates = tuple(c for c in candidates if names.nodes[c].package_name == words[0])
    if version is not None:
        candidates = tuple(c for c in candidates if str(names.nodes[c].version) == version)
    return _only(candidates, test, names)


def _arguments(text: str) -> tuple[list[str], str | None]:
    """Positional strings, and `version=` or `v=`."""
    words: list[str] = []
    version = None
    for key, single, double, bare in _QUOTED.findall(text):
        value = single or double or bare
        if key in ("version", "v"):
            version = value
        elif not key:
            words.append(value)
    return words, version


def _only(candidates: tuple[str, ...], test: Node, names: Index) -> str | None:
    """The one that the test depends on; among several, the one of the test's own package; else nobody."""
    among = [c for c in candidates if c in test.parents] or list(candidates)
    if len(among) > 1:
        among = [c for c in among if names.nodes[c].package_name == test.package_name]
    return among[0] if len(among) == 1 else None
