"""Histories made from the example's real artifacts: the same few nodes, another invocation each hour, checks that break
and heal. Seeded: the same arguments give the same bytes."""

from __future__ import annotations

import copy
import json
import random
import sqlite3
import time
import uuid
from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

SAMPLE = Path(__file__).resolve().parent.parent / "examples" / "airquality" / "sample-target"
START = datetime(2026, 1, 1)
CHECKS = 6


def _small():
    """The example's manifest and results cut to six checks on their models, so that thousands of runs fit."""
    manifest = json.loads((SAMPLE / "manifest.json").read_text(encoding="utf-8"))
    results = json.loads((SAMPLE / "run_results.json").read_text(encoding="utf-8"))
    ran = {row["unique_id"]: row for row in results["results"]}
    tests = sorted(k for k, n in manifest["nodes"].items() if n.get("attached_node") in ran and k in ran)
    tests = [k for k in tests if manifest["nodes"][k]["attached_node"].startswith("model.")][:CHECKS]
    models = {manifest["nodes"][k]["attached_node"] for k in tests}
    kept = [*sorted(models), *tests]
    small = {k: {} if isinstance(v, dict) else v for k, v in manifest.items()}
    nodes = {k: copy.deepcopy(manifest["nodes"][k]) for k in kept}
    for node in nodes.values():
        node["depends_on"]["nodes"] = [p for p in node["depends_on"]["nodes"] if p in nodes]
    small |= {"metadata": manifest["metadata"], "nodes": nodes, "groups": manifest["groups"]}
    small |= {"parent_map": {k: n["depends_on"]["nodes"] for k, n in nodes.items()}}
    small["child_map"] = {k: [c for c in kept if k in small["parent_map"][c]] for k in kept}
    results["results"] = [ran[k] for k in kept]
    return small, results, sorted(models), tests


def make_history(folder: Path, runs: int, *, seed: int = 1, env: dict[str, str] | None = None) -> list[Path]:
    """A folder for each run, below one for each day, oldest first. In about one of twenty-five hours a check changes
    from good to bad or back; now and then a model is not built, and what is above it is skipped."""
    manifest, results, models, tests = _small()
    rng = random.Random(seed)
    bad = dict.fromkeys(tests, False)
    made = []
    for n in range(runs):
        at = (START + timedelta(hours=n)).isoformat(timespec="microseconds") + "Z"
        said = {"generated_at": at, "invocation_id": str(uuid.UUID(int=rng.getrandbits(128), version=4))}
        for key in tests:
            bad[key] ^= rng.random() < 0.04
        broken = rng.choice(models) if rng.random() < 0.02 else None
        for row in results["results"]:
            row.update(_outcome(row["unique_id"], bad, broken, manifest["nodes"]))
        for document in (manifest, results):
            document["metadata"] |= said | {"env": env or {}}
        target = folder / at[:10] / at[11:13]
        target.mkdir(parents=True)
        (target / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        (target / "run_results.json").write_text(json.dumps(results), encoding="utf-8")
        made.append(target)
    return made


def _outcome(key: str, bad: dict[str, bool], broken: str | None, nodes) -> dict:
    if key not in bad:
        if key == broken:
            return {"status": "error", "message": "Runtime Error: no space left", "failures": None}
        return {"status": "success", "message": "OK", "failures": None}
    if nodes[key]["attached_node"] == broken:
        return {"status": "skipped", "message": None, "failures": None}
    if bad[key]:
        return {"status": "fail", "message": "Got 3 results, configured to fail if != 0", "failures": 3}
    return {"status": "pass", "message": None, "failures": 0}


# ---------------------------------------------------------------- what a platform's file holds

# What may differ between two files that hold the same history, by table, and why. Everything else must be the same.
ARRIVAL = {
    "runs": {
        "id": "numbered by arrival; the key identifies a run",
        "job_id": "numbered by arrival",
        "opened_at": "when it arrived",
        "recorded_at": "when it was complete",
    },
    "sources": {
        "id": "numbered by arrival; the name identifies a source",
        "created_at": "when its first run arrived",
        "updated_at": "when its newest run arrived",
    },
    "issues": {
        "id": "numbered by arrival; source and key identify an issue",
        "created_at": "when it was first heard of",
        "updated_at": "when it was last heard of",
    },
    "sightings": {"id": "numbered by arrival; source, key and run identify one"},
    "jobs": {
        "id": "numbered by arrival; each is of one run",
        "note": "whether the run was the newest of those that had arrived by then",
        "start_date": "when the worker came to it",
        "end_date": "when the worker was done with it",
        "created_at": "when its run arrived",
        "updated_at": "when its run arrived",
    },
    "packs": {"created_at": "when the stand-in first served this file"},
}
# Not compared at all: the secret of the stand-in's tokens, and what was answered to which write, which an attempt that
# was killed, and one that asks twice, leave more of.
NOT_COMPARED = {"settings", "answers"}
OWNERS = {"run_id": ("runs", "key"), "source_id": ("sources", "name")}


def contents(database: Path) -> dict[str, Counter]:
    """Every row of every table but for what arrival alone decides; rows of runs and sources by key and name."""
    with closing(sqlite3.connect(database)) as db, db:
        db.row_factory = sqlite3.Row
        tables = [name for (name,) in db.execute("select name from sqlite_master where type = 'table'")]
        names = {
            column: dict(db.execute(f"select id, {name} from {table}").fetchall())
            for column, (table, name) in OWNERS.items()
        }
        found = {}
        for table in sorted(set(tables) - NOT_COMPARED):
            left_out = ARRIVAL.get(table, {})
            rows = Counter()
            for row in db.execute(f'select * from "{table}"'):
                values = {k: v for k, v in dict(row).items() if k not in left_out}
                rows[tuple((k, names[k].get(v) if k in names else v) for k, v in values.items())] += 1
            found[table] = rows
    db.close()
    return found


def assert_same(one: Path, other: Path) -> None:
    ours, theirs = contents(one), contents(other)
    assert ours.keys() == theirs.keys()
    for table in ours:
        only, missing = ours[table] - theirs[table], theirs[table] - ours[table]
        assert not only and not missing, (table, list(only)[:2], list(missing)[:2])


def is_settled(database: Path) -> bool:
    """Whether the scoring worker has nothing left to do."""
    with closing(sqlite3.connect(database)) as db, db:
        (left,) = db.execute("select count(*) from jobs where status != 'succeeded'").fetchone()
    db.close()
    return left == 0


def settle(database: Path) -> None:
    for _ in range(3000):
        if is_settled(database):
            return
        time.sleep(0.02)
    raise AssertionError("the stand-in's worker did not come to an end")


def complete_runs(database: Path) -> int:
    with closing(sqlite3.connect(database)) as db, db:
        (found,) = db.execute("select count(*) from runs where state = 'complete'").fetchone()
    db.close()
    return found
