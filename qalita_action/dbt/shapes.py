"""Views of dbt's artifacts: only the keys that are used, every one optional, types as wide as real files.

Sources: https://schemas.getdbt.com/dbt/{manifest,run-results,sources}/vN.json, and files of dbt 1.3 to
2.0. Unknown keys are skipped by the decoder, absent ones have defaults. Must not interpret: mapping does.
"""

from __future__ import annotations

from typing import Any

import msgspec

Number = int | float | str | None


class Shape(msgspec.Struct, frozen=True, gc=False):
    """Base of every view: not tracked by the collector, since JSON has no cycles."""


class Metadata(Shape, frozen=True):
    dbt_schema_version: str | None = None
    dbt_version: str | None = None
    generated_at: str | None = None
    invocation_id: str | None = None
    env: dict[str, Any] | None = None  # DBT_ENV_CUSTOM_ENV_<X>=v becomes X: v
    project_name: str | None = None  # 1.6 on
    project_id: str | None = None  # md5 of the project's name
    adapter_type: str | None = None


class TestMetadata(Shape, frozen=True):
    """Present: a generic test. Absent: a singular one. Its type is here, never to be parsed from a name."""

    name: str | None = None
    namespace: str | None = None
    kwargs: dict[str, Any] | None = None


class Config(Shape, frozen=True):
    enabled: Any = None  # false in `nodes` too: a test on a disabled model stays there, and never runs
    severity: str | None = None
    warn_if: str | None = None
    error_if: str | None = None
    where: str | None = None
    fail_calc: str | None = None
    limit: Number = None
    tags: list[Any] | str | None = None
    meta: dict[str, Any] | None = None
    materialized: str | None = None
    group: str | None = None
    freshness: dict[str, Any] | None = None  # sources, 1.10 on; on models it means something else


class DependsOn(Shape, frozen=True):
    nodes: list[str] | None = None


class ColumnInfo(Shape, frozen=True):
    name: str | None = None
    description: str | None = None
    data_type: str | None = None
    tags: list[Any] | str | None = None


class Node(Shape, frozen=True):
    """Anything in `nodes`, `sources`, `exposures`, `unit_tests`, `saved_queries` or `functions`."""

    resource_type: str | None = None
    name: str | None = None
    package_name: str | None = None
    original_file_path: str | None = None
    alias: str | None = None
    relation_name: str | None = None
    compiled_path: str | None = None
    database: str | None = None
    schema: str | None = None
    identifier: str | None = None
    description: str | None = None
    tags: list[Any] | str | None = None
    meta: dict[str, Any] | None = None
    config: Config | None = None
    columns: dict[str, ColumnInfo] | None = None
    depends_on: DependsOn | None = None
    checksum: Any = None  # {name, checksum}, or a string on unit tests of 1.x
    group: str | None = None
    version: Number = None
    owner: dict[str, Any] | None = None  # exposures
    # tests
    test_metadata: TestMetadata | None = None
    column_name: str | None = None
    attached_node: str | None = None  # 1.5 on, null for tests on sources
    # unit tests
    model: str | None = None
    tested_node_unique_id: str | None = None  # 2.x
    # sources
    source_name: str | None = None
    source_meta: dict[str, Any] | None = None
    freshness: dict[str, Any] | None = None

    @property
    def parents(self) -> list[str]:
        return (self.depends_on.nodes or []) if self.depends_on else []

    @property
    def is_enabled(self) -> bool:
        return self.settings.enabled is not False

    @property
    def settings(self) -> Config:
        return self.config or NO_CONFIG


NO_CONFIG = Config()


class Group(Shape, frozen=True):
    name: str | None = None
    owner: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None
    config: dict[str, Any] | None = None  # 1.11 on, where meta lies in it


class Manifest(Shape, frozen=True):
    metadata: Metadata | None = None
    nodes: dict[str, Node] = {}
    sources: dict[str, Node] = {}
    exposures: dict[str, Node] = {}
    unit_tests: dict[str, Node] = {}  # 1.8 on
    saved_queries: dict[str, Node] = {}  # 1.7 on
    functions: dict[str, Node] = {}  # 1.11 on
    metrics: dict[str, Node] = {}
    semantic_models: dict[str, Node] = {}  # 1.6 on
    groups: dict[str, Group] = {}  # 1.5 on
    disabled: dict[str, Any] = {}  # unique_id -> [node]: only the ids matter
    selectors: dict[str, Any] = {}


class Timing(Shape, frozen=True):
    completed_at: str | None = None


class Row(Shape, frozen=True):
    """One entry of run_results.json's `results`. No version says what kind of node it is: the prefix of
    unique_id does."""

    unique_id: str = ""
    status: str | None = None
    message: str | None = None
    failures: Number = None
    execution_time: Number = None
    timing: list[Timing] | None = None


class Args(Shape, frozen=True):
    """The few arguments that tell what a file is evidence of. `vars` and the like are never even decoded."""

    which: str | None = None
    command: str | None = None  # 2.x
    invocation_command: str | None = None  # 1.6 on; may hold --vars with secrets: never leaves dbt/
    empty: Any = None
    sample: Any = None
    select: Any = msgspec.UNSET
    models: Any = msgspec.UNSET
    exclude: Any = msgspec.UNSET
    selector: Any = msgspec.UNSET
    selector_name: Any = msgspec.UNSET
    resource_types: Any = msgspec.UNSET
    resource_type: Any = msgspec.UNSET
    exclude_resource_types: Any = msgspec.UNSET
    indirect_selection: str | None = None
    target: str | None = None
    state: str | None = None


class RunResults(Shape, frozen=True):
    metadata: Metadata | None = None
    results: list[Row] = []
    args: Args | None = None
    elapsed_time: Number = None


class Threshold(Shape, frozen=True):
    count: Number = None
    period: str | None = None


class Criteria(Shape, frozen=True):
    warn_after: Threshold | None = None
    error_after: Threshold | None = None


class FreshnessRow(Shape, frozen=True):
    """One entry of sources.json's `results`. Error rows of 1.3 to 1.7 hold only unique_id, error, status; in
    1.8 to 1.12 a source whose query failed has no row at all."""

    unique_id: str = ""
    status: str | None = None
    max_loaded_at: str | None = None
    max_loaded_at_time_ago_in_s: Number = None
    snapshotted_at: str | None = None
    criteria: Criteria | None = None
    error: Any = None
    execution_time: Number = None
    timing: list[Timing] | None = None


class Sources(Shape, frozen=True):
    metadata: Metadata | None = None
    results: list[FreshnessRow] = []
    elapsed_time: Number = None


class CatalogColumn(Shape, frozen=True):
    name: str | None = None
    type: str | None = None
    comment: str | None = None


class CatalogTable(Shape, frozen=True):
    columns: dict[str, CatalogColumn] = {}


class Catalog(Shape, frozen=True):
    """What the warehouse says of each relation; column names have the warehouse's case."""

    metadata: Metadata | None = None
    nodes: dict[str, CatalogTable] = {}
    sources: dict[str, CatalogTable] = {}
