"""A large dbt project's artifacts, made from nodes that real dbt wrote. Seeded: same arguments, same bytes.

    python bench/make_large.py bench/data/large --models 5000 --tests 30000 --sql 7000

The nodes of tests/fixtures/dbt/1.10/build are copied under new names, with SQL of believable length, so that
every key that dbt writes is there and the file has the weight of a real one.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import json
import random
from pathlib import Path

FIXTURE = Path(__file__).parent.parent / "tests" / "fixtures" / "dbt" / "1.10" / "build"
WORDS = ["select", "from", "where", "join", "left", "on", "case", "when", "sum", "coalesce", "order_id"]
PER_CHAIN = 40


def load(name: str):
    return json.loads(gzip.decompress((FIXTURE / f"{name}.json.gz").read_bytes()))


def sql(rng: random.Random, length: int) -> str:
    text = " ".join(rng.choice(WORDS) for _ in range(length // 5))
    return text[:length]


def make(target: Path, models: int, tests: int, sql_length: int, failing: float) -> None:
    rng = random.Random(7)
    manifest, results = load("manifest"), load("run_results")
    model = next(n for k, n in manifest["nodes"].items() if k.endswith("stg_orders"))
    test = next(n for k, n in manifest["nodes"].items() if "not_null_stg_orders_order_id" in k)
    model_row = next(r for r in results["results"] if r["unique_id"].endswith("stg_orders"))
    test_row = next(r for r in results["results"] if "not_null_stg_orders_order_id" in r["unique_id"])
    nodes, rows = {}, []
    for i in range(models):
        node = copy.deepcopy(model)
        name = f"model_{i:05d}"
        key = f"model.qalita_demo.{name}"
        parent = [f"model.qalita_demo.model_{i - 1:05d}"] if i % PER_CHAIN else []
        code = sql(rng, sql_length)
        node.update(unique_id=key, name=name, alias=name, raw_code=code, compiled_code=code)
        node["relation_name"] = f'"demo"."main"."{name}"'
        node["depends_on"] = {"macros": [], "nodes": parent}
        nodes[key] = node
        rows.append({**model_row, "unique_id": key, "compiled_code": code[:2000]})
    for i in range(tests):
        node = copy.deepcopy(test)
        name = f"model_{rng.randrange(models):05d}"
        label = f"not_null_{name}_column_{i}"
        key = f"test.qalita_demo.{label}.{rng.getrandbits(40):010x}"
        node.update(unique_id=key, name=label, alias=label, column_name=f"column_{i}")
        node["attached_node"] = f"model.qalita_demo.{name}"
        node["depends_on"] = {"macros": node["depends_on"]["macros"], "nodes": [f"model.qalita_demo.{name}"]}
        node["test_metadata"]["kwargs"] = {
            "column_name": f"column_{i}",
            "model": f"{{{{ get_where_subquery(ref('{name}')) }}}}",
        }
        nodes[key] = node
        failed = rng.random() < failing
        row = {**test_row, "unique_id": key}
        if failed:
            count = rng.randrange(1, 900)
            row.update(status="fail", failures=count)
            row["message"] = f"Got {count} results, configured to fail if != 0"
        rows.append(row)
    keep = {k: n for k, n in manifest["nodes"].items() if k.startswith("operation.")}
    manifest.update(nodes={**keep, **nodes}, unit_tests={}, parent_map={}, child_map={}, disabled={})
    for node in nodes.values():
        manifest["parent_map"][node["unique_id"]] = node["depends_on"]["nodes"]
        manifest["child_map"][node["unique_id"]] = []
    results["results"] = rows
    target.mkdir(parents=True, exist_ok=True)
    for name, content in (("manifest", manifest), ("run_results", results)):
        path = target / f"{name}.json"
        path.write_text(json.dumps(content))
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    parser.add_argument("--models", type=int, default=5000)
    parser.add_argument("--tests", type=int, default=30000)
    parser.add_argument("--sql", type=int, default=3200, help="characters of SQL in a model, stored twice")
    parser.add_argument("--failing", type=float, default=0.01)
    args = parser.parse_args()
    make(args.target, args.models, args.tests, args.sql, args.failing)


if __name__ == "__main__":
    main()
