"""The real artifacts under fixtures/dbt, and an independent reading of them.

The reading here is the oracle of the mapping tests: plain json, the contract's table written out by hand, and
no line of the code under test.
"""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from pathlib import Path

# Read while tests are collected: each test runs in an empty environment. The scheduled workflow points it at
# what the newest dbt wrote.
BASE = Path(os.environ.get("QALITA_FIXTURES") or Path(__file__).parent / "fixtures" / "dbt").resolve()

TEST_STATUS = {
    "pass": "passed", "warn": "warned", "fail": "failed", "error": "errored", "skipped": "skipped",
    "runtime error": "errored", "reused": "reused",
}  # fmt: skip
FRESHNESS_STATUS = {"pass": "passed", "warn": "warned", "error": "failed", "runtime error": "errored"}
RUNNING = {"build", "test", "run", "seed", "snapshot", "retry"}


def load(path: Path):
    return json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())


def all_sets() -> list[Path]:
    return sorted(p.parent for p in BASE.rglob("exit_code.txt"))


def name_of(folder: Path) -> str:
    return str(folder.relative_to(BASE))


def last_exit_code(folder: Path) -> int:
    return int(folder.joinpath("exit_code.txt").read_text().split()[-1])


def read_set(folder: Path):
    manifest = next(iter(sorted(folder.glob("manifest.json*"))), None)
    sources = next(iter(sorted(folder.glob("sources.json*"))), None)
    results = [load(p) for p in sorted(folder.glob("run_results*.json*"))]
    return (
        load(manifest) if manifest else None,
        sorted(results, key=lambda r: r["metadata"]["generated_at"]),
        load(sources) if sources else None,
    )


def counts_as_evidence(results) -> bool:
    """Did this file's command execute anything that may be shown?"""
    rows, args = results["results"], results.get("args") or {}
    if rows and all(r["status"] == "error" and r.get("message") == "Compilation Error" for r in rows):
        return False
    return args.get("which") in RUNNING and not args.get("empty") and bool(rows)


def expected_refusal(folder: Path) -> bool:
    manifest, results, sources = read_set(folder)
    if manifest is None or (not results and sources is None):
        return True
    return bool(results) and not any(counts_as_evidence(r) for r in results)


def expected_counts(folder: Path) -> dict[str, Counter]:
    """kind -> Counter of statuses over all enabled checks of the manifest, by the contract's table."""
    manifest, results, sources = read_set(folder)
    rows, empty = {}, set()
    for file in results:
        if (file.get("args") or {}).get("empty"):
            empty |= {r["unique_id"] for r in file["results"]}
        elif counts_as_evidence(file):
            for row in file["results"]:
                node = manifest["nodes"].get(row["unique_id"], {})
                if set(node.get("depends_on", {}).get("nodes", [])) & empty:
                    empty.add(row["unique_id"])
                    rows.pop(row["unique_id"], None)
                else:
                    empty.discard(row["unique_id"])
                    rows[row["unique_id"]] = row
    counts = {"data_test": Counter(), "unit_test": Counter(), "freshness": Counter()}
    for key, node in manifest["nodes"].items():
        if node["resource_type"] == "test" and node.get("config", {}).get("enabled", True) is not False:
            counts["data_test"][_test_status(rows.get(key))] += 1
    for key in manifest.get("unit_tests", {}):
        counts["unit_test"][_test_status(rows.get(key))] += 1
    fresh = {r["unique_id"]: r for r in sources["results"]} if sources else None
    for key, source in manifest["sources"].items():
        rule = source.get("freshness") or {}
        asked = any((rule.get(k) or {}).get("count") is not None for k in ("warn_after", "error_after"))
        if not asked and key not in (fresh or {}):
            continue
        if fresh is None:
            counts["freshness"]["not_run"] += 1
        elif key not in fresh:
            counts["freshness"]["vanished"] += 1
        else:
            counts["freshness"][FRESHNESS_STATUS[fresh[key]["status"].lower()]] += 1
    return counts


def _test_status(row) -> str:
    if row is None or row["status"] == "success":
        return "not_run"
    return TEST_STATUS[row["status"].lower()]
