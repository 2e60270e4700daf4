"""Data tests, unit tests and source freshness to checks and their results. Pure.

Every enabled test of the manifest is a check, whether or not it ran: what did not run is said, never dropped.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from qalita_action.mapping import dimensions, identity, masking, status, tested
from qalita_action.mapping.datasets import checksum_of
from qalita_action.mapping.owners import meta_of, owner_of, tags_of
from qalita_action.model import DIMENSIONS, Check, Result

if TYPE_CHECKING:
    from qalita_action.dbt import Evidence
    from qalita_action.dbt.shapes import FreshnessRow, Node
    from qalita_action.mapping.owners import FileOwners
    from qalita_action.model import Policy


class Built(msgspec.Struct, frozen=True):
    """checks and results in the same order; parents: what each check reads, for the causes; defaulted: test
    types that the dimension table does not know.
    """

    checks: tuple[Check, ...]
    results: tuple[Result, ...]
    parents: dict[str, tuple[str, ...]]
    defaulted: dict[str, int]


class _Tested(msgspec.Struct, frozen=True):
    """What the checks of one dataset inherit from it, worked out once."""

    owner: str | None
    dimension: str | None


_NOBODY = _Tested(None, None)


def build(evidence: Evidence, groups: dict[str, str], files: FileOwners, policy: Policy) -> Built:
    names = tested.index(evidence.manifest)
    inherited = {
        key: _Tested(owner_of(node, groups) or files.of_node(node), _said_dimension(node))
        for key, node in names.nodes.items()
        if not key.startswith("test.")
    }
    defaulted: dict[str, int] = {}
    pairs: list[tuple[Check, Result]] = []
    parents: dict[str, tuple[str, ...]] = {}
    for key, node in evidence.manifest.nodes.items():
        if (key.startswith("test.") or node.resource_type == "test") and (
            node.is_enabled or key in evidence.rows
        ):
            check = _data_test(key, node, names, inherited, groups, policy, defaulted)
            if check.owner is None and (owner := files.of_node(node)):
                check = msgspec.structs.replace(check, owner=owner)
            pairs.append((check, _result(key, evidence, policy)))
            read = node.parents
            parents[key] = tuple(read) if len(read) == 1 else tuple(p for p in read if p in names.nodes)
    for key, node in evidence.manifest.unit_tests.items():
        if not node.is_enabled and key not in evidence.rows:
            continue
        check = _unit_test(key, node, names, inherited, groups)
        pairs.append((check, _result(key, evidence, policy)))
        parents[key] = (check.dataset,) if check.dataset else ()
    for key, node in evidence.manifest.sources.items():
        row = (evidence.freshness or {}).get(key)
        criteria = _criteria(node, row)
        if row or (criteria and node.is_enabled):
            check = _freshness(key, node, criteria, inherited[key].owner)
            pairs.append((check, _freshness_result(key, evidence, policy)))
            parents[key] = (key,)
    pairs.sort(key=_by_key)
    return Built(tuple(c for c, _ in pairs), tuple(r for _, r in pairs), parents, defaulted)


def _by_key(pair: tuple[Check, Result]) -> str:
    return pair[0].key  # a source's one check is its freshness: keys do not repeat


def _data_test(
    key: str,
    node: Node,
    names: tested.Index,
    inherited: dict[str, _Tested],
    groups: dict[str, str],
    policy: Policy,
    defaulted: dict[str, int],
) -> Check:
    meta, config = node.test_metadata, node.settings
    kwargs = (meta.kwargs or {}) if meta else {}
    test_type = (meta.name if meta else None) or "singular"
    namespace = meta.namespace if meta else None
    dataset = tested.dataset_of(node, names)
    column = tested.column_of(node)
    target = inherited.get(dataset or "", _NOBODY)
    definition = kwargs if meta else checksum_of(node) or node.original_file_path
    dimension = (
        _said_dimension(node)
        or target.dimension
        or dimensions.dimension_of(namespace, test_type, policy.dimensions)
    )
    if dimension is None:
        label = f"{namespace}.{test_type}" if namespace else test_type
        defaulted[label] = defaulted.get(label, 0) + 1
    alias = identity.fingerprint(
        [dataset, column, test_type, namespace, kwargs, config.where] if meta else [dataset, definition]
    )
    rules = (config.severity, config.warn_if, config.error_if, config.fail_calc, config.limit, config.where)
    return Check(
        key=key,
        alias=alias,
        name=node.name or key,
        kind="data_test",
        type=test_type,
        namespace=namespace,
        dataset=dataset,
        column=column,
        dimension=dimension or dimensions.DEFAULT,
        severity=(config.severity or "error").lower(),
        warn_if=config.warn_if,
        error_if=config.error_if,
        where=masking.sql(config.where, send=policy.send_sql),
        arguments=masking.arguments(kwargs),
        description=node.description or None,
        tags=tags_of(node),
        owner=owner_of(node, groups) or target.owner,
        path=node.original_file_path,
        line=None,
        definition_checksum=alias[:16] + _hash_of_rules(rules)[:16],
    )


@lru_cache(maxsize=1024)  # most tests of a project have the same severity and thresholds
def _hash_of_rules(rules: tuple[Any, ...]) -> str:
    return identity.fingerprint(rules)


def _said_dimension(node: Node) -> str | None:
    """`meta: {qalita: {dimension: ...}}` on a test, or on what it tests."""
    meta = meta_of(node)
    ours = meta.get("qalita") if meta else None
    value = ours.get("dimension") if isinstance(ours, dict) else None
    known = isinstance(value, str) and value.lower() in DIMENSIONS
    return value.lower() if known and isinstance(value, str) else None


def _unit_test(
    key: str, node: Node, names: tested.Index, inherited: dict[str, _Tested], groups: dict[str, str]
) -> Check:
    parents = [p for p in node.parents if p in names.nodes]
    dataset = node.tested_node_unique_id or (parents[0] if parents else None)
    dataset = dataset if dataset in names.nodes else None
    target = inherited.get(dataset or "", _NOBODY)
    return Check(
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
        owner=owner_of(node, groups) or target.owner,
        path=node.original_file_path,
        line=None,
        definition_checksum=identity.fingerprint([key, checksum_of(node)]),
    )


def _result(key: str, evidence: Evidence, policy: Policy) -> Result:
    row = evidence.rows.get(key)
    if row is None:
        return Result(check=key, status="not_run", reason=evidence.discarded.get(key))
    result = status.test_result(key, row, send_messages=policy.send_messages)
    if result.executed_at is None and result.duration_s is not None and evidence.completed_at:
        at = evidence.completed_at.isoformat().replace("+00:00", "Z")
        result = msgspec.structs.replace(result, executed_at=at)
    return result


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


def _freshness(key: str, node: Node, criteria: dict[str, str], owner: str | None) -> Check:
    name = f"freshness {node.source_name}.{node.name}"
    definition: list[Any] = [key, "freshness", criteria]
    return Check(
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
        owner=owner,
        path=node.original_file_path,
        line=None,
        definition_checksum=identity.fingerprint(definition),
    )


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
