"""What the stages hand each other: parameters made from settings, and each stage's answer. No behaviour."""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

from qalita_action.model.comparison import Comparison
from qalita_action.model.document import CI, Git, Orchestrator, RunWarning, Tool, Value, Visibility
from qalita_action.redact import Secret


class CIContext(Value, frozen=True, kw_only=True):
    """What ci.detect found: the blocks of the document, where each field came from, and the few facts that
    other stages decide with. sources maps a field's name to `flag`, `input`, `config`, `env:NAME`,
    `event:/json/pointer`, `git:<file>` or None."""

    git: Git = Git()
    ci: CI = CI()
    orchestrator: Orchestrator | None = None
    environment: str | None = None
    is_change: bool = False
    is_dependabot: bool = False
    warnings: tuple[RunWarning, ...] = ()
    sources: dict[str, str | None] = msgspec.field(default_factory=dict)


class Policy(Value, frozen=True, kw_only=True):
    """What mapping decides with, from the settings and from files that the pipeline read.

    dimensions  test type, or package.test_type -> quality dimension
    codeowners  the text of the repository's CODEOWNERS
    folder      of the dbt project in the repository, where CODEOWNERS' paths count from the root
    """

    project: str | None = None
    environment: str | None = None
    change_environment: str = "ci"
    suite: str | None = None
    run_id: str | None = None
    visibility: Visibility = "internal"
    warn_score: str = "0.5"
    max_undecided: float = 0.10
    send_messages: bool = False
    send_sql: bool = False
    dimensions: dict[str, str] = msgspec.field(default_factory=dict)
    codeowners: str | None = None
    folder: str = ""
    dbt_exit_code: int | None = None
    tool: Tool


GateLevel = Literal["fail", "warn", "new", "never"]
GateState = Literal["passed", "failed", "nothing-tested"]


# known: the base had it too; no-base: there is none, so that nobody knows what is new.
Excuse = Literal["known", "allowed", "no-base"]


class Allowance(Value, frozen=True, kw_only=True):
    """An entry of the allowlist: a check or dataset by key or name, or a selector; until a day (YYYY-MM-DD),
    that day included."""

    check: str | None = None
    selector: str | None = None
    reason: str | None = None
    owner: str | None = None
    expires: str


class Gate(Value, frozen=True, kw_only=True):
    """What the verdict is judged by. Scores are in points of a hundred, as decimal text; comparisons by run
    key; today is a day in UTC."""

    fail_on: GateLevel = "fail"
    require_run: tuple[str, ...] = ()
    min_score: str | None = None
    max_score_drop: str | None = None
    allowances: tuple[Allowance, ...] = ()
    today: date | None = None
    comparisons: dict[str, Comparison] = msgspec.field(default_factory=dict)


class Reason(Value, frozen=True, kw_only=True):
    """Why the gate says no, or would but for an excuse. subject: key of the check or dataset, or None for the
    run itself. by: the allowlist's entry, or since when it is known."""

    code: str
    subject: str | None
    text: str
    excuse: Excuse | None = None
    by: str | None = None


class Verdict(Value, frozen=True, kw_only=True):
    """Decided once, from data. state tells what was shown about the data; blocks tells whether the gate
    exits non-zero; under fail_on=never it never does. excused: what is set aside, failures still.
    notices: entries of the allowlist that want a look."""

    state: GateState
    blocks: bool
    reasons: tuple[Reason, ...]
    excused: tuple[Reason, ...] = ()
    notices: tuple[str, ...] = ()


Api = Literal["auto", "results", "ingestion", "folder"]
ReceiptStatus = Literal["recorded", "already-recorded", "skipped", "not-delivered", "refused"]


class Target(Value, frozen=True, kw_only=True):
    """Where and how to publish. Configuration only: never from a file inside the workspace.

    endpoint  scheme://host[:port], with or without a trailing /api, /api/v1, /api/v2
    ca        CA bundle: path of a file or folder, or PEM text
    timeout_s total budget for publishing one document, retries included
    """

    api: Api = "auto"
    publish: Literal["auto", "always", "never"] = "auto"
    endpoint: str | None = None
    token: Secret | None = None
    ca: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    verify_tls: bool = True
    timeout_s: float = 120.0
    pack: str = "dbt_ingest"
    pack_per_dimension: bool = False
    source_id: str | None = None
    metrics_detail: Literal["source", "table", "column", "check"] = "column"
    folder: str = "qalita-report"
    spool_dir: str = "qalita-spool"
    tool: Tool


class PlannedRequest(Value, frozen=True, kw_only=True):
    """One line of `--dry-run --output text`: what would be sent, and how many bytes before compression."""

    method: str
    path: str
    size: int
    note: str = ""


class Finding(Value, frozen=True, kw_only=True):
    """One line of `qalita-ingest check`."""

    subject: str
    ok: bool | None
    text: str
    todo: str = ""


class Rejected(Value, frozen=True, kw_only=True):
    kind: str
    key: str
    code: str
    detail: str


class Receipt(Value, frozen=True, kw_only=True):
    """What really happened to one document. Published counts come from here. Always exists.

    status   recorded | already-recorded | skipped (see reason) | not-delivered (waits in spool) | refused
             (settings, token or contract: trying again as it is will not help)
    counts   rows that the platform acknowledged, by kind
    cautions what somebody must act on, such as a token that ends soon; notes are to be known
    error    code and text of an errors.IngestError, with its exit code
    """

    run_key: str
    api: str
    status: ReceiptStatus
    reason: str | None = None
    source: str | None = None
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()
    url: str | None = None
    job: str | None = None
    spool: str | None = None
    cautions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    error_code: str | None = None
    error_text: str | None = None
    exit_code: int = 0


class MovementPart(Value, frozen=True, kw_only=True):
    what: str
    points: float


class Movement(Value, frozen=True, kw_only=True):
    """Why the overall score moved against a base: parts in points of a hundred, the largest first."""

    before: float
    after: float
    parts: tuple[MovementPart, ...]


class Hint(Value, frozen=True, kw_only=True):
    """Where a person looks on, of one check or dataset; said on the spot and never sent. compiled: path of
    dbt's compiled SQL; stored: relation that holds the failing rows."""

    compiled: str | None = None
    stored: str | None = None


class ReportOptions(Value, frozen=True, kw_only=True):
    """Where reports go. Paths are None where the CI gives none; provider decides the dialects.

    repository the repository's root, where folders and the files' paths count from
    folders    run key -> the dbt project's folder in the repository; missing: the root
    movements  run key -> why its score moved; missing: nothing to compare with
    comparisons run key -> what is new, known and fixed against its base; missing: never asked
    mention_owners  comments may ping the owners of what broke
    hints      run key -> key of a check or dataset -> where to look on
    """

    output: Literal["text", "json"] = "text"
    provider: str | None = None
    is_change: bool = False
    color: bool = False
    workspace: str = "."
    repository: str = "."
    directory: str = "qalita-report"
    summary_path: str | None = None
    outputs_path: str | None = None
    verbose: bool = False
    folders: dict[str, str] = msgspec.field(default_factory=dict)
    movements: dict[str, Movement] = msgspec.field(default_factory=dict)
    comparisons: dict[str, Comparison] = msgspec.field(default_factory=dict)
    mention_owners: bool = False
    hints: dict[str, dict[str, Hint]] = msgspec.field(default_factory=dict)
