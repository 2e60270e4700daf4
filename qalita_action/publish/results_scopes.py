"""Where a number belongs in the platform's words, and which scores may leave. Pure."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from functools import lru_cache
from typing import Any

import msgspec

from qalita_action.model import Ingest

Json = dict[str, Any]
# The share of the enabled data tests that a selected run must have decided to move its source's score.
ENOUGH_DECIDED = 0.9


class ScoresSent(msgspec.Struct, frozen=True):
    """Which scores may leave: of the source (dimensions included), and of tables and columns."""

    of_source: bool
    of_tables: bool
    reason: str | None = None


def scores_sent(ingest: Ingest) -> ScoresSent:
    """A lower score e-mails people, so a run that saw little moves nothing."""
    run = ingest.run
    if run.verdict != "executed":
        return ScoresSent(False, False, f"no scores were sent: the run is {run.verdict.replace('_', ' ')}")
    match run.extent:
        case "partial":
            return ScoresSent(False, False, "no scores were sent: the run did not finish what it selected")
        case "selected":
            share = coverage_of(ingest)
            if share is not None and share >= ENOUGH_DECIDED:
                return ScoresSent(True, True)
            said = "none" if share is None else f"{float(fraction(share)) * 100:g} %"
            return ScoresSent(
                False,
                True,
                f"the source's score was not sent: the run decided {said} of the enabled data tests, "
                f"and it takes {ENOUGH_DECIDED:.0%}",
            )
        case "complete":
            return ScoresSent(True, True)


def coverage_of(ingest: Ingest) -> float | None:
    row = ingest.ledger.data_test
    return row.executed / row.expected if row.expected else None


@lru_cache(maxsize=4096)  # most columns of a large project have one of a few scores
def fraction(value: float) -> str:
    """0.98765 -> "0.9876", 1.0 -> "1.0": rounded down, as text."""
    cut = Decimal(repr(value)).quantize(Decimal("0.0001"), rounding=ROUND_DOWN)
    text = f"{cut:f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text


class Scopes:
    """Where a number belongs: the source, a table, or a column, in the platform's words. Each is one value,
    however often it is asked for."""

    def __init__(self, ingest: Ingest) -> None:
        self.source: Json = {"perimeter": "dataset", "value": ingest.source.name}
        self.names = {dataset.key: dataset.scope for dataset in ingest.datasets}
        # By its value: a table's name holds no dot, a column's has one behind the table's.
        self._known: dict[str, Json] = {}

    def asked_for(self) -> list[Json]:
        """The source and all others so far, a table before its columns."""
        return [self.source, *self._known.values()]

    def table(self, name: str) -> Json:
        return self._place("table", name)

    def column(self, table: str, name: str) -> Json:
        if table not in self._known:
            self._place("table", table)
        return self._place("column", f"{table}.{name}")

    def _place(self, perimeter: str, value: str) -> Json:
        known = self._known.get(value)
        if known is None:
            known = self._known[value] = {
                "perimeter": perimeter,
                "value": value,
                "parent_scope": self.source,
            }
        return known

    def of(self, dataset: str | None, column: str | None) -> Json:
        table = self.names.get(dataset or "")
        if table is None:
            return self.source
        return self.column(table, column) if column else self.table(table)
