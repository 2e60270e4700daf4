"""A stand-in for dbt Cloud's Administrative API (v2), over real sockets: tables of runs, steps and files in, and
every request written down. It knows what the OpenAPI document says, and no line of the code under test.
"""

from __future__ import annotations

import gzip
import json
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec

from tests.loopback import Reply, reply, serving

DBT = Path(__file__).parent / "fixtures" / "dbt" / "1.10"
ACCOUNT, JOB, TOKEN = 4711, 55, "dbtc_a-secret-token-0123456789"
SHA = "9fceb02d0ae598e95dc970b74767f19372d61af8"
SUCCESS, ERROR, CANCELLED, RUNNING, QUEUED = 10, 20, 30, 3, 1
SCHEDULED = {"cause": "Kicked off from schedule", "cause_category": "scheduled"}
# With "generate docs on run", in the order in which dbt Cloud runs them.
CLONE = "Clone git repository"
PROFILE = "Create profile from connection Snowflake"
DEPS = "Invoke dbt with `dbt deps`"
BUILD = "Invoke dbt with `dbt build --full-refresh`"
DOCS = "Invoke dbt with `dbt docs generate`"


def files(case: str) -> dict[str, bytes]:
    """What real dbt wrote for one command."""
    return {
        p.name.removesuffix(".gz"): gzip.decompress(p.read_bytes()) for p in (DBT / case).glob("*.json.gz")
    }


def edited(data: bytes, *, invocation: str | None = None, all_green: bool = False) -> bytes:
    content = json.loads(data)
    if invocation:
        content["metadata"]["invocation_id"] = invocation
    for row in content["results"] if all_green else ():
        is_test = row["unique_id"].startswith(("test.", "unit_test."))
        row["status"], row["failures"], row["message"] = "pass" if is_test else "success", 0, None
    return json.dumps(content).encode()


class Step(msgspec.Struct):
    """command: what newer accounts say beside the name."""

    name: str
    files: dict[str, bytes] = {}
    status: int = SUCCESS
    command: str | None = None


class Run(msgspec.Struct):
    """statuses: one for each look, the last one for good. late: looks for artifacts that are in vain. saved: what
    the run says of its artifacts in the end."""

    id: int
    steps: list[Step] = []
    statuses: list[int] = msgspec.field(default_factory=lambda: [SUCCESS])
    trigger: dict = msgspec.field(default_factory=lambda: SCHEDULED)
    git_branch: str | None = "main"
    git_sha: str | None = SHA
    environment: str = "Production"
    finished: datetime = datetime(2026, 11, 20, 7, 15, tzinfo=timezone.utc)
    late: int = 0
    saved: bool = True


def setup(*rest: Step) -> list[Step]:
    return [Step(CLONE), Step(PROFILE), Step(DEPS), *rest]


def a_build(run: int = 901, case: str = "build", **changes) -> Run:
    """A job of `dbt build` that generates docs: step 4 holds the results, step 5 those that say nothing."""
    steps = setup(Step(BUILD, files(case), changes.pop("step", ERROR)), Step(DOCS, files("docs_generate")))
    return Run(run, steps, **{"statuses": [ERROR], **changes})


class Cloud(msgspec.Struct):
    """trouble: replies that come first, by a part of the path. knows_step: False as in 2023."""

    runs: list[Run]
    knows_step: bool = True
    trouble: dict[str, list[Reply]] = {}
    url: str = ""
    asked: list[str] = []
    tokens: set[str] = set()

    def artifacts(self) -> list[str]:
        """`step/name`, as asked for."""
        found = [urlsplit(path) for path in self.asked if "/artifacts/" in path]
        return [f"{parse_qs(p.query)['step'][0]}/{p.path.rpartition('/')[2]}" for p in found]

    def answer(self, seen) -> Reply:
        self.asked.append(seen.path)
        self.tokens.add(seen.headers.get("authorization", ""))
        for part, replies in self.trouble.items():
            if part in seen.path and replies:
                return replies.pop(0)
        if seen.headers.get("authorization") not in (f"Bearer {TOKEN}", f"Token {TOKEN}"):
            return reply(401, {"status": {"code": 401, "user_message": "Invalid token."}, "data": None})
        parts = urlsplit(seen.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        head = f"/api/v2/accounts/{ACCOUNT}/runs/"
        if not parts.path.startswith(head) or seen.method != "GET":
            return NOT_FOUND
        rest = parts.path.removeprefix(head)
        if not rest:
            return self._listed(query)
        number, _, rest = rest.partition("/")
        run = next((r for r in self.runs if str(r.id) == number), None)
        if run is None:
            return NOT_FOUND
        if not rest:
            status = run.statuses.pop(0) if len(run.statuses) > 1 else run.statuses[0]
            return reply(200, {"data": self._shown(run, query, status, ALONE)}, Retry_After="0")
        return self._artifact(run, rest, query)

    def _listed(self, query: dict[str, str]) -> Reply:
        assert query["order_by"] == "-id"
        runs = sorted(self.runs if query["job_definition_id"] == str(JOB) else [], key=lambda r: -r.id)
        first, limit = int(query.get("offset", 0)), min(int(query.get("limit", 100)), 100)
        rows = [self._shown(r, query, r.statuses[0], LISTED) for r in runs[first : first + limit]]
        return reply(
            200, {"data": rows, "extra": {"pagination": {"count": len(rows), "total_count": len(runs)}}}
        )

    def _artifact(self, run: Run, rest: str, query: dict[str, str]) -> Reply:
        if run.late > 0:
            run.late -= 1
            return reply(404, {"status": {"code": 404}}, Retry_After="0")
        step = int(query["step"]) if self.knows_step and "step" in query else len(run.steps)
        data = run.steps[step - 1].files.get(rest.removeprefix("artifacts/"))
        return NOT_FOUND if data is None else Reply(200, data, {"Content-Type": "application/json"})

    def _shown(self, run: Run, query: dict[str, str], status: int, may: set[str]) -> dict:
        over = status in (SUCCESS, ERROR, CANCELLED)
        related = {
            "trigger": {"job_definition_id": JOB, **run.trigger},
            "job": {"id": JOB, "name": "Nightly build"},
            "environment": {"id": 7, "name": run.environment},
            "repository": {"remote_url": "https://x-token:hunter2@git.example.com/acme/shop.git"},
            "run_steps": [
                {
                    "id": run.id * 100 + n,
                    "run_id": run.id,
                    "account_id": ACCOUNT,
                    "index": n,
                    "name": s.name,
                    "status": s.status,
                    "logs": "07:15:01 Running",
                    **(
                        {"run_step_command": {"run_step_id": n, "dbt_command": s.command}}
                        if s.command
                        else {}
                    ),
                }
                for n, s in enumerate(run.steps, 1)
            ],
        }
        wanted = set(json.loads(query.get("include_related", "[]"))) & may
        return {
            "id": run.id,
            "account_id": ACCOUNT,
            "job_definition_id": JOB,
            "project_id": 3,
            "environment_id": 7,
            "status": status,
            "is_complete": over,
            "is_error": status == ERROR,
            "is_cancelled": status == CANCELLED,
            "git_branch": run.git_branch,
            "git_sha": run.git_sha,
            "dbt_version": "1.10.0-latest",
            "created_at": stamp(run.finished - timedelta(minutes=9)),
            "started_at": stamp(run.finished - timedelta(minutes=8)),
            "finished_at": stamp(run.finished) if over else None,
            "artifacts_saved": over and run.late == 0 and run.saved,
            "has_docs_generated": True,
            "has_sources_generated": False,
            "href": f"https://cloud.getdbt.com/deploy/{ACCOUNT}/projects/3/runs/{run.id}/",
            **{name: related[name] for name in wanted},
        }


# What include_related knows, for one run and for a listing.
ALONE = {"trigger", "job", "environment", "repository", "run_steps"}
LISTED = {"trigger", "job"}
NOT_FOUND = reply(
    404, {"status": {"code": 404, "is_success": False, "user_message": "Not found"}, "data": None}
)


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S.%f+00:00")


@contextmanager
def dbt_cloud(*runs: Run, **changes):
    """Give its `url` as --dbt-cloud-host, and TOKEN as DBT_CLOUD_API_TOKEN."""
    cloud = Cloud(list(runs), **changes)
    with serving(cloud.answer) as server:
        cloud.url = server.url
        yield cloud
