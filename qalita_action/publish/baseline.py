"""The run of the base branch that the ingestion API knows, to compare with. Reads alone; must not compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import quote

import msgspec
from pydantic import ValidationError

from qalita_action.http import Budget
from qalita_action.model import Base, CheckKind, Past, PastCheck, PastDataset, RunStatus, Status
from qalita_action.publish.answers import M, parse, unreadable
from qalita_action.publish.choose import INGEST, choose
from qalita_action.wire import Page, PastDatasetRow, PastOutcome, PastResult, PastRun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qalita_action.http import Client
    from qalita_action.model import Ingest
    from qalita_action.publish.connect import Connection

ATTEMPTS = 3
LOOK_S = 20.0  # a look at the base must not eat the time to publish
PAGES = 200  # of 1,000 rows
RUN_PAGES = 3  # of 100 runs: a base that is further away is no base
HISTORIES = 30
_KINDS: dict[str, CheckKind] = {"unit_test": "unit_test", "source": "freshness"}
STATUSES: dict[str, Status] = {word: word for word in get_args(Status)}
RUN_STATUSES: dict[str, RunStatus] = {word: word for word in get_args(RunStatus)}
GOOD = frozenset({"passed", "reused", "not_run"})


def baseline(
    connection: Connection, ingest: Ingest, *, branch: str | None, environment: str | None
) -> tuple[Past | None, str]:
    """The newest complete run of that branch of this project, suite and repository, no change run and no
    partial one, and not this run itself; or None, and why.

    Raises SettingsError, DeliveryError: the platform could not be asked.
    """
    if branch is None:
        return None, "nobody knows the base branch: --default-branch names it"
    options = msgspec.structs.replace(connection.options, attempts=ATTEMPTS)
    budget = Budget(min(connection.target.timeout_s, LOOK_S))
    with msgspec.structs.replace(connection, options=options).client() as client:
        chosen = choose(connection, client, budget)
        if chosen.api != "ingestion":
            return None, "this platform keeps no runs to compare with (no ingestion API)"
        looking = _Looking(client, budget)
        run = looking.newest(ingest, branch, environment)
        if run is None:
            return None, f"the platform has no run of {ingest.source.project} on branch {branch}"
        return looking.past(run, ingest), ""


class _Looking(msgspec.Struct, frozen=True):
    client: Client
    budget: Budget

    def rows(self, path: str, kind: type[M], params: dict[str, str | None], pages: int) -> Iterator[M]:
        given = [(k, v) for k, v in params.items() if v is not None]
        before: str | None = None
        for _ in range(pages):
            more = [("before", before)] if before else []
            answer = self.client.request("GET", INGEST + path, params=[*given, *more], budget=self.budget)
            page = parse(self.client, answer, Page)
            try:
                yield from (kind.model_validate(item) for item in page.items)
            except ValidationError as e:
                raise unreadable(answer, e.errors(include_input=False)[0]["msg"]) from None
            before = page.next
            if before is None:
                return

    def newest(self, ingest: Ingest, branch: str, environment: str | None) -> PastRun | None:
        wanted = {
            "project": ingest.source.project,
            "environment": environment,
            "branch": branch,
            "limit": "100",
        }
        runs = self.rows("/runs", PastRun, wanted, RUN_PAGES)
        return next((run for run in runs if _may_be_base(run, ingest, branch)), None)

    def past(self, run: PastRun, ingest: Ingest) -> Past:
        path = f"/runs/{quote(run.key, safe='')}/results"
        found = tuple(self.rows(path, PastResult, {"limit": "1000"}, PAGES))
        datasets = tuple(self.rows("/datasets", PastDatasetRow, {"run": run.key, "limit": "1000"}, PAGES))
        red = {r.check for r in ingest.results if r.status not in GOOD}
        known = [r.check for r in found if r.status not in GOOD and r.check in red]
        since = {key: self.since(key, run, ingest) for key in known[:HISTORIES]}
        facts = run.run
        return Past(
            base=Base(
                origin="platform",
                where=run.url or f"run {run.key}",
                run_key=run.key,
                branch=facts.git.branch,
                sha=facts.git.sha,
                completed_at=facts.completed_at,
                score=run.scores.overall,
            ),
            checks=tuple(_check(r, since.get(r.check) or facts.completed_at) for r in found),
            datasets=tuple(
                PastDataset(
                    key=d.key, checksum=d.checksum, status=RUN_STATUSES.get(d.run.status) if d.run else None
                )
                for d in datasets
            ),
            has_datasets=bool(datasets),
        )

    def since(self, key: str, run: PastRun, ingest: Ingest) -> str | None:
        """When the check was first seen bad without a good run since, on the base's branch."""
        wanted = {
            "project": ingest.source.project,
            "environment": run.source.environment,
            "limit": "100",
        }
        path = f"/checks/{quote(key, safe='')}/history"
        found = None
        for outcome in self.rows(path, PastOutcome, wanted, 1):
            elsewhere = outcome.change_id or outcome.branch != run.run.git.branch
            if elsewhere or _is_later(outcome.completed_at, run.run.completed_at):
                continue
            if outcome.status in GOOD:
                if outcome.status == "passed":
                    break
                continue
            found = outcome.completed_at
        return found


def _may_be_base(run: PastRun, ingest: Ingest, branch: str) -> bool:
    facts, ours = run.run, ingest.run
    repositories = {_repository(u) for u in (facts.git.repository_url, ours.git.repository_url) if u}
    is_own_branch = not ours.ci.change_id and ours.git.branch == branch
    return (
        run.key != ours.key
        and not facts.ci.change_id
        and facts.extent != "partial"
        and facts.verdict == "executed"
        and run.source.suite == ingest.source.suite
        and len(repositories) < 2
        and not (is_own_branch and _is_later(facts.completed_at, ours.completed_at))
    )


def _is_later(a: str | None, b: str | None) -> bool:
    """RFC 3339 in UTC, with or without decimals: compared as text they sort but for the Z."""
    return bool(a and b) and str(a).rstrip("Z") > str(b).rstrip("Z")


def _repository(url: str) -> str:
    return url.rstrip("/").removesuffix(".git").casefold()


def _check(row: PastResult, since: str | None) -> PastCheck:
    failures: Any = row.failures
    return PastCheck(
        key=row.check,
        alias=row.alias,
        name=row.name or row.check,
        kind=_KINDS.get(row.check.partition(".")[0], "data_test"),
        type=row.type or "",
        namespace=row.namespace,
        dataset=row.dataset if row.type else None,
        column=row.column,
        definition_checksum=row.definition_checksum,
        status=STATUSES.get(row.status, "unknown"),
        failures=int(failures) if failures is not None and float(failures).is_integer() else failures,
        since=since,
    )
