"""The results API's uploads. They are dated by arrival, tied to no job and carry no key, so a doubt is
settled by looking first: rows with our keys and scopes that came since our job began are not sent again.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from qalita_action.errors import IngestError
from qalita_action.http import Budget, Client, LostAnswer, multipart
from qalita_action.model import to_json
from qalita_action.publish.answers import utc
from qalita_action.publish.job import Job, Place, belongs, listed
from qalita_action.publish.spool import Entry, Journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

Json = dict[str, Any]
TOO_OLD = frozenset({404, 405})
MAX_PAGE_BYTES = 20 * 1024 * 1024


class Uploader:
    """What every upload of one run needs; counts and notes are what came of them. tag: tells the journal's
    entries of one pack from another's, since equal files of two packs are two uploads."""

    def __init__(
        self, client: Client, place: Place, job: Job, journal: Journal, budget: Budget, tag: str = ""
    ) -> None:
        self.tag = tag
        self.client = client
        self.place = place
        self.job = job
        self.journal = journal
        self.budget = budget
        self.counts: dict[str, int] = {}
        self.notes: list[str] = []

    def metrics(self, rows: list[Json]) -> None:
        self._rows("metrics", rows, _metric_identity)

    def recommendations(self, rows: list[Json]) -> None:
        self._rows("recommendations", rows, _recommendation_identity)

    def schemas(self, rows: list[Json]) -> None:
        """No platform shows them back, and a table named twice is the same table: a repeat costs nothing."""
        self._blind("schemas", to_json(rows), len(rows))

    def figures(self, document: Json) -> None:
        """Optional: platforms before 2.18 do not know them."""
        total = len(document["figures"])
        answer = self._blind("figures", to_json(document), total, optional=True)
        if not isinstance(answer, dict):
            return
        rejected = answer.get("rejected")
        accepted = answer.get("accepted")
        if isinstance(accepted, int):
            self.counts["figures"] = accepted
        for row in rejected if isinstance(rejected, list) else ():
            if isinstance(row, dict):
                self.notes.append(f"the platform refused the figure {row.get('key')}: {row.get('error')}")

    def page(self, name: str, page: bytes) -> None:
        """The HTML page, as an output of the job. Optional: platforms before 3.2 do not take any."""
        if len(page) > MAX_PAGE_BYTES:
            self.notes.append("the page is larger than the 20 MiB that the platform takes, and was not sent")
            return
        digest = hashlib.sha256(page).hexdigest()
        if self._was_taken("outputs", digest, 1):
            return
        if self.job.is_adopted:
            self._doubt("an earlier attempt may have sent the page: it may stand twice in the job's outputs")
        body = multipart(name, page, "text/html; charset=utf-8")
        path = f"/api/v1/jobs/{self.job.id}/outputs"

        def look() -> bool:
            self._doubt("an answer was lost: the page may stand twice in the job's outputs")
            return False

        def post() -> Any:
            return self.client.request(
                "POST", path, body=body, budget=self.budget, passes=TOO_OLD, is_repeatable=False
            )

        answer = self._once(path, post, look)
        if answer is not None and answer.status in TOO_OLD:
            self.notes.append("this platform is too old to keep the page with the job")
            return
        self._taken("outputs", digest, 200, 1)

    # ------------------------------------------------------------ rows that can be looked for

    def _rows(self, kind: str, rows: list[Json], identify: Callable[[Json], str]) -> None:
        if not rows:
            return
        digest = hashlib.sha256(to_json(rows)).hexdigest()
        if self._was_taken(kind, digest, len(rows)):
            return
        pending = self._missing(kind, rows, identify) if self.job.is_resumed else rows

        def look() -> bool:
            nonlocal pending
            pending = self._missing(kind, pending, identify)
            return not pending

        def post() -> Any:
            return self._post(kind, to_json(pending))

        if pending:
            answer = self._once(f"{kind}/upload", post, look)
            if answer is not None and answer.status == 409:
                self.notes.append(f"the platform says that it has these {kind} already (409)")
        self._taken(kind, digest, 200, len(rows))

    def _missing(self, kind: str, rows: list[Json], identify: Callable[[Json], str]) -> list[Json]:
        """Those of our rows that did not arrive since the job began; all of them where nobody can tell."""
        since = self.job.since
        try:
            there = None if since is None else self._arrived(kind, since, identify)
        except IngestError:
            there = None
        if there is None:
            self._doubt(f"an earlier attempt may have sent the {kind}: they may stand twice")
            return rows
        return [row for row in rows if identify(row) not in there]

    def _arrived(self, kind: str, since: datetime, identify: Callable[[Json], str]) -> set[str] | None:
        """Identities of what came since; None where a row does not say when it came."""
        params = (("source_id", self.place.source_id), ("pack_id", self.place.pack_id))
        found: set[str] = set()
        for page in listed(self.client, f"/api/v2/{kind}", params, self.budget):
            times = [utc(row.get("created_at")) for row in page]
            for row, time in zip(page, times, strict=True):
                if not belongs(row, self.place):
                    continue
                if time is None:
                    return None
                if time >= since:
                    found.add(identify(row))
            if all(time is not None and time < since for time in times):
                break
        return found

    # ------------------------------------------------------------ files that cannot

    def _blind(self, kind: str, data: bytes, total: int, *, optional: bool = False) -> Any:
        """The JSON answer; None where the platform is too old or it was taken before."""
        if not total:
            return None
        digest = hashlib.sha256(data).hexdigest()
        if self._was_taken(kind, digest, total):
            return None
        if self.job.is_resumed:
            self._doubt(f"an earlier attempt may have sent the {kind}: they may stand twice")

        def look() -> bool:
            self._doubt(f"an answer was lost: the {kind} may stand twice")
            return False

        answer = self._once(f"{kind}/upload", lambda: self._post(kind, data, optional=optional), look)
        if optional and answer.status in TOO_OLD:
            self.notes.append(f"this platform is too old for {kind}")
            return None
        if answer.status == 409:
            self.notes.append(f"the platform says that it has these {kind} already (409)")
        self._taken(kind, digest, answer.status, total)
        return _value(answer.body)

    def _post(self, kind: str, data: bytes, *, optional: bool = False) -> Any:
        return self.client.request(
            "POST",
            f"/api/v1/{kind}/upload",
            params=self.place.params(),
            body=multipart(f"{kind}.json", data, "application/json"),
            budget=self.budget,
            passes={409, *TOO_OLD} if optional else {409},
            is_repeatable=False,
        )

    # ------------------------------------------------------------ once

    def _once(self, what: str, post: Callable[[], Any], look: Callable[[], bool]) -> Any:
        """The answer of one POST; None where looking after a lost answer showed that all is there."""
        for attempt in self.client.attempts(LostAnswer, self.budget, f"POST {what}"):
            with attempt:
                if attempt.num > 1 and look():
                    return None
                return post()
        raise AssertionError("a retry context ends with an answer or an error")

    def _doubt(self, note: str) -> None:
        """Kept with the run before the repeat goes out: whoever sends it next tells it too."""
        self.notes.append(note)
        self.journal.add(Entry(call="doubt", digest="", status=0, job=self.job.id, note=note))

    def _was_taken(self, kind: str, digest: str, total: int) -> bool:
        """Whether the journal says that the platform has exactly this file. Outputs are a job's; all else is
        tied to none, and is there whichever attempt sent it: under the tag's pack."""
        entry = self.journal.find(kind + self.tag, digest)
        if entry is None or (kind == "outputs" and entry.job != self.job.id):
            return False
        self.counts[kind] = entry.rows if entry.rows is not None else total
        return True

    def _taken(self, kind: str, digest: str, status: int, total: int) -> None:
        self.counts[kind] = total
        self.journal.add(
            Entry(call=kind + self.tag, digest=digest, status=status, job=self.job.id, rows=total)
        )


def _value(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None


def _metric_identity(row: Json) -> str:
    """Key, scope and value as the platform shows them back: values are text there."""
    value = row.get("value")
    text = value if isinstance(value, str) else to_json(value).decode()
    return to_json([row.get("key"), text, _scope(row)]).decode()


def _recommendation_identity(row: Json) -> str:
    return to_json([row.get("content"), row.get("level"), _scope(row)]).decode()


def _scope(row: Json) -> Any:
    """A JSON column, which some platforms show as text."""
    scope = row.get("scope")
    return _value(scope.encode()) if isinstance(scope, str) else scope
