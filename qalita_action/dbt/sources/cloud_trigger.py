"""A dbt Cloud job, started once by the Administrative API, whatever the network loses. Must not read a run's
artifacts: `cloud` does, from the address that is answered here.

A started run costs money, so an answer that was lost is looked for before anything is asked again: each
order's cause ends with a marker of its own.
"""

from __future__ import annotations

import re
import secrets
import time
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from qalita_action.dbt.sources import cloud, cloud_api, cloud_marks
from qalita_action.dbt.sources.cloud_shapes import CloudRun, OneRun
from qalita_action.errors import ArtifactError, IngestError, SettingsError
from qalita_action.http import Budget, Client, LostAnswer, json_body
from qalita_action.redact import clean_line, cut, mask_tokens, mask_url, scrub

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qalita_action.dbt.found import Reach
    from qalita_action.http import Answer

SHORT = re.compile(r"([0-9]{1,19})/([0-9]{1,19})")
MOST_POSTS = 3
# Seconds before each look for a run whose answer was lost: a gateway gives up sooner than what is behind it.
LOOKS_S = (1.0, 3.0, 6.0)
NEWEST = 100  # of one job's runs
MOST_CAUSE, MOST_SAID = 200, 400
REFUSED = frozenset({400, 401, 403, 404, 405, 409, 422})


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What dbt Cloud is asked to run. cause: for people, with the marker that no other order has."""

    account: str
    job: str
    cause: str
    marker: str
    git_sha: str | None = None
    git_branch: str | None = None
    schema_override: str | None = None
    steps_override: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        return f"dbtcloud://{self.account}/jobs/{self.job}"

    @property
    def path(self) -> str:
        return f"/api/v2/accounts/{self.account}/jobs/{self.job}/run/"

    def body(self) -> dict[str, Any]:
        """What is not said is not sent: dbt Cloud takes an empty text for a wrong one."""
        said = {
            "cause": self.cause,
            "git_sha": self.git_sha,
            "git_branch": self.git_branch,
            "schema_override": self.schema_override,
            "steps_override": list(self.steps_override),
        }
        return {name: value for name, value in said.items() if value}


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A run that dbt Cloud has taken. url: its page, where dbt Cloud says it."""

    account: str
    job: str
    run: str
    url: str | None
    cause: str

    @property
    def address(self) -> str:
        return f"dbtcloud://{self.account}/runs/{self.run}"


def order(
    job: str,
    *,
    cause: str,
    is_change: bool = False,
    change_id: str | None = None,
    git_sha: str | None = None,
    git_branch: str | None = None,
    schema_override: str | None = None,
    steps_override: Sequence[str] = (),
) -> Order:
    """job: dbtcloud://ACCOUNT/jobs/JOB, or ACCOUNT/JOB. Error: dbt-cloud-address."""
    text = job.strip()
    short = SHORT.fullmatch(text)
    aim = cloud.parsed(f"dbtcloud://{short[1]}/jobs/{short[2]}" if short else text)
    if aim.kind != "jobs" or aim.since is not None:
        raise SettingsError(
            "dbt-cloud-address",
            f"{aim} is no job that can be started",
            expected="dbtcloud://ACCOUNT/jobs/JOB or ACCOUNT/JOB",
            todo=["take both numbers from the job's address in the browser"],
        )
    marker = f"qalita-{secrets.token_hex(5)}"
    words = cloud_marks.last_words(marker, is_change=is_change, change_id=change_id)
    return Order(
        account=aim.account,
        job=aim.id,
        cause=f"{cut(clean_line(mask_tokens(cause)), MOST_CAUSE)} {words}",
        marker=marker,
        git_sha=git_sha,
        git_branch=git_branch,
        schema_override=schema_override,
        steps_override=tuple(step for step in steps_override if step.strip()),
    )


def check(reach: Reach) -> None:
    """What is wrong with host and token, without a call."""
    cloud_api.options(reach)


def start(order: Order, reach: Reach, *, looks_s: Sequence[float] = LOOKS_S) -> Started:
    """One run, in dbt Cloud's queue.

    Errors: dbt-cloud-token-refused, -job-missing, -refused, -host, -unreachable, -unreadable, and -unsure
    where nobody knows whether it was started.
    """
    lost: LostAnswer | None = None
    with Client(cloud_api.options(reach)) as client, cloud_api.Api(reach, order.account) as api:
        for _ in range(MOST_POSTS):
            try:
                answer = _posted(client, order, reach)
            except LostAnswer as e:
                lost = e
                if found := _looked(api, order, looks_s, lost):
                    return found
            else:
                started = _accepted(api, order, answer, looks_s)
                return _first(api, order, started) if lost else started
    assert lost is not None
    raise _unsure(order, lost, "and it shows no run with this cause")


def _posted(client: Client, order: Order, reach: Reach) -> Answer:
    try:
        answer = client.request(
            "POST",
            order.path,
            budget=Budget(reach.patience_s),
            body=json_body(order.body()),
            passes=REFUSED,
            is_repeatable=False,
        )
    except LostAnswer:
        raise
    except IngestError as e:
        raise cloud_api.told(e, again="run this step again: nothing was started") from None
    if answer.status in REFUSED:
        raise _refused(client, order, answer)
    return answer


def _accepted(api: cloud_api.Api, order: Order, answer: Answer, looks_s: Sequence[float]) -> Started:
    """A yes. Where it does not say to which run, there is one all the same, and it is not asked for
    again."""
    try:
        return _started(order, cloud_api.view(answer, OneRun).data)
    except ArtifactError as e:
        if found := _looked(api, order, looks_s, e):
            return found
        raise _unsure(order, e, "and it shows no run with this cause") from None


def _started(order: Order, run: CloudRun) -> Started:
    url = mask_url(clean_line(run.href, 500)) if run.href else None
    return Started(account=order.account, job=order.job, run=str(run.id), url=url, cause=order.cause)


# ---------------------------------------------------------------- an answer that was lost


def _looked(api: cloud_api.Api, order: Order, looks_s: Sequence[float], lost: IngestError) -> Started | None:
    """Its run; None where there is none, so that it may be asked for again."""
    for seconds in looks_s:
        time.sleep(seconds)
        try:
            found = _ours(api, order)
        except IngestError as e:
            raise _unsure(order, lost, f"and its runs cannot be read: {e.what}") from None
        if found:
            return found[0]
    return None


def _ours(api: cloud_api.Api, order: Order) -> list[Started]:
    """The runs that carry our marker, oldest first. Error: dbt-cloud-unreadable where causes are not told."""
    found = []
    for run, answer in islice(api.runs(order.job), NEWEST):
        if run.trigger is None or run.trigger.cause is None:
            raise ArtifactError(
                "dbt-cloud-unreadable",
                f"dbt Cloud does not say why run {run.id} was started",
                expected="data[].trigger.cause",
                looked=[answer.where],
            )
        if order.marker in run.trigger.cause:
            found.append(_started(order, run))
    return found[::-1]


def _first(api: cloud_api.Api, order: Order, started: Started) -> Started:
    """An order that was given twice may have come late: then both run, and that is said."""
    with suppress(IngestError):
        if len(found := _ours(api, order)) > 1:
            others = ", ".join(run.address for run in found[1:])
            cloud_api.say(f"dbt Cloud took one order more than once: cancel {others} there")
            return found[0]
    return started


def _unsure(order: Order, lost: IngestError, why: str) -> ArtifactError:
    return ArtifactError(
        "dbt-cloud-unsure",
        f"Nobody knows whether dbt Cloud started job {order.job}: its answer was lost, {why}.",
        expected="an answer, or a run whose cause ends with this marker",
        looked=[*lost.looked, lost.what, f"marker: {order.marker}"],
        todo=["look among the job's newest runs for the marker", "where there is none, start it again"],
    )


# ---------------------------------------------------------------- a refusal


def _refused(client: Client, order: Order, answer: Answer) -> SettingsError:
    told = f" ({answer.status}){_own_words(answer, client)}"
    looked = [answer.where]
    match answer.status:
        case 401:
            return SettingsError(
                "dbt-cloud-token-refused",
                f"dbt Cloud refused the token{told}.",
                expected="a token of this account, not revoked, at the account's own host",
                looked=looked,
                todo=[
                    "make a new token in dbt Cloud's account settings, and set DBT_CLOUD_API_TOKEN",
                    "check --dbt-cloud-host: each region has its own",
                ],
            )
        case 403:
            return SettingsError(
                "dbt-cloud-token-refused",
                f"dbt Cloud does not let this token run job {order.job}{told}.",
                expected="a token that may run jobs, which is more than to read them",
                looked=looked,
                todo=["give the service token a permission to run jobs, such as Job Runner, in this project"],
            )
        case 404:
            return SettingsError(
                "dbt-cloud-job-missing",
                f"dbt Cloud knows no job {order.job} in account {order.account}{told}.",
                expected="a job that is there, and that this token may see",
                looked=looked,
                todo=["compare with the job's address in the browser, its host included"],
            )
        case _:
            return SettingsError(
                "dbt-cloud-refused",
                f"dbt Cloud refused to start job {order.job}{told}.",
                expected="a commit, a branch, a schema and steps that the job can take",
                looked=[*looked, *(f"{k}: {v}" for k, v in order.body().items() if k != "cause")],
                todo=["correct what dbt Cloud names; a commit has to be pushed before it can be asked for"],
            )


def _own_words(answer: Answer, client: Client) -> str:
    """What dbt Cloud says itself: its message, and the fields that it does not take."""
    try:
        body = msgspec.json.decode(answer.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    status, data = body.get("status"), body.get("data")
    words = [status.get("user_message")] if isinstance(status, dict) else []
    words += [f"{k}: {v}" for k, v in data.items()] if isinstance(data, dict) else [data]
    text = "; ".join(dict.fromkeys(w.strip(" .") for w in words if isinstance(w, str) and w.strip()))
    token = client.options.token
    text = scrub(mask_tokens(clean_line(text)), [token.reveal()] if token else [])
    return f": {cut(text, MOST_SAID)}" if text else ""
