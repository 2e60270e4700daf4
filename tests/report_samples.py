"""Documents written by hand for the report's tests and for scripts/render_samples.py: plainly examples."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

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
    Reason,
    Receipt,
    Rejected,
    Result,
    Run,
    RunWarning,
    Scores,
    Source,
    Tool,
    Verdict,
)

SHA = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"
PROJECT = "opendata_dbt"


def dataset(
    name: str,
    *,
    kind: str = "model",
    status: str | None = "passed",
    message: str | None = None,
    owner: str | None = "data-team@example.com",
    path: str | None = None,
) -> Dataset:
    key = f"{kind}.{PROJECT}.{name}"
    return Dataset(
        key=key,
        name=name.rpartition(".")[2] if kind == "source" else name,
        scope=name.replace(".", "__"),
        kind=kind,
        relation=f'"db"."main"."{name}"',
        database="db",
        schema="main",
        identifier=name,
        path=path or f"models/{name}.sql",
        description=None,
        tags=(),
        owner=owner,
        group=None,
        columns=(Column(name="id"),),
        depends_on=(),
        checksum=None,
        run=DatasetRun(status=status, duration_s=0.4, message=message) if status else None,
    )


def check(
    name: str,
    *,
    dataset: str | None = None,
    kind: str = "data_test",
    of: str = "not_null",
    column: str | None = None,
    dimension: str = "completeness",
    owner: str | None = None,
    path: str | None = "models/schema.yml",
    line: int | None = None,
) -> Check:
    return Check(
        key=f"{'test' if kind == 'data_test' else kind}.{PROJECT}.{name}",
        alias="0" * 32,
        name=name,
        kind=kind,
        type=of,
        namespace=None,
        dataset=dataset,
        column=column,
        dimension=dimension,
        severity="error",
        warn_if=None,
        error_if=None,
        where=None,
        arguments={},
        description=None,
        tags=(),
        owner=owner,
        path=path,
        line=line,
        definition_checksum="0" * 64,
    )


def ledger(checks, results) -> Ledger:
    kinds = {}
    status = {r.check: r.status for r in results}
    for kind in ("data_test", "unit_test", "freshness"):
        counts = Counter(status[c.key] for c in checks if c.kind == kind)
        executed = sum(counts[s] for s in ("passed", "warned", "failed", "errored"))
        kinds[kind] = LedgerRow(expected=sum(counts.values()), executed=executed, **counts)
    return Ledger(**kinds)


def ingest(
    datasets,
    checks,
    results,
    causes=(),
    *,
    project: str = PROJECT,
    environment: str = "ci",
    score: float | None = 0.875,
    reason: str | None = None,
    run: dict | None = None,
    git: dict | None = None,
    ci: dict | None = None,
    dimensions: dict | None = None,
) -> Ingest:
    base_run = {
        "key": "0123456789abcdef0123456789abcdef",
        "content_digest": "d" * 64,
        "verdict": "executed",
        "extent": "complete",
        "extent_reason": None,
        "invocation_ids": ("11111111-2222-3333-4444-555555555555",),
        "commands": ("build",),
        "dbt_version": "1.11.2",
        "adapter_type": "duckdb",
        "dbt_exit_code": None,
        "started_at": "2026-11-23T07:15:00Z",
        "completed_at": "2026-11-23T07:15:12Z",
        "elapsed_s": 12.4,
        "warnings": (),
        "orchestrator": None,
        "tool": Tool(name="qalita-dbt-ingest", version="0.1.0"),
        "git": Git(
            **{
                "sha": SHA,
                "branch": "main",
                "repository_url": "https://github.com/acme/opendata",
                **(git or {}),
            }
        ),
        "ci": CI(
            **{
                "provider": "github",
                "pipeline_name": "dbt",
                "job_url": "https://github.com/acme/opendata/actions/runs/1/job/2",
                **(ci or {}),
            }
        ),
    }
    return Ingest(
        source=Source(name=f"{project}-{environment}", project=project, environment=environment),
        run=Run(**{**base_run, **(run or {})}),
        datasets=tuple(datasets),
        checks=tuple(checks),
        results=tuple(results),
        causes=tuple(causes),
        scores=Scores(
            overall=score,
            overall_reason=reason,
            by_dimension=dimensions
            if dimensions is not None
            else {"completeness": 0.75, "uniqueness": 1.0, "validity": 0.899999},
            by_dataset={d.key: 0.5 for d in datasets},
            by_column={},
        ),
        ledger=ledger(checks, results),
    )


def good_checks(count: int, on: Dataset) -> tuple[list[Check], list[Result]]:
    checks = [
        check(f"unique_{on.name}_{n}", dataset=on.key, of="unique", column=f"c{n}", dimension="uniqueness")
        for n in range(count)
    ]
    return checks, [Result(check=c.key, status="passed", failures=0, duration_s=0.1) for c in checks]


def failing() -> Ingest:
    """24 checks: 3 failed, 1 warned, 2 skipped, 18 passed; one broken test took a model and its checks along."""
    stg, metrics, owners = (
        dataset("stg_airquality"),
        dataset("airquality_metrics", status="skipped"),
        dataset("stations", owner=None),
    )
    city = check("not_null_stg_airquality_city", dataset=stg.key, column="city", line=14)
    country = check(
        "accepted_values_stg_airquality_country__FR__DE__BE",
        dataset=stg.key,
        of="accepted_values",
        column="country",
        dimension="validity",
    )
    relation = check(
        "relationships_stg_airquality_station_id__id__ref_stations_",
        dataset=stg.key,
        of="relationships",
        column="station_id",
        dimension="consistency",
        owner="@acme/stations",
    )
    unit = check(
        "test_index_is_rounded",
        dataset=stg.key,
        kind="unit_test",
        of="unit_test",
        dimension="accuracy",
        path="models/unit_tests.yml",
    )
    skipped = [
        check(f"not_null_airquality_metrics_{c}", dataset=metrics.key, column=c) for c in ("day", "index")
    ]
    good, passed = good_checks(18, owners)
    results = [
        Result(
            check=city.key, status="failed", failures=4, message="Got 4 results, configured to fail if != 0"
        ),
        Result(
            check=country.key,
            status="warned",
            failures=2,
            message="Got 2 results, configured to warn if != 0",
        ),
        Result(
            check=relation.key,
            status="failed",
            failures=1250,
            message="Got 1250 results, configured to fail if != 0",
        ),
        Result(
            check=unit.key, status="failed", message="actual differs from expected:\n\n@@,index\n→ ,1.25→1.3"
        ),
        *(
            Result(check=c.key, status="skipped", reason="an ancestor failed", caused_by=(city.key,))
            for c in skipped
        ),
        *passed,
    ]
    causes = [
        Cause(
            key="c1",
            level="high",
            title="not_null failed on stg_airquality.city",
            body="4 rows have no city.",
            dataset=stg.key,
            checks=(city.key,),
            consequences=(metrics.key, *(c.key for c in skipped)),
            owner="data-team@example.com",
        ),
        Cause(
            key="c2",
            level="high",
            title="relationships failed",
            body="",
            dataset=stg.key,
            checks=(relation.key,),
            consequences=(),
            owner="@acme/stations",
        ),
        Cause(
            key="c3",
            level="high",
            title="unit test failed",
            body="",
            dataset=stg.key,
            checks=(unit.key,),
            consequences=(),
            owner=None,
        ),
        Cause(
            key="c4",
            level="warning",
            title="accepted_values warned",
            body="",
            dataset=stg.key,
            checks=(country.key,),
            consequences=(),
            owner=None,
        ),
    ]
    return ingest(
        [stg, metrics, owners],
        [city, country, relation, unit, *skipped, *good],
        results,
        causes,
        git={"branch": "feature/stations", "base_branch": "main"},
        ci={"change_id": "12", "event": "pull_request"},
    )


def passing() -> Ingest:
    owners = dataset("stations")
    checks, results = good_checks(12, owners)
    return ingest(
        [owners],
        checks,
        results,
        score=1.0,
        dimensions={"uniqueness": 1.0},
        environment="prod",
        run={"key": "f" * 32},
    )


def broken_model() -> Ingest:
    message = 'Database Error in model orders (models/orders.sql)\n  Catalog Error: Table with name raw_orders does not exist!\n  LINE 12:     from "db"."main"."raw_orders"\n                    ^'
    orders = dataset("orders", status="errored", message=message, owner="@acme/sales")
    late = dataset("raw.shipments", kind="source", status=None, path="models/sources.yml")
    mart = dataset("revenue", status="skipped")
    checks = [check(f"not_null_orders_{n}", dataset=orders.key) for n in range(6)] + [
        check(
            "source_freshness_raw_shipments",
            kind="freshness",
            dataset=late.key,
            of="freshness",
            dimension="timeliness",
            path="models/sources.yml",
        )
    ]
    errored = check("unique_revenue_id", dataset=mart.key, of="unique")
    good, passed = good_checks(20, dataset("stations"))
    results = [
        *(
            Result(check=c.key, status="skipped", reason="an ancestor failed", caused_by=(orders.key,))
            for c in checks[:6]
        ),
        Result(check=checks[6].key, status="failed", failures=None, message="newest row is 49 h old"),
        Result(check=errored.key, status="errored", message="Runtime Error\n  connection reset by peer"),
        *passed,
    ]
    causes = [
        Cause(
            key="c1",
            level="high",
            title="model orders errored",
            body="",
            dataset=orders.key,
            checks=(),
            consequences=(mart.key, *(c.key for c in checks[:6])),
            owner="@acme/sales",
        ),
        Cause(
            key="c2",
            level="high",
            title="stale",
            body="",
            dataset=late.key,
            checks=(checks[6].key,),
            consequences=(),
            owner=None,
        ),
        Cause(
            key="c3",
            level="high",
            title="errored",
            body="",
            dataset=mart.key,
            checks=(errored.key,),
            consequences=(),
            owner=None,
        ),
    ]
    return ingest(
        [orders, late, mart, dataset("stations")],
        [*checks, errored, *good],
        results,
        causes,
        score=None,
        reason="25.0 % of the selected tests were not decided (limit 10 %)",
        run={
            "dbt_exit_code": 1,
            "warnings": (RunWarning(code="clock-skew", text="the runner's clock is 3 minutes ahead"),),
        },
    )


def selected() -> Ingest:
    owners = dataset("stations")
    checks, results = good_checks(40, owners)
    results = results[:9] + [Result(check=c.key, status="not_run", reason="not selected") for c in checks[9:]]
    return ingest(
        [owners], checks, results, score=1.0, run={"extent": "selected", "extent_reason": "--select stations"}
    )


def nothing_tested() -> Ingest:
    owners = dataset("stations", status=None)
    checks, _ = good_checks(24, owners)
    results = [Result(check=c.key, status="not_run", reason="compiled") for c in checks]
    return ingest(
        [owners],
        checks,
        results,
        score=None,
        reason="no data test was decided",
        dimensions={},
        run={"verdict": "compile_only", "commands": ("compile",)},
    )


def large(count: int = 30_000, failed: int = 5_000) -> Ingest:
    datasets = [dataset(f"model_{n:04}", owner=f"team-{n % 40}@example.com") for n in range(count // 30)]
    checks = [
        check(
            f"not_null_model_{n % len(datasets):04}_column_{n}_größe",
            dataset=datasets[n % len(datasets)].key,
            column=f"column_{n}",
        )
        for n in range(count)
    ]
    results = [
        Result(
            check=c.key,
            status="failed" if n < failed else "passed",
            failures=n + 1 if n < failed else 0,
            message=f"Got {n + 1} results, configured to fail if != 0 – größer" if n < failed else None,
        )
        for n, c in enumerate(checks)
    ]
    causes = [
        Cause(
            key=f"c{n}",
            level="high",
            title=f"{c.name} failed",
            body="",
            dataset=c.dataset,
            checks=(c.key,),
            consequences=(),
            owner=None,
        )
        for n, c in enumerate(checks[:failed])
    ]
    return ingest(datasets, checks, results, causes, score=0.833333)


def verdict(state: str = "failed", blocks: bool | None = None, reasons=()) -> Verdict:
    return Verdict(
        state=state, blocks=state == "failed" if blocks is None else blocks, reasons=tuple(reasons)
    )


def gate(document: Ingest) -> Verdict:
    """A verdict as the gate would give it, for samples."""
    bad = [r for r in document.results if r.status in {"failed", "errored"}]
    names = {c.key: c.name for c in document.checks}
    reasons = [Reason(code="check-failed", subject=r.check, text=f"{names[r.check]} {r.status}") for r in bad]
    reasons += [
        Reason(code="dataset-errored", subject=d.key, text=f"{d.kind} {d.name} errored")
        for d in document.datasets
        if d.run and d.run.status == "errored"
    ]
    return verdict("failed" if reasons else "passed", reasons=reasons)


def receipt(document: Ingest, status: str = "recorded", **more) -> Receipt:
    fields = {
        "run_key": document.run.key,
        "api": "ingestion",
        "status": status,
        "source": document.source.name,
    }
    if status == "recorded":
        fields |= {
            "counts": {
                "datasets": len(document.datasets),
                "checks": len(document.checks),
                "results": len(document.results),
                "causes": len(document.causes),
            },
            "url": "https://qalita.example.com/runs/0123",
        }
    return Receipt(**{**fields, **more})


NOT_DELIVERED = {
    "spool": "qalita-spool/0123456789abcdef.json.gz",
    "error_code": "platform-unreachable",
    "error_text": "https://qalita.example.com does not answer (timeout after 120 s)",
    "exit_code": 4,
}
REJECTED = (
    Rejected(kind="results", key="test.opendata_dbt.x", code="bad-number", detail="failures is not a number"),
)

HOSTILE = [
    "a | b",
    "`code` ``x``",
    "<script>alert(1)</script>",
    "</details></table>",
    "![x](https://evil.example.com/a.png)",
    "[click](javascript:alert(1))",
    "line\n::error::injected",
    "x\r::add-mask::a",
    " ::set-env name=A::b",
    "x ##[stop-commands]t",
    "##vso[task.complete]",
    "\x1b[31mred\x1b]0;title\x07",
    "\x1b[0Ksection_start:1:x\r\x1b[0K",
    "left\u202eright\u2066",
    "zero\u200bwidth\ufeff",
    "%0A::error::",
    "a,b:c=d",
    '" onmouseover="alert(1)',
    "' --><!--",
    "@everyone #12 www.example.com http://e.example.com",
    "*b* _i_ ~~s~~ $m$ \\| \\\\|",
    "&lt;b&gt; &#124;",
    "lone \ud800 surrogate",
    "\x00\x07\x85\u2028\u2029",
    "# title",
    "- item",
    "1. item",
    "> quote",
    "{{ jinja }} ${SHELL} $(id)",
]


def hostile(text: str) -> Ingest:
    """Every free text of the document is `text`."""
    owners = dataset(text, status="errored", message=text, owner=text, path=text)
    one = check(text, dataset=owners.key, column=text, owner=text, path=text, line=3, of=text, dimension=text)
    two = check(text + "2", dataset=owners.key, path=text)
    results = [
        Result(check=one.key, status="failed", failures=2, message=text, reason=text, caused_by=(text,)),
        Result(check=two.key, status="skipped", reason=text, message=text, caused_by=(one.key,)),
    ]
    causes = [
        Cause(
            key=text,
            level="high",
            title=text,
            body=text,
            dataset=owners.key,
            checks=(one.key,),
            consequences=(two.key, owners.key),
            owner=text,
        ),
        Cause(
            key="2" + text,
            level="high",
            title=text,
            body=text,
            dataset=owners.key,
            checks=(),
            consequences=(),
            owner=text,
        ),
    ]
    return ingest(
        [owners],
        [one, two],
        results,
        causes,
        project=text,
        environment=text,
        score=None,
        reason=text,
        dimensions={text: 0.5},
        run={
            "key": text,
            "extent": "partial",
            "extent_reason": text,
            "dbt_version": text,
            "commands": (text,),
            "warnings": (RunWarning(code=text, text=text),),
            "adapter_type": text,
            "completed_at": text,
        },
        git={"branch": text, "sha": text, "repository_url": text},
        ci={
            "provider": text,
            "pipeline_name": text,
            "job_url": text,
            "pipeline_url": "javascript:alert(1)",
            "change_id": text,
        },
    )


# ---------------------------------------------------------------- golden files

GOLDEN = Path(__file__).parent / "golden" / "report"
UPDATE = "--update-golden" in sys.argv or bool(os.environ.get("UPDATE_GOLDEN"))


def golden(name: str, content: bytes) -> None:
    """The content is that of the golden file; with --update-golden the file becomes the content."""
    path = GOLDEN / name
    if UPDATE:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert path.read_bytes().decode() == content.decode()
