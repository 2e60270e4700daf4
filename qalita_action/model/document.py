"""The canonical document, schemaVersion "1": rows as frozen values, and their one JSON.

The document (`Ingest`) is what the contract calls schemaVersion "1": times are RFC 3339 UTC strings, unknown
is None, never a default that looks like an answer. Field order is the order of the JSON.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SCHEMA_VERSION = "1"

Status = Literal["passed", "warned", "failed", "errored", "skipped", "reused", "not_run", "unknown"]
CheckKind = Literal["data_test", "unit_test", "freshness"]
DatasetKind = Literal["model", "seed", "snapshot", "source", "exposure", "saved_query", "function", "other"]
RunStatus = Literal["passed", "errored", "partial", "skipped", "not_run"]
ArtifactVerdict = Literal[
    "executed", "empty", "compile_only", "stale", "foreign", "phantom", "nothing_selected"
]
Extent = Literal["complete", "selected", "partial"]
Level = Literal["high", "warning", "info"]
Visibility = Literal["private", "internal", "public"]

DIMENSIONS = (
    "completeness",
    "uniqueness",
    "validity",
    "consistency",
    "accuracy",
    "timeliness",
    "reasonability",
    "schema",
)
EXECUTED: frozenset[Status] = frozenset({"passed", "warned", "failed", "errored"})


class Value(msgspec.Struct, frozen=True, gc=False):
    """Base of every row: frozen, not tracked by the collector (30,000 of them are normal)."""


class Source(Value, frozen=True, kw_only=True):
    """A QALITA source: one dbt project in one environment. name = <project>-<environment>[-<suite>]."""

    name: str
    type: str = "dbt"
    project: str
    environment: str
    suite: str | None = None
    adapter: str | None = None
    description: str | None = None
    visibility: Visibility = "internal"

    @classmethod
    def of(
        cls,
        *,
        project: str,
        environment: str,
        suite: str | None = None,
        adapter: str | None = None,
        visibility: Visibility = "internal",
    ) -> Source:
        return cls(
            name="-".join(part for part in (project, environment, suite) if part),
            project=project,
            environment=environment,
            suite=suite,
            adapter=adapter,
            description=f"dbt project {project}, environment {environment}",
            visibility=visibility,
        )


class Git(Value, frozen=True, kw_only=True):
    """sha is the head that people mean; checkout_sha is what the CI checked out (maybe a merge commit)."""

    sha: str | None = None
    checkout_sha: str | None = None
    branch: str | None = None
    tag: str | None = None
    default_branch: str | None = None
    base_branch: str | None = None
    base_sha: str | None = None
    repository_url: str | None = None
    head_repository: str | None = None
    dirty: bool | None = None
    shallow: bool | None = None


class CI(Value, frozen=True, kw_only=True):
    """Where this program runs. Ids are strings: they pass 2^31 and some are free text."""

    provider: str | None = None
    event: str | None = None
    change_id: str | None = None
    pipeline_id: str | None = None
    pipeline_name: str | None = None
    pipeline_url: str | None = None
    job_id: str | None = None
    job_name: str | None = None
    job_url: str | None = None
    attempt: int | None = None
    actor: str | None = None
    started_at: str | None = None


class Orchestrator(Value, frozen=True, kw_only=True):
    """Airflow, Dagster, Prefect, Argo or dbt Cloud, when one of them started the job."""

    name: str
    job: str | None = None
    task: str | None = None
    run_id: str | None = None
    attempt: int | None = None
    url: str | None = None


class RunWarning(Value, frozen=True, kw_only=True):
    """Something worth a person's look that did not stop the run."""

    code: str
    text: str


class Tool(Value, frozen=True, kw_only=True):
    name: str
    version: str


class Run(Value, frozen=True, kw_only=True):
    key: str
    content_digest: str
    verdict: ArtifactVerdict
    extent: Extent
    extent_reason: str | None
    invocation_ids: tuple[str, ...]
    commands: tuple[str, ...]
    dbt_version: str | None
    adapter_type: str | None
    dbt_exit_code: int | None
    started_at: str | None
    completed_at: str | None
    elapsed_s: float | None
    git: Git
    ci: CI
    orchestrator: Orchestrator | None
    warnings: tuple[RunWarning, ...]
    tool: Tool


class Column(Value, frozen=True, kw_only=True):
    name: str
    data_type: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()


class DatasetRun(Value, frozen=True, kw_only=True):
    status: RunStatus
    duration_s: float | None = None
    message: str | None = None


class Dataset(Value, frozen=True, kw_only=True):
    key: str
    name: str
    scope: str
    kind: DatasetKind
    relation: str | None
    database: str | None
    schema: str | None
    identifier: str | None
    path: str | None
    description: str | None
    tags: tuple[str, ...]
    owner: str | None
    group: str | None
    columns: tuple[Column, ...]
    depends_on: tuple[str, ...]
    checksum: str | None
    run: DatasetRun | None


class Check(Value, frozen=True):
    key: str
    alias: str
    name: str
    kind: CheckKind
    type: str
    namespace: str | None
    dataset: str | None
    column: str | None
    dimension: str
    severity: str
    warn_if: str | None
    error_if: str | None
    where: str | None
    arguments: dict[str, Any]
    description: str | None
    tags: tuple[str, ...]
    owner: str | None
    path: str | None
    line: int | None
    definition_checksum: str


class Result(Value, frozen=True, kw_only=True):
    """Exactly one per check. failures is a count where fail_calc counts, a float where it averages."""

    check: str
    status: Status
    reason: str | None = None
    failures: int | float | None = None
    message: str | None = None
    executed_at: str | None = None
    duration_s: float | None = None
    caused_by: tuple[str, ...] = ()


class Cause(Value, frozen=True, kw_only=True):
    """What broke, and what followed from it. checks: the failing checks themselves; consequences: keys of the
    checks and datasets that were skipped because of it."""

    key: str
    level: Level
    title: str
    body: str
    dataset: str | None
    checks: tuple[str, ...]
    consequences: tuple[str, ...]
    owner: str | None


class Scores(Value, frozen=True, kw_only=True):
    """Unweighted means in 0..1, kept with 6 decimals, rounded down; None over nothing.
    by_column keys are "<dataset key>.<column>"."""

    overall: float | None
    overall_reason: str | None
    by_dimension: dict[str, float | None]
    by_dataset: dict[str, float | None]
    by_column: dict[str, float | None]


class LedgerRow(Value, frozen=True, kw_only=True):
    """executed = passed + warned + failed + errored; executed and the rest add up to expected."""

    expected: int = 0
    executed: int = 0
    passed: int = 0
    warned: int = 0
    failed: int = 0
    errored: int = 0
    skipped: int = 0
    reused: int = 0
    not_run: int = 0
    vanished: int = 0
    unknown: int = 0


class Ledger(Value, frozen=True, kw_only=True):
    data_test: LedgerRow
    unit_test: LedgerRow
    freshness: LedgerRow


class Ingest(Value, frozen=True, kw_only=True):
    """The canonical document: one dbt project, one run."""

    schema_version: str = msgspec.field(name="schemaVersion", default=SCHEMA_VERSION)
    source: Source
    run: Run
    datasets: tuple[Dataset, ...]
    checks: tuple[Check, ...]
    results: tuple[Result, ...]
    causes: tuple[Cause, ...]
    scores: Scores
    ledger: Ledger


def to_json(value: Any) -> bytes:
    """Canonical JSON: keys sorted, no blanks, UTF-8 as it is. The same value gives the same bytes."""
    if _known and _known[0][0] is value:
        return _known[0][1]
    return msgspec.json.encode(value, order="sorted")


# The newest document with its encoding: tens of megabytes that several stages want. Values are frozen, so an
# encoding stays true for as long as its value lives.
_known: list[tuple[Any, bytes]] = []


def remember(value: Any, encoded: bytes) -> None:
    """Keep the canonical JSON of a value, made elsewhere piece by piece; the one kept before is let go."""
    _known[:] = [(value, encoded)]
