"""What the ingestion API answers, and what a spool file holds around a document. Unknown members are ignored,
so that a newer platform meets an older client. Document rows are not here: they are the model's structs.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SPOOL_VERSION: Literal[1] = 1


class Envelope(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


# ---------------------------------------------------------------- answers of the ingestion API


class Capabilities(Envelope):
    """GET /api/v2/ingest. max_batch: rows of a batch; max_body_bytes: of a decoded body."""

    version: str | int
    max_batch: int = Field(default=1000, ge=1)
    max_body_bytes: int = Field(default=10 * 1024 * 1024, ge=1024)
    features: tuple[str, ...] = ()


class Rejection(Envelope):
    key: str
    code: str
    detail: str = ""
    kind: str | None = None


class Opened(Envelope):
    """PUT /runs/{key}. restarted: batches staged for another content were dropped."""

    state: str = "open"
    restarted: bool = False
    url: str | None = None


class BatchAnswer(Envelope):
    accepted: int = Field(ge=0)
    rejected: tuple[Rejection, ...] = ()


class Completed(Envelope):
    job: str | int | None = None
    url: str | None = None
    rejected: tuple[Rejection, ...] = ()


class RunJob(Envelope):
    id: str | int | None = None


class RunState(Envelope):
    """GET /runs/{key}. rows: how many of each kind are stored, where the platform tells."""

    state: str
    rows: dict[str, int] = Field(default_factory=dict)
    content_digest: str | None = None
    url: str | None = None
    job: RunJob | None = None


class Page(Envelope):
    """Rows, and the value of `before` that gives the next page."""

    items: tuple[dict[str, Any], ...]
    next: str | None = None


class PastGit(Envelope):
    sha: str | None = None
    branch: str | None = None
    repository_url: str | None = None


class PastCI(Envelope):
    change_id: str | None = None


class PastOrchestrator(Envelope):
    url: str | None = None


class PastRunFacts(Envelope):
    verdict: str | None = None
    extent: str | None = None
    completed_at: str | None = None
    invocation_ids: tuple[str, ...] = ()
    git: PastGit = PastGit()
    ci: PastCI = PastCI()
    orchestrator: PastOrchestrator | None = None


class PastSource(Envelope):
    name: str | None = None
    project: str | None = None
    environment: str | None = None
    suite: str | None = None


class PastScores(Envelope):
    overall: float | None = None


class PastRun(Envelope):
    """An item of GET /runs."""

    key: str
    source: PastSource = PastSource()
    run: PastRunFacts = PastRunFacts()
    scores: PastScores = PastScores()
    url: str | None = None


class PastResult(Envelope):
    """An item of GET /runs/{key}/results: a result with what identifies its check. Only the alias is sure to
    be there."""

    check: str
    status: str
    failures: float | None = None
    alias: str
    name: str | None = None
    type: str | None = None
    namespace: str | None = None
    dataset: str | None = None
    column: str | None = None
    definition_checksum: str | None = None


class PastDatasetRun(Envelope):
    status: str


class PastDatasetRow(Envelope):
    """An item of GET /datasets."""

    key: str
    checksum: str | None = None
    run: PastDatasetRun | None = None


class PastOutcome(Envelope):
    """An item of GET /checks/{key}/history."""

    status: str
    completed_at: str | None = None
    branch: str | None = None
    change_id: str | None = None
    extent: str | None = None


class Problem(Envelope):
    """RFC 9457, with a stable `code`. missing: numbers of batches by kind, with `batches-missing`."""

    code: str = ""
    title: str = ""
    detail: str = ""
    missing: dict[str, tuple[int, ...]] = Field(default_factory=dict)


# ---------------------------------------------------------------- the spool


class SpoolEnvelope(Envelope):
    """One spool file, gzipped JSON. document: the canonical JSON text; page: the HTML page in base64;
    is_change: whether it is a change's run; sha256: hex digest of the three, joined by zero bytes."""

    spool: Literal[1]
    tool: str
    run_key: str
    is_change: bool
    sha256: str
    document: str
    page: str
