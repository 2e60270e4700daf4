"""Models, seeds, snapshots, sources, exposures, saved queries and functions to datasets. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qalita_action.mapping import identity, status
from qalita_action.mapping.owners import listed, owner_of, tags_of
from qalita_action.model import Column, Dataset, DatasetKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qalita_action.dbt import Evidence
    from qalita_action.dbt.shapes import CatalogTable, Manifest, Node
    from qalita_action.mapping.owners import FileOwners

KINDS: dict[str, DatasetKind] = {
    "model": "model",
    "seed": "seed",
    "snapshot": "snapshot",
    "source": "source",
    "exposure": "exposure",
    "saved_query": "saved_query",
    "function": "function",
}
# In `nodes`, and no dataset: tests are checks, analyses and hooks build nothing that lasts.
NO_DATASET = frozenset({"test", "analysis", "operation", "sql_operation", "rpc", "sql operation"})


def build(
    evidence: Evidence, groups: dict[str, str], files: FileOwners, *, send_messages: bool
) -> tuple[Dataset, ...]:
    """One dataset per node that holds or serves data, sorted by key; a hook only where it broke."""
    nodes = {key: node for key, node in _dataset_nodes(evidence.manifest) if node.is_enabled}
    for key, row in evidence.rows.items():
        broke = status.NODE_WORDS.get((row.status or "").casefold()) in ("errored", "partial")
        if key.startswith("operation.") and broke and key in evidence.manifest.nodes:
            nodes[key] = evidence.manifest.nodes[key]
    known = nodes.keys()
    return tuple(
        _dataset(key, nodes[key], evidence, groups, files, known, send_messages=send_messages)
        for key in sorted(nodes)
    )


def _dataset_nodes(manifest: Manifest) -> Iterator[tuple[str, Node]]:
    for key, node in manifest.nodes.items():
        if kind_of(key, node) not in NO_DATASET:
            yield key, node
    for more in (manifest.sources, manifest.exposures, manifest.saved_queries, manifest.functions):
        yield from more.items()


def graph(manifest: Manifest) -> dict[str, list[str]]:
    """Parents of everything but tests: metrics and semantic models carry a skip and are no datasets."""
    nodes = dict(_dataset_nodes(manifest))
    return {key: node.parents for key, node in (nodes | manifest.metrics | manifest.semantic_models).items()}


def kind_of(key: str, node: Node) -> str:
    return node.resource_type or key.partition(".")[0]


def _dataset(
    key: str,
    node: Node,
    evidence: Evidence,
    groups: dict[str, str],
    files: FileOwners,
    known: Any,
    *,
    send_messages: bool,
) -> Dataset:
    name = node.name or key.rsplit(".", maxsplit=1)[-1]
    row = evidence.rows.get(key)
    return Dataset(
        key=key,
        name=name,
        scope=identity.scope(
            name=name,
            package=node.package_name,
            root=evidence.project_name,
            source=(node.source_name or "") if key.startswith("source.") else None,
            version=node.version,
        ),
        kind=KINDS.get(kind_of(key, node), "other"),
        relation=node.relation_name,
        database=node.database,
        schema=node.schema,
        identifier=node.identifier or node.alias,
        path=node.original_file_path,
        description=node.description or None,
        tags=tags_of(node),
        owner=owner_of(node, groups) or files.of_node(node),
        group=node.group or node.settings.group,
        columns=_columns(node, evidence.catalog.get(key)),
        depends_on=tuple(sorted({p for p in node.parents if p in known})),
        checksum=checksum_of(node),
        run=status.node_run(node, row, send_messages=send_messages) if row else None,
    )


def _columns(node: Node, table: CatalogTable | None) -> tuple[Column, ...]:
    """Declared columns, with the warehouse's types, then those that only the catalog knows. Warehouses fold
    the case of names (upper on Snowflake), so names are compared without it.
    """
    if table is None and not node.columns:
        return ()
    real = {name.casefold(): column for name, column in (table.columns if table else {}).items()}
    declared = []
    for label, column in (node.columns or {}).items():
        name = column.name or label
        in_warehouse = real.pop(name.casefold(), None)
        declared.append(
            Column(
                name=name,
                data_type=column.data_type or (in_warehouse.type if in_warehouse else None),
                description=column.description or None,
                tags=listed(column.tags),
            )
        )
    rest = [Column(name=c.name or name, data_type=c.type) for name, c in real.items()]
    return (*declared, *rest)


def checksum_of(node: Node) -> str | None:
    """{name, checksum}, or a string on unit tests of 1.x; 2.x writes `none` for tests."""
    value = node.checksum
    if isinstance(value, dict):
        value = value.get("checksum")
    return value if isinstance(value, str) and value else None
