"""The ingestion contract's documents, read independently of the client: what a row, a run, a batch and an
answer look like. Unknown members are tolerated and kept, so that a newer client meets an older platform.
Must not touch the database."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

Kind = Literal["datasets", "checks", "results", "causes"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SCHEMA_VERSIONS = ("1",)

Key = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
RunKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]00:00)$"
Time = Annotated[str, StringConstraints(pattern=_TIME)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Seconds = Annotated[float, Field(ge=0)]
Status = Literal["passed", "warned", "failed", "errored", "skipped", "reused", "not_run", "unknown"]


class Document(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", protected_namespaces=())


class SourceIn(Document):
    name: Key
    type: Key
    project: Key
    environment: Key
    suite: str | None
    adapter: str | None
    description: str | None
    visibility: Literal["private", "internal", "public"]


class GitIn(Document):
    sha: str | None
    branch: str | None
    default_branch: str | None


class CIIn(Document):
    provider: str | None
    event: str | None
    change_id: str | None
    pipeline_url: str | None
    job_url: str | None


class RunIn(Document):
    key: RunKey
    content_digest: Digest
    verdict: Literal["executed", "empty", "compile_only", "stale", "foreign", "phantom", "nothing_selected"]
    extent: Literal["complete", "selected", "partial"]
    extent_reason: str | None
    invocation_ids: list[str]
    commands: list[str]
    dbt_version: str | None
    adapter_type: str | None
    dbt_exit_code: int | None
    started_at: Time | None
    completed_at: Time | None
    elapsed_s: Seconds | None
    git: GitIn
    ci: CIIn
    warnings: list[dict[str, Any]]


class LedgerRowIn(Document):
    """executed = passed + warned + failed + errored; executed and the rest add up to expected."""

    expected: Count
    executed: Count
    passed: Count
    warned: Count
    failed: Count
    errored: Count
    skipped: Count
    reused: Count
    not_run: Count
    vanished: Count
    unknown: Count

    @model_validator(mode="after")
    def _adds_up(self) -> LedgerRowIn:
        if self.executed != self.passed + self.warned + self.failed + self.errored:
            raise ValueError("executed is not passed + warned + failed + errored")
        rest = self.skipped + self.reused + self.not_run + self.vanished + self.unknown
        if self.expected != self.executed + rest:
            raise ValueError("the statuses do not add up to expected")
        return self


class LedgerIn(Document):
    data_test: LedgerRowIn
    unit_test: LedgerRowIn
    freshness: LedgerRowIn


class ScoresIn(Document):
    overall: Share | None
    overall_reason: str | None
    by_dimension: dict[str, Share | None]
    by_dataset: dict[str, Share | None]
    by_column: dict[str, Share | None]


class BatchCounts(Document):
    """How many batches of each kind will come, numbered from 0."""

    datasets: Count
    checks: Count
    results: Count
    causes: Count


class Opening(Document):
    """The body of PUT /runs/{key}."""

    schemaVersion: str  # noqa: N815 - the contract's word
    source: SourceIn
    run: RunIn
    ledger: LedgerIn
    scores: ScoresIn
    batches: BatchCounts


class ColumnIn(Document):
    name: Key
    data_type: str | None
    description: str | None
    tags: list[str]


class DatasetRunIn(Document):
    status: Literal["passed", "errored", "partial", "skipped", "not_run"]
    duration_s: Seconds | None
    message: str | None


class DatasetIn(Document):
    key: Key
    name: Key
    scope: Key
    kind: Literal["model", "seed", "snapshot", "source", "exposure", "saved_query", "function", "other"]
    relation: str | None
    database: str | None
    schema_: Annotated[str | None, Field(alias="schema")]
    identifier: str | None
    path: str | None
    description: str | None
    tags: list[str]
    owner: str | None
    group: str | None
    columns: list[ColumnIn]
    depends_on: list[str]
    checksum: str | None
    run: DatasetRunIn | None


class CheckIn(Document):
    key: Key
    alias: Key
    name: Key
    kind: Literal["data_test", "unit_test", "freshness"]
    type: Key
    namespace: str | None
    dataset: str | None
    column: str | None
    dimension: Key
    severity: str
    warn_if: str | None
    error_if: str | None
    where: str | None
    arguments: dict[str, Any]
    description: str | None
    tags: list[str]
    owner: str | None
    path: str | None
    line: Count | None
    definition_checksum: str


class ResultIn(Document):
    check: Key
    status: Status
    reason: str | None
    failures: Annotated[float, Field(gt=-(2.0**63), lt=2.0**63)] | None
    message: str | None
    executed_at: Time | None
    duration_s: Seconds | None
    caused_by: list[str]


class CauseIn(Document):
    key: Key
    level: Literal["high", "warning", "info"]
    title: Key
    body: str
    dataset: str | None
    checks: list[str]
    consequences: list[str]
    owner: str | None


class Batch(Document):
    """The body of PUT /runs/{key}/{kind}/{n}. The rows are judged one by one: DatasetIn, CheckIn, ResultIn
    or CauseIn, by kind."""

    rows: list[Any]


ROW: dict[Kind, type[Document]] = {
    "datasets": DatasetIn,
    "checks": CheckIn,
    "results": ResultIn,
    "causes": CauseIn,
}
KEY_OF: dict[Kind, str] = {"datasets": "key", "checks": "key", "results": "check", "causes": "key"}


def wrong_with(error: ValidationError) -> str:
    """The first thing wrong, by place, without the value: values may be what nobody should read in a log."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


def microseconds(time: str | None) -> int:
    """A `Time` as microseconds since the epoch, so that times compare; -1, older than all, where unknown.
    Raises ValueError where it is no RFC 3339 time in UTC, or the day does not exist."""
    if time is None:
        return -1
    if re.fullmatch(_TIME, time, re.ASCII) is None:
        raise ValueError("not a time")
    whole = datetime.strptime(time[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    digits = time[20:].rstrip("Z").split("+")[0].split("-")[0] if time[19:20] == "." else ""
    since = whole - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return since // timedelta(microseconds=1) + int(digits[:6].ljust(6, "0") or 0)


_MERGE_QUEUES = frozenset({"merge_group", "merge_queue", "merge_train"})


def is_change(run: dict[str, Any]) -> bool:
    """Whether a run is of a change request, a merge queue, or a branch that is not the default one."""
    git, ci = run["git"], run["ci"]
    branch, default = git["branch"], git["default_branch"]
    off_default = branch is not None and default is not None and branch != default
    return ci["change_id"] is not None or ci["event"] in _MERGE_QUEUES or off_default
