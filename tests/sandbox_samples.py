"""Documents and a bare client for the stand-in's tests, written by hand from the contract: nothing of the
project is used, so that the two readings can disagree."""

from __future__ import annotations

import gzip
import hashlib
import json

import httpx

BASE = "/api/v2/ingest"
ZERO = dict.fromkeys(
    (
        "expected",
        "executed",
        "passed",
        "warned",
        "failed",
        "errored",
        "skipped",
        "reused",
        "not_run",
        "vanished",
        "unknown",
    ),
    0,
)


def run_key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def dataset(key: str, **changes) -> dict:
    return {
        "key": key,
        "name": key.rpartition(".")[2],
        "scope": key.rpartition(".")[2],
        "kind": "model",
        "relation": '"db"."main"."t"',
        "database": "db",
        "schema": "main",
        "identifier": "t",
        "path": "models/t.sql",
        "description": None,
        "tags": ["nightly"],
        "owner": "data@example.com",
        "group": None,
        "columns": [{"name": "id", "data_type": "int", "description": None, "tags": []}],
        "depends_on": [],
        "checksum": "ab" * 32,
        "run": {"status": "passed", "duration_s": 0.25, "message": None},
        **changes,
    }


def check(key: str, dataset: str | None = "model.acme.orders", **changes) -> dict:
    return {
        "key": key,
        "alias": hashlib.sha256(key.encode()).hexdigest()[:32],
        "name": key.rpartition(".")[2],
        "kind": "data_test",
        "type": "not_null",
        "namespace": None,
        "dataset": dataset,
        "column": "id",
        "dimension": "completeness",
        "severity": "error",
        "warn_if": "!= 0",
        "error_if": "!= 0",
        "where": None,
        "arguments": {"column_name": "id", "values": 3},
        "description": None,
        "tags": [],
        "owner": None,
        "path": "models/schema.yml",
        "line": 7,
        "definition_checksum": "cd" * 32,
        **changes,
    }


def result(check: str, status: str = "passed", **changes) -> dict:
    return {
        "check": check,
        "status": status,
        "reason": None,
        "failures": 0 if status == "passed" else 4,
        "message": None,
        "executed_at": "2026-11-23T07:15:00Z",
        "duration_s": 0.125,
        "caused_by": [],
        **changes,
    }


def cause(key: str, checks: list[str], **changes) -> dict:
    return {
        "key": key,
        "level": "high",
        "title": f"{key} failed",
        "body": "4 rows",
        "dataset": "model.acme.orders",
        "checks": checks,
        "consequences": [],
        "owner": None,
        **changes,
    }


def document(
    name: str,
    statuses: dict[str, str],
    *,
    completed_at: str | None = "2026-11-23T07:15:00Z",
    causes: list[dict] | None = None,
    datasets: list[dict] | None = None,
    source: dict | None = None,
    run: dict | None = None,
    git: dict | None = None,
    ci: dict | None = None,
    scores: dict | None = None,
) -> dict:
    """A document whose checks have these statuses; failed and errored ones are a cause each, unless given."""
    counts = {s: list(statuses.values()).count(s) for s in set(statuses.values())}
    executed = sum(counts.get(s, 0) for s in ("passed", "warned", "failed", "errored"))
    counted = executed + counts.get("skipped", 0)
    overall = counts.get("passed", 0) / counted if counted else None
    broken = [key for key, status in statuses.items() if status in ("failed", "errored")]
    made = {
        "schemaVersion": "1",
        "source": {
            "name": "acme-prod",
            "type": "dbt",
            "project": "acme",
            "environment": "prod",
            "suite": None,
            "adapter": "duckdb",
            "description": None,
            "visibility": "internal",
            **(source or {}),
        },
        "run": {
            "key": run_key(name),
            "content_digest": "",
            "verdict": "executed",
            "extent": "complete",
            "extent_reason": None,
            "invocation_ids": [name],
            "commands": ["build"],
            "dbt_version": "1.10.0",
            "adapter_type": "duckdb",
            "dbt_exit_code": 0,
            "started_at": "2026-11-23T07:00:00Z",
            "completed_at": completed_at,
            "elapsed_s": 12.5,
            "git": {
                "sha": "1a2b3c4d" * 5,
                "checkout_sha": None,
                "branch": "main",
                "tag": None,
                "default_branch": "main",
                "base_branch": None,
                "base_sha": None,
                "repository_url": "https://git.example.com/acme/dbt",
                "head_repository": None,
                "dirty": None,
                "shallow": None,
                **(git or {}),
            },
            "ci": {
                "provider": "github",
                "event": "push",
                "change_id": None,
                "pipeline_id": "17",
                "pipeline_name": "nightly",
                "pipeline_url": "https://ci.example.com/17",
                "job_id": "1",
                "job_name": "dbt",
                "job_url": None,
                "attempt": 1,
                "actor": "ada",
                "started_at": None,
                **(ci or {}),
            },
            "orchestrator": None,
            "warnings": [{"code": "example", "text": "an example"}],
            "tool": {"name": "dbt-ingest", "version": "0.0.0"},
            **(run or {}),
        },
        "datasets": [dataset("model.acme.orders")] if datasets is None else datasets,
        "checks": [check(key) for key in statuses],
        "results": [result(key, status) for key, status in statuses.items()],
        "causes": [cause(f"cause-{key}", [key]) for key in broken] if causes is None else causes,
        "scores": {
            "overall": overall,
            "overall_reason": None if overall is not None else "nothing counted",
            "by_dimension": {"completeness": overall},
            "by_dataset": {"model.acme.orders": overall},
            "by_column": {"model.acme.orders.id": overall},
            **(scores or {}),
        },
        "ledger": {
            "data_test": {**ZERO, **counts, "expected": len(statuses), "executed": executed},
            "unit_test": ZERO,
            "freshness": ZERO,
        },
    }
    made["run"]["content_digest"] = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()
    return made


KINDS = ("datasets", "checks", "results", "causes")


def cut(document: dict, size: int = 1000) -> dict[str, list[list[dict]]]:
    return {k: [document[k][i : i + size] for i in range(0, len(document[k]), size)] for k in KINDS}


def opening(document: dict, size: int = 1000) -> dict:
    parts = {k: document[k] for k in ("schemaVersion", "source", "run", "ledger", "scores")}
    return {**parts, "batches": {k: len(batches) for k, batches in cut(document, size).items()}}


class Client:
    """Bare calls, each with the key that the contract asks for."""

    def __init__(self, http: httpx.Client, token: str, partner: str = "acme"):
        self.http = http
        self.token = token
        self.partner = partner
        self.auth = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **params) -> httpx.Response:
        return self.http.get(BASE + path, headers=self.auth, params=params)

    def write(self, method, path, call, n, key, body, *, zipped=False, **headers) -> httpx.Response:
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {
            **self.auth,
            "Content-Type": "application/json",
            "Idempotency-Key": f"{key}/{call}/{n}/{hashlib.sha256(data).hexdigest()[:16]}",
        }
        if zipped:
            data = gzip.compress(data)
            sent["Content-Encoding"] = "gzip"
        return self.http.request(method, BASE + path, content=data, headers={**sent, **headers})

    def open(self, document, size=1000, **kw) -> httpx.Response:
        key = document["run"]["key"]
        return self.write("PUT", f"/runs/{key}", "run", 0, key, opening(document, size), **kw)

    def batch(self, document, kind, n, rows, **kw) -> httpx.Response:
        key = document["run"]["key"]
        return self.write("PUT", f"/runs/{key}/{kind}/{n}", kind, n, key, {"rows": rows}, **kw)

    def complete(self, document, **kw) -> httpx.Response:
        key = document["run"]["key"]
        return self.write("POST", f"/runs/{key}/complete", "complete", 0, key, None, **kw)

    def send_rows(self, document, size=1000) -> None:
        for kind, batches in cut(document, size).items():
            for n, rows in enumerate(batches):
                answer = self.batch(document, kind, n, rows)
                assert answer.status_code == 200, answer.text

    def send(self, document, size=1000) -> httpx.Response:
        assert self.open(document, size).status_code in (200, 201)
        self.send_rows(document, size)
        return self.complete(document)
