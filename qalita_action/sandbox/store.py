"""The database: one SQLite file in WAL mode, many readers, one writer at a time, short transactions.
Must hold no rule of either API."""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, create_engine, event, insert, select

from qalita_action.sandbox import tables


def _dumps(value: Any) -> str:
    return msgspec.json.encode(value).decode()


class Store:
    """Open it, use read() and write(), close it. clock_skew_s: how far ahead the stand-in's clock is."""

    def __init__(self, database: Path, clock_skew_s: float = 0.0) -> None:
        self._skew = clock_skew_s
        # SQLite's own waiting is by sleeping; a lock hands the turn over at once to the next thread.
        self._turn = threading.Lock()
        database.parent.mkdir(parents=True, exist_ok=True)
        self._engine = create_engine(
            f"sqlite:///{database}", json_serializer=_dumps, json_deserializer=msgspec.json.decode
        )
        event.listen(self._engine, "connect", _prepare)
        event.listen(self._engine, "begin", _begin)
        with self.write() as tx:
            tables.metadata.create_all(tx)
            row = tx.execute(select(tables.settings.c.value).filter_by(name="secret")).scalar()
            if row is None:
                row = secrets.token_hex(32)
                tx.execute(insert(tables.settings).values(name="secret", value=row))
        self.secret = bytes.fromhex(row)

    def epoch(self) -> float:
        return time.time() + self._skew

    def now(self) -> str:
        """RFC 3339 UTC with microseconds."""
        return datetime.fromtimestamp(self.epoch(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A snapshot: what is read in one block fits together."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self._turn, self._engine.connect() as connection:
            connection.execution_options(writes=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        self._engine.dispose()


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours: the driver would begin too late, and never for reads
    for pragma in (
        "busy_timeout=30000",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "wal_autocheckpoint=8000",
        "cache_size=-64000",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
