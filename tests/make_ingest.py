"""Documents made by hand, for tests of what happens to a document after mapping."""

from __future__ import annotations

import hashlib
import math
from itertools import islice

from qalita_action.model import (
    CI,
    Cause,
    Check,
    Column,
    Dataset,
    DatasetRun,
    Git,
    Ingest,
    Ledger,
    LedgerRow,
    Result,
    Run,
    RunWarning,
    Scores,
    Source,
    Tool,
    to_json,
)

WEIGHT = {"passed": 1.0, "warned": 0.5, "failed": 0.0, "errored": 0.0, "skipped": 0.0}
TOOL = Tool(name="qalita-dbt-ingest", version="0.1.0")


def run_key(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:32]


def mean(statuses):
    """Counted statuses to a score with 6 decimals, rounded down; None over nothing."""
    weights = [WEIGHT[s] for s in statuses if s in WEIGHT]
    return math.floor(sum(weights) / len(weights) * 1e6) / 1e6 if weights else None


def make_ingest(
    checks: int = 5,
    failed: int = 1,
    *,
    warned: int = 0,
    errored: int = 0,
    skipped: int = 0,
    not_run: int = 0,
    tables: int = 2,
    project: str = "shop",
    environment: str = "prod",
    suite: str | None = None,
    run_id: str = "8d5a0a3e-0000-4000-8000-000000000001",
    extent: str = "complete",
    verdict: str = "executed",
    branch: str | None = "main",
    change_id: str | None = None,
    job_id: str | None = "101",
    completed_at: str | None = "2026-03-04T07:15:30Z",
    message: str = "Got 4 results, configured to fail if != 0",
) -> Ingest:
    """`checks` not_null tests over `tables` models, the first ones failed, then warned, errored, skipped and
    not_run, the rest passed. Everything else follows from that."""
    rest = checks - failed - warned - errored - skipped - not_run
    assert rest >= 0
    words = iter(
        ["failed"] * failed
        + ["warned"] * warned
        + ["errored"] * errored
        + ["skipped"] * skipped
        + ["not_run"] * not_run
        + ["passed"] * rest
    )
    statuses = list(islice(words, checks))
    models = [f"model.{project}.orders_{n}" for n in range(tables)]
    datasets = tuple(
        Dataset(
            key=key,
            name=key.rsplit(".", 1)[1],
            scope=key.rsplit(".", 1)[1],
            kind="model",
            relation=f"analytics.{key.rsplit('.', 1)[1]}",
            database=None,
            schema="analytics",
            identifier=key.rsplit(".", 1)[1],
            path=f"models/{key.rsplit('.', 1)[1]}.sql",
            description="An example of a table",
            tags=("daily",),
            owner="data@example.com",
            group=None,
            columns=(Column(name="order_id", data_type="bigint"), Column(name="amount")),
            depends_on=(),
            checksum="c0ffee",
            run=DatasetRun(status="passed", duration_s=0.5),
        )
        for key in models
    )
    made = []
    for n in range(checks):
        dataset = models[n % tables]
        column = ("order_id", "amount")[(n // tables) % 2]
        name = f"not_null_{dataset.rsplit('.', 1)[1]}_{column}_{n}"
        made.append(
            Check(
                key=f"test.{project}.{name}.{n:010d}",
                alias=hashlib.sha256(name.encode()).hexdigest()[:32],
                name=name,
                kind="data_test",
                type="not_null",
                namespace=None,
                dataset=dataset,
                column=column,
                dimension="completeness",
                severity="error",
                warn_if="!= 0",
                error_if="!= 0",
                where=None,
                arguments={},
                description=None,
                tags=(),
                owner="data@example.com",
                path="models/schema.yml",
                line=12,
                definition_checksum=hashlib.sha256(f"definition {name}".encode()).hexdigest(),
            )
        )
    broken = [c.key for c, s in zip(made, statuses, strict=True) if s in ("failed", "warned", "errored")]
    followed = [c.key for c, s in zip(made, statuses, strict=True) if s == "skipped"]
    results = tuple(
        Result(
            check=check.key,
            status=status,
            failures={"passed": 0, "warned": 2, "failed": 4}.get(status),
            message=message if status in ("warned", "failed", "errored") else None,
            executed_at=completed_at if status in ("passed", "warned", "failed", "errored") else None,
            duration_s=0.1 if status in ("passed", "warned", "failed", "errored") else None,
            caused_by=tuple(broken[:1]) if status == "skipped" else (),
        )
        for check, status in zip(made, statuses, strict=True)
    )
    by_key = {c.key: c for c in made}
    causes = tuple(
        Cause(
            key=run_key(project, environment, key),
            level="warning" if statuses[n] == "warned" else "high",
            title=f"{by_key[key].name} {statuses[n]}",
            body=message,
            dataset=by_key[key].dataset,
            checks=(key,),
            consequences=tuple(followed) if n == 0 else (),
            owner="data@example.com",
        )
        for n, key in enumerate(broken)
    )
    pairs = list(zip(made, statuses, strict=True))
    name = "-".join(part for part in (project, environment, suite) if part)
    scores = Scores(
        overall=mean(statuses),
        overall_reason=None,
        by_dimension={"completeness": mean(statuses)},
        by_dataset={key: mean([s for c, s in pairs if c.dataset == key]) for key in models},
        by_column={
            f"{key}.{column}": mean([s for c, s in pairs if (c.dataset, c.column) == (key, column)])
            for key in models
            for column in ("order_id", "amount")
            if any((c.dataset, c.column) == (key, column) for c in made)
        },
    )
    ledger = Ledger(
        data_test=LedgerRow(
            expected=checks,
            executed=failed + warned + errored + rest,
            passed=rest,
            warned=warned,
            failed=failed,
            errored=errored,
            skipped=skipped,
            not_run=not_run,
        ),
        unit_test=LedgerRow(),
        freshness=LedgerRow(),
    )
    content = to_json(
        [name, datasets, tuple(made), results, causes, scores, ledger, extent, verdict, completed_at]
    )
    return Ingest(
        source=Source(name=name, project=project, environment=environment, suite=suite, adapter="duckdb"),
        run=Run(
            key=run_key(project, environment, suite or "", run_id),
            content_digest=hashlib.sha256(content).hexdigest(),
            verdict=verdict,
            extent=extent,
            extent_reason=None if extent == "complete" else "an example",
            invocation_ids=(run_id,),
            commands=("build",),
            dbt_version="1.10.4",
            adapter_type="duckdb",
            dbt_exit_code=1 if failed or errored else 0,
            started_at="2026-03-04T07:10:00Z",
            completed_at=completed_at,
            elapsed_s=330.0,
            git=Git(sha="1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d", branch=branch, default_branch="main"),
            ci=CI(
                provider="github",
                event="pull_request" if change_id else "push",
                change_id=change_id,
                pipeline_id="55",
                pipeline_url="https://ci.example.com/acme/shop/55",
                job_id=job_id,
                job_url=f"https://ci.example.com/acme/shop/55/{job_id}",
                attempt=1,
            ),
            orchestrator=None,
            warnings=(RunWarning(code="example", text="An example of a warning"),),
            tool=TOOL,
        ),
        datasets=datasets,
        checks=tuple(made),
        results=results,
        causes=causes,
        scores=scores,
        ledger=ledger,
    )
