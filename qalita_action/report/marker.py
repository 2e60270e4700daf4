"""What tells our comment from all others, and a newer run's from an older one's: an HTML comment that a
reader does not see. Pure. It proves nothing by itself: whoever may write a comment may paste it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence

from qalita_action.model import Ingest, Value

_WRITTEN = re.compile(r"<!-- qalita-dbt-ingest ([0-9a-f]{32}) (-|[0-9T:.+Z-]{1,40}) (\d{1,9}) -->")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")


class Marker(Value, frozen=True, kw_only=True):
    """identity: a hash of project, environment and suite. completed_at: RFC 3339 UTC, "" where unknown."""

    identity: str
    completed_at: str
    attempt: int

    def __str__(self) -> str:
        return f"<!-- qalita-dbt-ingest {self.identity} {self.completed_at or '-'} {self.attempt} -->"

    def stamp(self) -> tuple[str, str, int]:
        """Grows with the run's end, then with the attempt."""
        found = _TIME.fullmatch(self.completed_at)
        seconds, fraction = (found[1], found[2] or "") if found else ("", "")
        return seconds, fraction.ljust(9, "0"), self.attempt


def marker_of(ingests: Sequence[Ingest]) -> Marker:
    sources = sorted([i.source.project, i.source.environment, i.source.suite or ""] for i in ingests)
    ends = [Marker(identity="", completed_at=i.run.completed_at or "", attempt=0) for i in ingests]
    last = max(ends, key=Marker.stamp)
    return Marker(
        identity=hashlib.sha256(json.dumps(sources).encode()).hexdigest()[:32],
        completed_at=last.completed_at if _TIME.fullmatch(last.completed_at) else "",
        attempt=max((i.run.ci.attempt or 1 for i in ingests), default=1),
    )


def read_marker(body: str) -> Marker | None:
    """At the very start: a body that quotes ours further down is not ours."""
    found = _WRITTEN.match(body)
    if found is None:
        return None
    at = "" if found[2] == "-" else found[2]
    return Marker(identity=found[1], completed_at=at, attempt=int(found[3]))
