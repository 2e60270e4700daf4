"""What opening a run and sending a batch do to the tables. Makes nothing visible: completing does."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
from pydantic import ValidationError
from sqlalchemy import JSON, Column, Connection, Row, delete, insert, select, update

from qalita_action.sandbox import tables
from qalita_action.sandbox.documents import (
    KEY_OF,
    KINDS,
    ROW,
    SCHEMA_VERSIONS,
    Batch,
    Kind,
    Opening,
    is_change,
    microseconds,
    wrong_with,
)
from qalita_action.sandbox.intake import Answer, Work, Write, decoded
from qalita_action.sandbox.problems import Problem


def run_row(tx: Connection, partner: str, key: str) -> Row[Any] | None:
    c = tables.runs.c
    return tx.execute(select(tables.runs).where(c.partner == partner, c.key == key)).first()


def opening(write: Write, *, base: str, now: str) -> Work:
    """Judge the body of PUT /runs/{key}. base: where links for people begin."""
    raw = decoded(write.body)
    version = raw.get("schemaVersion") if isinstance(raw, dict) else None
    if isinstance(version, str) and version not in SCHEMA_VERSIONS:
        raise Problem("schema-version-unknown", known=list(SCHEMA_VERSIONS))
    try:
        document = Opening.model_validate(raw)
        completed_us = microseconds(document.run.completed_at)
    except ValidationError as error:
        raise Problem("run-malformed", wrong_with(error)) from error
    except ValueError as error:
        raise Problem("run-malformed", "run.completed_at: no such time") from error
    if document.run.key != write.run_key:
        raise Problem("run-malformed", "run.key is not the key of the path")
    run = raw["run"]
    values = {
        "account_id": write.account.id,
        "content_digest": run["content_digest"],
        "state": "open",
        "project": document.source.project,
        "environment": document.source.environment,
        "branch": document.run.git.branch,
        "change_id": document.run.ci.change_id,
        "verdict": document.run.verdict,
        "extent": document.run.extent,
        "is_change": is_change(run),
        "completed_at": document.run.completed_at,
        "completed_us": completed_us,
        "overall": document.scores.overall,
        "expected": {kind: getattr(document.batches, kind) for kind in KINDS},
        "schema_version": document.schemaVersion,
        **{part: raw[part] for part in ("source", "run", "ledger", "scores")},
    }

    def work(tx: Connection, write: Write) -> Answer:
        return _open(tx, write, values, base=base, now=now)

    return work


def _open(tx: Connection, write: Write, values: dict[str, Any], *, base: str, now: str) -> Answer:
    known = run_row(tx, write.account.partner, write.run_key)
    if known is None:
        row = {**values, "partner": write.account.partner, "key": write.run_key, "opened_at": now}
        new = tx.execute(insert(tables.runs), row).inserted_primary_key
        run_id = new[0] if new else None
        return Answer(201, _opened(write.run_key, "open", f"{base}/runs/{run_id}"))
    url = f"{base}/runs/{known.id}"
    same = known.content_digest == values["content_digest"]
    if known.state == "complete":
        if not same:
            raise Problem("run-differs", content_digest=known.content_digest)
        return Answer(200, _opened(write.run_key, "complete", url))
    # The same content cut otherwise: batch 3 of the one is not batch 3 of the other.
    restarted = not same or known.expected != values["expected"]
    if restarted:
        for table in (tables.batches, *tables.ROWS.values()):
            tx.execute(delete(table).where(table.c.run_id == known.id))
    tx.execute(update(tables.runs).where(tables.runs.c.id == known.id).values(values))
    return Answer(200, _opened(write.run_key, "open", url, restarted=restarted), forgets=restarted)


def _opened(key: str, state: str, url: str, *, restarted: bool = False) -> dict[str, Any]:
    return {"key": key, "state": state, "restarted": restarted, "url": url}


# ---------------------------------------------------------------- batches


def batch(write: Write, *, kind: Kind, n: int, max_batch: int) -> Work:
    """Judge the rows of PUT /runs/{key}/{kind}/{n}: only malformed ones are rejected."""
    raw = decoded(write.body)
    try:
        Batch.model_validate(raw)
    except ValidationError as error:
        raise Problem("batch-malformed", wrong_with(error)) from error
    if len(raw["rows"]) > max_batch:
        raise Problem("batch-too-large", f"At most {max_batch} rows.", limit=max_batch)
    rows, rejected = _judged(kind, raw["rows"])

    def work(tx: Connection, write: Write) -> Answer:
        return _store(tx, write, kind, n, rows, rejected)

    return work


class Judged(NamedTuple):
    """A row that is well formed: its members as the table's columns take them, and its JSON as it came."""

    key: str
    members: tuple[Any, ...]
    position: int
    text: str


def _members(kind: Kind) -> list[Column[Any]]:
    """The table's columns that bear the names of the document's members, in the table's order."""
    return [c for c in tables.ROWS[kind].columns if c.name not in ("run_id", "batch", "position", "row")]


def _judged(kind: Kind, raw_rows: list[Any]) -> tuple[list[Judged], list[dict[str, Any]]]:
    model, key_name, columns = ROW[kind], KEY_OF[kind], _members(kind)
    members = itemgetter(*(column.name for column in columns))
    nested = [at for at, column in enumerate(columns) if isinstance(column.type, JSON)]
    rows: dict[str, Judged] = {}
    rejected: list[dict[str, Any]] = []
    for position, raw in enumerate(raw_rows):
        key = raw.get(key_name) if isinstance(raw, dict) else None
        shown = key if isinstance(key, str) else f"#{position}"
        try:
            model.model_validate(raw)
        except ValidationError as error:
            rejected.append(rejection(kind, shown, "row-malformed", wrong_with(error)))
            continue
        if shown in rows:
            rejected.append(rejection(kind, shown, "key-twice", "The batch holds this key twice."))
            continue
        values = list(members(raw))
        for at in nested:
            values[at] = None if values[at] is None else msgspec.json.encode(values[at]).decode()
        rows[shown] = Judged(shown, tuple(values), position, msgspec.json.encode(raw).decode())
    return list(rows.values()), rejected


def _store(
    tx: Connection,
    write: Write,
    kind: Kind,
    n: int,
    rows: list[Judged],
    rejected: list[dict[str, Any]],
) -> Answer:
    r = tables.runs.c  # no more of it: each batch of a large run would decode the run's own document again
    of = (r.partner == write.account.partner) & (r.key == write.run_key)
    run = tx.execute(select(r.id, r.state, r.expected).where(of)).first()
    if run is None:
        raise Problem("run-unknown")
    b = tables.batches.c
    here = (b.run_id == run.id) & (b.kind == kind) & (b.n == n)
    if run.state == "complete":
        stored = tx.execute(select(tables.batches).where(here, b.digest == write.digest)).first()
        if stored is None:
            raise Problem("run-complete")
        return Answer(200, {"accepted": stored.accepted, "rejected": stored.rejected})
    if n >= run.expected[kind]:
        raise Problem("batch-out-of-range", f"{run.expected[kind]} batches of {kind}, numbered from 0.")
    table, key_name = tables.ROWS[kind], KEY_OF[kind]
    if tx.execute(select(b.n).where(here)).first() is not None:  # else a search of all rows for none
        tx.execute(delete(table).where(table.c.run_id == run.id, table.c.batch == n))
        tx.execute(delete(tables.batches).where(here))
    new = _insert(tx, kind, [(*row.members, run.id, n, row.position, row.text) for row in rows])
    if new < len(rows):  # only then is it worth a search for the others
        key = table.c[key_name]
        asked = key.in_([row.key for row in rows])
        other = select(key).where(table.c.run_id == run.id, table.c.batch != n, asked)
        taken = set(tx.execute(other).scalars())
        rejected = rejected + [
            rejection(kind, row.key, "key-twice", "Another batch holds this key.")
            for row in rows
            if row.key in taken
        ]
    tx.execute(
        insert(tables.batches),
        {
            "run_id": run.id,
            "kind": kind,
            "n": n,
            "digest": write.digest,
            "accepted": new,
            "rejected": rejected,
        },
    )
    return Answer(200, {"accepted": new, "rejected": rejected})


def _insert(tx: Connection, kind: Kind, rows: list[tuple[Any, ...]]) -> int:
    """How many were new. As the driver takes them: SQLAlchemy's own way costs more for each than the rest."""
    if not rows:
        return 0
    names = [*(column.name for column in _members(kind)), "run_id", "batch", "position", "row"]
    quoted, places = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
    into = f'INSERT INTO "{tables.ROWS[kind].name}" ({quoted}) VALUES ({places})'  # noqa: S608 - names of ours
    return tx.exec_driver_sql(f"{into} ON CONFLICT DO NOTHING", rows).rowcount


def rejection(kind: Kind, key: str, code: str, detail: str) -> dict[str, Any]:
    return {"kind": kind, "key": key, "code": code, "detail": detail}
