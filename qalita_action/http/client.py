"""One client for one service: sends, waits, repeats within a budget, and answers or raises an IngestError.
Must not know what it carries.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any

import msgspec

from qalita_action.errors import IngestError, SettingsError
from qalita_action.http.failures import (
    Failed,
    LostAnswer,
    from_exception,
    not_the_api,
    out_of_time,
    shown,
    too_large,
)
from qalita_action.http.statuses import from_status, http_date, is_page, retry_after
from qalita_action.http.tls import tls_context
from qalita_action.redact import defuse

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from datetime import datetime
    from ssl import SSLContext
    from types import TracebackType

    import httpx
    from stamina import Attempt
    from stamina.instrumentation import RetryDetails

    from qalita_action.http.body import Body
    from qalita_action.http.budget import Budget
    from qalita_action.http.options import Options

LOG = logging.getLogger("qalita_action.http")
MAX_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Answer(msgspec.Struct, frozen=True):
    """One answer, read in full. headers: names in lower case; where: the request, for error texts."""

    status: int
    headers: dict[str, str]
    body: bytes
    where: str

    def date(self) -> datetime | None:
        """The server's clock when it answered."""
        return http_date(self.headers.get("date", ""))

    def retry_after(self) -> float | None:
        """Seconds that the server wants to be left alone."""
        return retry_after(self.headers)


class Client:
    """Threads may share it. Close it, or use it in a `with`."""

    def __init__(self, options: Options, *, context: SSLContext | None = None) -> None:
        """Raises SettingsError ca-unreadable, client-cert-unreadable, proxy-invalid. No call is made."""
        import httpx
        from stamina.instrumentation import set_on_retry_hooks

        set_on_retry_hooks((_tell,))  # its own hook prints what nobody understands
        self.options = options
        try:
            self._http = httpx.Client(
                verify=context or tls_context(options),
                trust_env=options.trust_env,
                follow_redirects=False,
                headers={"User-Agent": options.user_agent, "Accept": "application/json"},
            )
        except (ValueError, httpx.InvalidURL, ImportError):
            # The exception's text holds the proxy's address, password included; socks needs another package.
            raise SettingsError(
                "proxy-invalid",
                "The proxy named in the environment cannot be used.",
                expected="an address like http://proxy.example.com:3128",
                looked=["HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, in capitals or not"],
                todo=["correct the variable, or name the host in NO_PROXY"],
            ) from None

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        budget: Budget,
        params: Sequence[tuple[str, str]] = (),
        body: Body | None = None,
        headers: dict[str, str] | None = None,
        passes: Collection[int] = (),
        is_repeatable: bool = True,
    ) -> Answer:
        """A 2xx answer, or one whose status is among `passes`.

        is_repeatable  False: repeat only what the service surely did not work on

        Raises SettingsError, DeliveryError, and LostAnswer where a call that is not repeatable may have been
        done.
        """
        url = f"{self.options.base_url}{path}"
        where = shown(method, url)
        data, body_headers = body.encoded() if body else (None, {})
        sent = {**self._authorization(), **body_headers, **(headers or {})}

        def again(error: Exception, failures: int) -> bool:
            if not isinstance(error, Failed) or not error.again:
                return False
            if error.is_unsure and not is_repeatable:
                return False
            return error.most is None or failures < error.most

        try:
            for attempt in self._context(again, budget, where):
                with attempt:
                    answer = self._once(method, url, params, data, sent, budget)
                    if 200 <= answer.status < 300:
                        return answer
                    failed = from_status(answer.status, answer.headers, answer.body, where, self.options)
                    if answer.status in passes and failed.error.code != "in-progress":
                        return answer
                    raise failed
        except Failed as failed:
            raise _final(failed, is_repeatable=is_repeatable) from None
        raise AssertionError("a retry context ends with an answer or an error")

    def attempts(self, on: type[Exception], budget: Budget, where: str) -> Iterator[Attempt]:
        """For work of several calls that is to be repeated after a back-off: `for attempt in
        client.attempts(LostAnswer, budget, "..."):` with `with attempt:` in it."""
        return self._context(lambda error, _failures: isinstance(error, on), budget, where)

    def json(self, answer: Answer) -> Any:
        """The JSON value of an answer; None for 204 and for an empty body.

        Raises SettingsError endpoint-not-api.
        """
        if answer.status == 204 or not answer.body:
            return None
        try:
            return msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            saw = "a web page" if is_page(answer.headers, answer.body) else "something that is not JSON"
            raise not_the_api(f"{saw} ({answer.status})", answer.where, self.options) from None

    def _authorization(self) -> dict[str, str]:
        token = self.options.token
        return {"Authorization": f"Bearer {token.reveal()}"} if token else {}

    def _context(
        self, allows: Callable[[Exception, int], bool], budget: Budget, where: str
    ) -> Iterator[Attempt]:
        """allows: whether an error may pass by itself, and how many there were. Nobody waits for what would
        begin after the budget's end."""
        import stamina

        if budget.is_spent:
            raise out_of_time(where, self.options, budget.seconds)
        failures = 0

        def again(error: Exception) -> bool | float:
            nonlocal failures
            failures += 1
            if not allows(error, failures):
                return False
            wait = self._wait(failures, error.wait_s if isinstance(error, Failed) else None)
            return wait if wait < budget.left() else False

        return iter(stamina.retry_context(on=again, attempts=self.options.attempts, timeout=None))

    def _wait(self, failures: int, asked: float | None) -> float:
        """Seconds: what Retry-After asked for, else twice as long each time; and a random part, so that the
        jobs of one morning do not come back together."""
        options = self.options
        doubled = options.wait_initial_s * 2.0 ** min(failures - 1, 30)
        least = min(doubled, options.wait_max_s) if asked is None else max(asked, options.wait_initial_s)
        return least + random.uniform(0, options.wait_jitter_s)  # noqa: S311 - no secret

    def _once(
        self,
        method: str,
        url: str,
        params: Sequence[tuple[str, str]],
        data: bytes | None,
        headers: dict[str, str],
        budget: Budget,
    ) -> Answer:
        """One attempt, redirects of reads to the same origin included."""
        import httpx

        where = shown(method, url)
        try:
            target = httpx.URL(url, params=list(params)) if params else httpx.URL(url)
            following = target
            for _ in range(MAX_REDIRECTS + 1):
                answer = self._sent(method, target, data, headers, budget, where)
                if answer.status not in REDIRECTS:
                    return answer
                following = target.join(answer.headers.get("location", ""))
                if method != "GET" or _origin(following) != _origin(target):
                    break
                target = following
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as e:
            raise from_exception(e, where, self.options) from None
        aim = shown("to", str(following.copy_with(query=None, fragment=None)))
        raise Failed(not_the_api(f"a redirect {aim}", where, self.options))

    def _sent(
        self,
        method: str,
        url: httpx.URL,
        data: bytes | None,
        headers: dict[str, str],
        budget: Budget,
        where: str,
    ) -> Answer:
        import httpx

        options, left = self.options, max(budget.left(), 0.1)
        timeout = httpx.Timeout(
            min(options.read_timeout_s, left), connect=min(options.connect_timeout_s, left)
        )
        request = self._http.build_request(method, url, content=data, headers=headers, timeout=timeout)
        response = self._http.send(request, stream=True)
        try:
            parts: list[bytes] = []
            size = 0
            for part in response.iter_bytes():
                size += len(part)
                if size > options.max_answer:
                    raise Failed(too_large(where, options))
                if budget.is_spent:
                    raise Failed(out_of_time(where, options, budget.seconds), is_unsure=True)
                parts.append(part)
        finally:
            response.close()
        found = {name.lower(): value for name, value in response.headers.items()}
        answer = Answer(response.status_code, found, b"".join(parts), where)
        if 200 <= answer.status < 300 and is_page(found, answer.body):
            raise Failed(not_the_api(f"a web page ({answer.status})", where, options))
        return answer


def _final(failed: Failed, *, is_repeatable: bool) -> IngestError:
    error = failed.error
    if is_repeatable or not failed.is_unsure:
        return error
    return LostAnswer(error.code, error.what, expected=error.expected, looked=error.looked, todo=error.todo)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _tell(details: RetryDetails) -> None:
    cause = details.caused_by
    what = cause.what if isinstance(cause, IngestError) else str(cause)
    LOG.warning("%s Trying again in %.1f s.", defuse(what), details.wait_for)
