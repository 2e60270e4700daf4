"""The tables: Source, Dataset, Check, Run, Result, Cause, Issue, Job and what surrounds them. Columns of a
row table bear the names of the document's members, so that a test can compare; `row` keeps the row's JSON
as it came. Must hold no query."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()
_json = JSON(none_as_null=True)

settings = Table("settings", metadata, Column("name", String, primary_key=True), Column("value", Text))

# Both APIs write here. score is that of the newest counted run; null with a reason is a gap.
sources = Table(
    "sources",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("partner", String, nullable=False),
    Column("owner_id", Integer, nullable=False),
    Column("name", String, nullable=False),
    Column("type", String, nullable=False),
    Column("project", String),
    Column("environment", String),
    Column("suite", String),
    Column("adapter", String),
    Column("description", Text),
    Column("visibility", String, nullable=False),
    Column("reference", Boolean, nullable=False, default=False),
    Column("sensitive", Boolean, nullable=False, default=False),
    Column("score", Float),
    Column("score_reason", Text),
    Column("score_run", String),
    Column("score_at", String),
    Column("created_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
    Index("sources_by_name", "partner", "name", "type"),
)

# key, of its tenant; source_id is null until the run is complete: an open run is invisible.
runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("partner", String, nullable=False),
    Column("account_id", Integer, nullable=False),
    Column("key", String, nullable=False),
    Column("content_digest", String, nullable=False),
    Column("state", String, nullable=False),
    Column("source_id", ForeignKey("sources.id")),
    Column("project", String, nullable=False),
    Column("environment", String, nullable=False),
    Column("branch", String),
    Column("change_id", String),
    Column("verdict", String, nullable=False),
    Column("extent", String, nullable=False),
    Column("is_change", Boolean, nullable=False),
    Column("completed_at", String),
    Column("completed_us", Integer, nullable=False),
    Column("overall", Float),
    Column("expected", _json, nullable=False),
    Column("source", _json, nullable=False),
    Column("run", _json, nullable=False),
    Column("ledger", _json, nullable=False),
    Column("scores", _json, nullable=False),
    Column("schema_version", String, nullable=False),
    Column("rejected", _json),
    Column("job_id", ForeignKey("jobs.id", use_alter=True)),
    Column("opened_at", String, nullable=False),
    Column("recorded_at", String),
    UniqueConstraint("partner", "key"),
    Index("runs_newest", "partner", "state", "completed_us", "key"),
    Index("runs_of_source", "source_id", "completed_us", "key"),
)

batches = Table(
    "batches",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("kind", String, primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("digest", String, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("rejected", _json, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("key", String, primary_key=True),
    Column("batch", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    *(Column(name, Text) for name in ("name", "scope", "kind", "relation", "database", "schema")),
    *(Column(name, Text) for name in ("identifier", "path", "description", "owner", "group", "checksum")),
    *(Column(name, _json) for name in ("tags", "columns", "depends_on", "run")),
    Column("row", Text, nullable=False),
)

checks = Table(
    "checks",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("key", String, primary_key=True),
    Column("batch", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    *(Column(name, Text) for name in ("alias", "name", "kind", "type", "namespace", "dataset", "column")),
    *(Column(name, Text) for name in ("dimension", "severity", "warn_if", "error_if", "where")),
    *(Column(name, Text) for name in ("description", "owner", "path", "definition_checksum")),
    Column("line", Integer),
    *(Column(name, _json) for name in ("arguments", "tags")),
    Column("row", Text, nullable=False),
)

results = Table(
    "results",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("check", String, primary_key=True),
    Column("batch", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    *(Column(name, Text) for name in ("status", "reason", "message", "executed_at")),
    Column("failures", Float),
    Column("duration_s", Float),
    Column("caused_by", _json),
    Column("row", Text, nullable=False),
    Index("results_of_check", "check"),
)

causes = Table(
    "causes",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("key", String, primary_key=True),
    Column("batch", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    *(Column(name, Text) for name in ("level", "title", "body", "dataset", "owner")),
    *(Column(name, _json) for name in ("checks", "consequences")),
    Column("row", Text, nullable=False),
)

ROWS = {"datasets": datasets, "checks": checks, "results": results, "causes": causes}

# One per source and cause key: what its sightings say. checks and dataset are those of the newest run that
# named the cause.
issues = Table(
    "issues",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("partner", String, nullable=False),
    Column("source_id", ForeignKey("sources.id"), nullable=False),
    Column("key", String, nullable=False),
    Column("status", String, nullable=False),
    Column("level", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("dataset", Text),
    Column("checks", _json, nullable=False),
    Column("owner", Text),
    Column("times_opened", Integer, nullable=False),
    Column("opened_run", String, nullable=False),
    Column("opened_at", String),
    Column("last_seen_run", String, nullable=False),
    Column("last_seen_at", String),
    Column("resolved_run", String),
    Column("resolved_at", String),
    Column("created_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
    UniqueConstraint("source_id", "key"),
)

# A counted run that names a cause, in the order of the runs' own times. over_*: the first run after it, and
# before the cause is seen again, that shows it to be gone.
sightings = Table(
    "sightings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source_id", ForeignKey("sources.id"), nullable=False),
    Column("key", String, nullable=False),
    Column("completed_us", Integer, nullable=False),
    Column("run_key", String, nullable=False),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("is_over", Boolean, nullable=False),
    Column("over_us", Integer),
    Column("over_run", String),
    Column("over_at", String),
    Index("sightings_in_order", "source_id", "key", "completed_us", "run_key", unique=True),
    Index("sightings_over", "source_id", "key", "is_over", "completed_us", "run_key"),
)

# kind: `scoring` jobs are queued by a complete run, `pack` jobs are opened by clients of the results API.
jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("partner", String, nullable=False),
    Column("account_id", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("status", String, nullable=False),
    Column("name", Text),
    Column("type", String),
    Column("worker_id", Integer),
    Column("source_id", Integer),
    Column("target_id", Integer),
    Column("pack_id", Integer),
    Column("pack_version_id", Integer),
    Column("routine_id", Integer),
    Column("logs_id", Integer),
    Column("run_id", ForeignKey("runs.id")),
    Column("start_date", String),
    Column("end_date", String),
    Column("error_message", Text),
    Column("note", Text),
    Column("created_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
    Index("jobs_to_do", "kind", "status"),
)

# The course of a source's score: one point per counted run, at the run's own time.
scores = Table(
    "scores",
    metadata,
    Column("source_id", ForeignKey("sources.id"), primary_key=True),
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("run_key", String, nullable=False),
    Column("completed_at", String),
    Column("completed_us", Integer, nullable=False),
    Column("overall", Float),
    Column("overall_reason", Text),
    Column("by_dimension", _json, nullable=False),
    Index("scores_newest", "source_id", "completed_us", "run_key"),
)

# What 2xx answers were given to which writes.
answers = Table(
    "answers",
    metadata,
    Column("partner", String, primary_key=True),
    Column("idempotency_key", String, primary_key=True),
    Column("run_key", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Index("answers_of_run", "partner", "run_key"),
)

# ---------------------------------------------------------------- the results API

packs = Table(
    "packs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("partner", String, nullable=False),
    Column("owner_id", Integer, nullable=False),
    Column("name", String, nullable=False),
    Column("description", Text),
    Column("visibility", String, nullable=False),
    Column("type", String),
    Column("config", Text),
    Column("created_at", String, nullable=False),
)

pack_versions = Table(
    "pack_versions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pack_id", ForeignKey("packs.id"), nullable=False),
    Column("sem_ver_id", String, nullable=False),
    Column("asset_id", Integer),
)

assets = Table(
    "assets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("partner", String, nullable=False),
    Column("name", String, nullable=False),
    Column("version", String),
    Column("bucket", String, nullable=False),
    Column("type", String),
    Column("description", Text),
    Column("size", Integer, nullable=False),
    Column("created_at", String, nullable=False),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("partner", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("source_id", Integer, nullable=False),
    Column("pack_id", Integer, nullable=False),
    Column("pack_version_id", Integer, nullable=False),
    Column("digest", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", String, nullable=False),
)


def _uploaded(name: str, *columns: Column[str]) -> Table:
    return Table(
        name,
        metadata,
        Column("id", Integer, primary_key=True),
        Column("partner", String, nullable=False),
        Column("upload_id", ForeignKey("uploads.id"), nullable=False),
        Column("source_id", Integer, nullable=False),
        Column("pack_id", Integer, nullable=False),
        Column("pack_version_id", Integer, nullable=False),
        Column("scope", _json),
        Column("created_at", String, nullable=False),
        Column("updated_at", String, nullable=False),
        *columns,
        Index(f"{name}_of_source", "source_id", "pack_id"),
    )


metrics = _uploaded("metrics", Column("key", String), Column("value", Text))
recommendations = _uploaded(
    "recommendations", Column("content", Text), Column("type", Text), Column("level", String)
)
schema_entries = _uploaded("schema_entries", Column("key", String), Column("value", Text))
figures = _uploaded("figures", Column("key", String), Column("figure", Text))

outputs = Table(
    "outputs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", ForeignKey("jobs.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),
    Column("created_at", String, nullable=False),
)
