"""Calls of dbt Cloud's Administrative API (v2), and its failures as errors of this program. Reads alone; must
not know what a run is worth.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import msgspec

from qalita_action.dbt.packed import too_large
from qalita_action.dbt.sources.cloud_shapes import ManyRuns, OneRun
from qalita_action.errors import ArtifactError, DeliveryError, IngestError, SettingsError, raise_all
from qalita_action.http.hosts import is_loopback
from qalita_action.redact import clean_line, defuse, mask_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qalita_action.dbt.found import Reach
    from qalita_action.dbt.sources.cloud_shapes import CloudRun
    from qalita_action.http import Answer, Client, Options

LOG = logging.getLogger("qalita_action.dbt")
DEFAULT_HOST = "cloud.getdbt.com"
RELATED = '["trigger","job","environment","repository","run_steps"]'
PAGE = 100  # the most that the API gives
DOWNLOAD = 5  # times the patience of a call: artifacts are large
LONGEST_WAIT_S, SHORTEST_WAIT_S = 60.0, 0.1
READS_ALONE = "run this step again: it only reads, and nothing is recorded twice"
NOT_OURS_TO_SAY = ("publish", "same job", "qalita-ingest")  # advice of the client that is about QALITA

Shape = TypeVar("Shape", bound=msgspec.Struct)


class Pace:
    """When to look again: as the server asks for, else after twice as long each time, until time is up."""

    def __init__(self, first_s: float, limit_s: float) -> None:
        self._next, self._end = first_s, time.monotonic() + limit_s

    def may_look_again(self, answer: Answer) -> bool:
        """Waits; False where the time is up. The last look is at the very end."""
        left = self._end - time.monotonic()
        if left <= 0:
            return False
        asked = answer.retry_after()
        wait = self._next if asked is None else max(asked, SHORTEST_WAIT_S)
        self._next = min(self._next * 2, max(LONGEST_WAIT_S, self._next))
        time.sleep(min(wait, left))
        return True


class Api:
    """What one account's token may read. Use it in a `with`."""

    def __init__(self, reach: Reach, account: str) -> None:
        """Errors: dbt-cloud-token-missing, dbt-cloud-host, those of http's own settings. No call is made."""
        self.account, self.reach = account, reach
        self._options = options(reach)
        self._client: Client | None = None

    def __enter__(self) -> Api:
        from qalita_action.http import Client

        self._client = Client(self._options)
        return self

    def __exit__(self, *_: object) -> None:
        if self._client:
            self._client.close()

    def run(self, run: int | str) -> tuple[CloudRun, Answer]:
        """With everything that belongs to it."""
        answer = self._get(f"/runs/{run}/", [("include_related", RELATED)])
        if answer.status == 404:
            raise self._not_found(f"run {run}", answer)
        return view(answer, OneRun).data, answer

    def runs(self, job: str) -> Iterator[tuple[CloudRun, Answer]]:
        """Of a job, newest first, in any state: what is left out should be said, and a filter that a server
        does not know, or refuses, would hide runs."""
        seen: set[int] = set()
        for page in range(10_000):
            params = [
                ("job_definition_id", job),
                ("include_related", '["trigger","job"]'),
                ("order_by", "-id"),
                ("limit", str(PAGE)),
                ("offset", str(page * PAGE)),
            ]
            answer = self._get("/runs/", params)
            if answer.status == 404:
                raise self._not_found(f"job {job}", answer)
            found = view(answer, ManyRuns).data
            fresh = [run for run in found if run.id not in seen]
            seen.update(run.id for run in fresh)
            yield from ((run, answer) for run in fresh)
            if len(found) < PAGE or not fresh:
                return

    def artifact(self, run: int, name: str, step: int) -> Answer:
        """As that step left it. 404 where it left none."""
        params = [("step", str(step))]
        return self._get(f"/runs/{run}/artifacts/{name}", params, patience=DOWNLOAD)

    def _get(self, path: str, params: Sequence[tuple[str, str]], *, patience: float = 1.0) -> Answer:
        from qalita_action.http import AnswerTooLarge, Budget

        assert self._client is not None, "an Api is used in a `with`"
        whole = f"/api/v2/accounts/{self.account}{path}"
        budget = Budget(self.reach.patience_s * patience)
        try:
            return self._client.request("GET", whole, params=params, budget=budget, passes={404})
        except AnswerTooLarge:
            limit = self.reach.max_bytes
            raise too_large(path.strip("/"), f"has more than {limit:,} bytes", limit) from None
        except IngestError as error:
            raise told(error) from None

    def _not_found(self, what: str, answer: Answer) -> ArtifactError:
        return ArtifactError(
            "dbt-cloud-not-found",
            f"dbt Cloud knows no {what} in account {self.account}, or this token may not see it",
            expected="ids as they stand in the address of the run's or the job's page",
            looked=[f"{answer.where}: {answer.status}"],
            todo=[
                "check account, job and run; --dbt-cloud-host names the access URL of the account's region",
                "check that the token is of this account and may read its jobs and runs",
            ],
        )


def options(reach: Reach) -> Options:
    from qalita_action.http import Options

    errors: list[IngestError] = []
    base = ""
    try:
        base = base_url(reach.cloud_host)
    except SettingsError as e:
        errors.append(e)
    if reach.cloud_token is None or not reach.cloud_token.reveal().strip():
        errors.append(
            SettingsError(
                "dbt-cloud-token-missing",
                "there is no token for dbt Cloud",
                expected="a service token or a personal one that may read jobs and runs",
                looked=["--dbt-cloud-token", "DBT_CLOUD_API_TOKEN", "QALITA_DBT_CLOUD_TOKEN"],
                todo=["set DBT_CLOUD_API_TOKEN from your CI's secrets; pull requests of forks get none"],
            )
        )
    raise_all(errors)
    return Options(
        base_url=base,
        token=reach.cloud_token,
        service="dbt Cloud",
        endpoint_name="--dbt-cloud-host",
        token_name="--dbt-cloud-token (DBT_CLOUD_API_TOKEN)",  # noqa: S106 - a setting's name
        new_token="make a new token in dbt Cloud's account settings",  # noqa: S106 - words
        may_write="a token that may read jobs and runs",
        also_trusted=(reach.ca,) if reach.ca else (),
        verify_tls=reach.verify_tls,
        max_answer=reach.max_bytes,
    )


def base_url(said: str | None) -> str:
    """https, whatever was said, but for a stand-in on this machine.

    Error: dbt-cloud-host.
    """
    text = (said or DEFAULT_HOST).strip()
    whole = text if "://" in text else f"https://{text}"
    base = _base(whole)
    if base is None:
        raise SettingsError(
            "dbt-cloud-host",
            f"{clean_line(mask_url(whole), 120)} is no address of dbt Cloud",
            expected="the account's access URL, such as cloud.getdbt.com, emea.dbt.com or ab123.us1.dbt.com",
            looked=["--dbt-cloud-host"],
            todo=["copy the host from the address of dbt Cloud's pages, without a path; it is always https"],
        )
    return base


def _base(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return None
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    is_bare = not ("@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment)
    return f"{parts.scheme}://{parts.netloc}" if host and is_safe and is_bare else None


def view(answer: Answer, kind: type[Shape]) -> Shape:
    try:
        return msgspec.json.decode(answer.body, type=kind, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise ArtifactError(
            "dbt-cloud-unreadable",
            f"an answer of dbt Cloud cannot be read: {clean_line(str(e), 160)}",
            expected="what its Administrative API (v2) is documented to answer",
            looked=[answer.where],
            todo=["check that --dbt-cloud-host is dbt Cloud, and report this with the line above"],
        ) from None


def told(error: IngestError, again: str = READS_ALONE) -> IngestError:
    """The client's error as one of this program's. Nothing was lost, so nothing is a failed delivery."""
    if error.code in ("token-refused", "forbidden"):
        return SettingsError(
            "dbt-cloud-token-refused",
            f"{error.what.rstrip('.')}",
            expected="a token of this account, not revoked, that may read jobs and runs",
            looked=error.looked,
            todo=["make a new token in dbt Cloud's account settings, and set DBT_CLOUD_API_TOKEN"],
        )
    if error.code == "endpoint-not-api":
        return SettingsError(
            "dbt-cloud-host",
            error.what.rstrip("."),
            expected="dbt Cloud's Administrative API behind the account's access URL",
            looked=error.looked,
            todo=["check --dbt-cloud-host: the host of dbt Cloud's pages, as your account's region has it"],
        )
    if isinstance(error, DeliveryError):
        fitting = [
            text.replace("the platform", "dbt Cloud")
            for text in error.todo
            if not any(word in text for word in NOT_OURS_TO_SAY)
        ]
        is_late = error.code == "timeout"
        return ArtifactError(
            "dbt-cloud-unreachable",
            "dbt Cloud did not answer in time" if is_late else error.what.rstrip("."),
            expected="an answer to each call, a few repetitions included",
            looked=[*error.looked, f"the client says: {error.code}"],
            todo=[*fitting, again],
        )
    return error


def say(text: str) -> None:
    """Somebody looks at a job that waits."""
    LOG.warning("%s", defuse(text))
