"""Data tests, unit tests and source freshness to checks and their results. Pure.

Every enabled test of the manifest is a check, whether or not it ran: what did not run is said, never dropped.
"""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter
from sys import intern
from typing import TYPE_CHECKING, Any

import msgspec
from typing_extensions import assert_never

from qalita_action.mapping import dimensions, identity, masking, status, tested
from qalita_action.mapping.datasets import checksum_of
from qalita_action.mapping.owners import is_silent, meta_of, owner_of, tags_of
from qalita_action.model import DIMENSIONS, Check, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qalita_action.dbt import Evidence
    from qalita_action.dbt.shapes import FreshnessRow, Node
    from qalita_action.mapping.owners import FileOwners
    from qalita_action.model import Policy, Status

    _Make = Callable[[str, Node, Evidence, "_About"], tuple[Check, Result]]


class Built(msgspec.Struct, frozen=True):
    """pairs: sorted by the check's key; parents: what each check reads that is red or was skipped, for the
    causes; defaulted: test types that the dimension table does not know.
    """

    pairs: tuple[tuple[Check, Result], ...]
    parents: dict[str, tuple[str, ...]]
    defaulted: dict[str, int]


class _Said(msgspec.Struct, frozen=True):
    """Of a test, or of a dataset for all that test it."""

    owner: str | None
    dimension: str | None


_NOTHING = _Said(None, None)


class _About(msgspec.Struct, frozen=True):
    """What every check is made with. said: by each dataset; completed_at: for rows that tell no time."""

    names: tested.Index
    said: dict[str, _Said]
    groups: dict[str, str]
    files: FileOwners
    policy: Policy
    completed_at: str | None
    defaulted: dict[str, int]


def build(evidence: Evidence, groups: dict[str, str], files: FileOwners, policy: Policy) -> Built:
    names = tested.index(evidence.manifest)
    said = {
        key: _Said(owner_of(node, groups) or files.of_node(node), _said_dimension(node))
        for key, node in names.nodes.items()
    }
    at = evidence.completed_at.isoformat() if evidence.completed_at else None
    about = _About(names, said, groups, files, policy, status.utc(at), {})
    pairs: list[tuple[Check, Result]] = []
    parents: dict[str, tuple[str, ...]] = {}
    # Made in the order in which all that follows reads them, they lie so in memory: half the time of a pass.
    for key, node, make in sorted(_expected(evidence), key=itemgetter(0)):
        check, result = make(key, node, evidence, about)
        pairs.append((check, result))
        if result.status in _TRACED:
            parents[key] = _read_by(check, node, names)
    return Built(tuple(pairs), parents, about.defaulted)


_TRACED: frozenset[Status] = frozenset({"failed", "errored", "skipped"})


def _expected(evidence: Evidence) -> Iterator[tuple[str, Node, _Make]]:
    """What the manifest enables, and what ran all the same."""
    rows, freshness = evidence.rows, evidence.freshness or {}
    for key, node in evidence.manifest.nodes.items():
        if (key.startswith("test.") or node.resource_type == "test") and (node.is_enabled or key in rows):
            yield key, node, _data_test
    for key, node in evidence.manifest.unit_tests.items():
        if node.is_enabled or key in rows:
            yield key, node, _unit_test
    for key, node in evidence.manifest.sources.items():
        if key in freshness or (node.is_enabled and _criteria(node, None)):
            yield key, node, _freshness


def _read_by(check: Check, node: Node, names: tested.Index) -> tuple[str, ...]:
    match check.kind:
        case "data_test":
            read = node.parents
            return tuple(read) if len(read) == 1 else tuple(p for p in read if p in names.nodes)
        case "unit_test":
            return (check.dataset,) if check.dataset else ()
        case "freshness":
            return (check.key,)
        case _:
            assert_never(check.kind)


def _data_test(key: str, node: Node, evidence: Evidence, about: _About) -> tuple[Check, Result]:
    meta, config, policy = node.test_metadata, node.settings, about.policy
    kwargs = (meta.kwargs or {}) if meta else {}
    test_type = (meta.name if meta else None) or "singular"
    namespace = meta.namespace if meta else None
    dataset = tested.dataset_of(node, about.names)
    column = tested.column_of(node)
    own = _NOTHING if is_silent(node) else _Said(owner_of(node, about.groups), _said_dimension(node))
    inherited = about.said.get(dataset or "", _NOTHING)
    dimension = (
        own.dimension
        or inherited.dimension
        or dimensions.dimension_of(namespace, test_type, policy.dimensions)
    )
    if dimension is None:
        label = f"{namespace}.{test_type}" if namespace else test_type
        about.defaulted[label] = about.defaulted.get(label, 0) + 1
    alias = identity.fingerprint(
        [dataset, column, test_type, namespace, kwargs, config.where]
        if meta
        else [dataset, checksum_of(node) or node.original_file_path]
    )
    rules = (config.severity, config.warn_if, config.error_if, config.fail_calc, config.limit, config.where)
    # By position as far as it can be read: twenty names cost more than all that they name.
    check = Check(
        key,
        alias,
        node.name or key,
        "data_test",
        intern(test_type),
        namespace,
        dataset and intern(dataset),
        column,
        dimension=dimension or dimensions.DEFAULT,
        severity=intern((config.severity or "error").lower()),
        warn_if=config.warn_if,
        error_if=config.error_if,
        where=masking.sql(config.where, send=policy.send_sql),
        arguments=masking.arguments(kwargs),
        description=node.description or None,
        tags=tags_of(node),
        owner=own.owner or inherited.owner or about.files.of_node(node),
        path=node.original_file_path,
        line=None,
        definition_checksum=alias[:16] + _hash_of_rules(rules)[:16],
    )
    return check, _result(key, evidence, about)


@lru_cache(maxsize=1024)  # most tests of a project have the same severity and thresholds
def _hash_of_rules(rules: tuple[Any, ...]) -> str:
    return identity.fingerprint(rules)


def _said_dimension(node: Node) -> str | None:
    """`meta: {qalita: {dimension: ...}}` on a test, or on what it tests."""
    ours = meta_of(node).get("qalita")
    value = ours.get("dimension") if isinstance(ours, dict) else None
    known = isinstance(value, str) and value.lower() in DIMENSIONS
    return value.lower() if known and isinstance(value, str) else None


def _unit_test(key: str, node: Node, evidence: Evidence, about: _About) -> tuple[Check, Result]:
    parents = [p for p in node.parents if p in about.names.nodes]
    dataset = node.tested_node_unique_id or (parents[0] if parents else None)
    dataset = dataset if dataset in about.names.nodes else None
    check = Check(
        key=key,
        alias=identity.fingerprint([dataset, node.name]),
        name=node.name or key,
        kind="unit_test",
        type="unit_test",
        namespace=None,
        dataset=dataset,
        column=None,
        dimension="validity",
        severity="error",
        warn_if=None,
        error_if=None,
        where=None,
        arguments={},
        description=node.description or None,
        tags=tags_of(node),
        owner=owner_of(node, about.groups) or about.said.get(dataset or "", _NOTHING).owner,
        path=node.original_file_path,
        line=None,
        definition_checksum=identity.fingerprint([key, checksum_of(node)]),
    )
    return check, _result(key, evidence, about)


def _result(key: str, evidence: Evidence, about: _About) -> Result:
    row = evidence.rows.get(key)
    if row is None:
        return Result(check=key, status="not_run", reason=evidence.discarded.get(key))
    return status.test_result(
        key, row, completed_at=about.completed_at, send_messages=about.policy.send_messages
    )


def _criteria(node: Node, row: FreshnessRow | None) -> dict[str, str]:
    """{warn_after, error_after} as `1 day`; empty where no freshness is configured. dbt writes null counts
    for a source that declares none.
    """
    configured = node.freshness or node.settings.freshness or {}
    found: dict[str, str] = {}
    for key in ("warn_after", "error_after"):
        rule = configured.get(key)
        count, period = (rule.get("count"), rule.get("period")) if isinstance(rule, dict) else (None, None)
        if count is None and row and row.criteria:
            said = getattr(row.criteria, key)
            count, period = (said.count, said.period) if said else (None, None)
        if count is not None:
            found[key] = f"{count} {period}{'' if count == 1 else 's'}"
    return found


def _freshness(key: str, node: Node, evidence: Evidence, about: _About) -> tuple[Check, Result]:
    criteria = _criteria(node, (evidence.freshness or {}).get(key))
    name = f"freshness {node.source_name}.{node.name}"
    definition: list[Any] = [key, "freshness", criteria]
    check = Check(
        key=key,
        alias=identity.fingerprint([key, None, "freshness", None, {}, None]),
        name=name,
        kind="freshness",
        type="freshness",
        namespace=None,
        dataset=key,
        column=None,
        dimension="timeliness",
        severity="error" if "error_after" in criteria else "warn",
        warn_if=_older(criteria.get("warn_after")),
        error_if=_older(criteria.get("error_after")),
        where=None,
        arguments={},
        description=None,
        tags=tags_of(node),
        owner=about.said[key].owner,
        path=node.original_file_path,
        line=None,
        definition_checksum=identity.fingerprint(definition),
    )
    return check, _freshness_result(key, evidence, about.policy)


def _older(age: str | None) -> str | None:
    return f"older than {age}" if age else None


def _freshness_result(key: str, evidence: Evidence, policy: Policy) -> Result:
    """A source that is configured and missing from a sources.json of this run vanished: dbt 1.8 to 1.12 drop
    sources whose query failed. Where dbt exited with 0 none can have failed: it was not selected.
    """
    if evidence.freshness is None:
        return Result(check=key, status="not_run")
    row = evidence.freshness.get(key)
    if row is not None:
        return status.freshness_result(key, row, send_messages=policy.send_messages)
    if evidence.dbt_exit_code == 0:
        return Result(check=key, status="not_run", reason="not selected")
    return Result(check=key, status="unknown", reason="vanished")
