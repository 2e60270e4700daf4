"""What can go wrong between us and a service, each as an error that says what to do. Must not retry, and must
not show a token, a proxy's password or the text of a library's exception: only what is known to be harmless.
"""

from __future__ import annotations

import socket
import ssl
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import msgspec

from qalita_action.errors import DeliveryError, IngestError, SettingsError
from qalita_action.redact import clean_line, mask_tokens, mask_url, scrub

if TYPE_CHECKING:
    from datetime import datetime

    import httpx

    from qalita_action.http.options import Options

# Nobody has worked on the request: sending it again cannot double anything.
UNPROCESSED = frozenset({408, 425, 429})
REPEATED = UNPROCESSED | {500, 502, 503, 504}
NAME_ATTEMPTS = 3


class LostAnswer(DeliveryError):
    """The service may or may not have done what was asked: look before asking again."""


class Failed(Exception):
    """One attempt that failed. is_unsure: the service may have done it all the same. most: attempts that are
    worth making; wait_s: what Retry-After asked for."""

    def __init__(
        self,
        error: IngestError,
        *,
        again: bool = False,
        is_unsure: bool = False,
        most: int | None = None,
        wait_s: float | None = None,
    ) -> None:
        super().__init__(error.what)
        self.error = error
        self.again = again
        self.is_unsure = is_unsure
        self.most = most
        self.wait_s = wait_s


def from_exception(error: Exception, where: str, options: Options) -> Failed:
    """An httpx or operating system exception, by what lies under it."""
    import httpx

    service = options.service
    for cause in _chain(error):
        if isinstance(cause, socket.gaierror):
            return Failed(_unresolved(cause, where, options), again=True, most=NAME_ATTEMPTS)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Failed(_untrusted(cause.verify_message or "not trusted", where, options))
        if isinstance(cause, ssl.SSLError):
            return Failed(_tls(cause, where, options), again=True, is_unsure=_was_sent(error))
    if isinstance(error, httpx.ProxyError):
        return Failed(
            DeliveryError(
                "unreachable",
                f"The proxy between here and {service} refused.",
                expected="HTTPS_PROXY, HTTP_PROXY and NO_PROXY that fit this network",
                looked=[where],
                todo=["check the proxy's address and password, or add the host to NO_PROXY"],
            )
        )
    if isinstance(
        error, (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError)
    ):
        return Failed(
            SettingsError(
                "request-impossible",
                f"No request can be made to {service}: an address or a header breaks HTTP's rules.",
                expected="an endpoint like https://api.example.com and a token without blanks",
                looked=[where],
                todo=[f"check {options.endpoint_name}, {options.token_name} and the proxy's variables"],
            )
        )
    if isinstance(error, httpx.TimeoutException):
        return Failed(_timeout(error, where, options), again=True, is_unsure=_was_sent(error))
    return Failed(
        DeliveryError(
            "unreachable",
            f"{service} cannot be reached: {_reason(error)}.",
            expected="a connection that stays open until the answer is there",
            looked=[where],
            todo=["check that the platform runs and that this network may reach it", _REPLAY],
        ),
        again=True,
        is_unsure=_was_sent(error),
    )


_REPLAY = "run the same job again when it is back: nothing is recorded twice"


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    step: BaseException | None = error
    while step is not None and step not in found:
        found.append(step)
        step = step.__cause__ or step.__context__
    return found


def _was_sent(error: Exception) -> bool:
    import httpx

    return not isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))


def _reason(error: Exception) -> str:
    """The operating system's own word, or the kind of failure; never a library's sentence with an address."""
    for cause in _chain(error):
        if isinstance(cause, OSError) and cause.strerror:
            return clean_line(cause.strerror, 120)
    return f"the connection broke ({type(error).__name__})"


def _unresolved(error: socket.gaierror, where: str, options: Options) -> DeliveryError:
    why = clean_line(error.strerror or "no answer", 120)
    return DeliveryError(
        "name-not-resolved",
        f"The name of {options.service}'s host is not known here: {why}.",
        expected="a host name that DNS knows from this machine",
        looked=[where],
        todo=[
            f"check {options.endpoint_name} for a misspelling",
            "check that this runner may see the platform's network (VPN, private DNS, HTTPS_PROXY)",
        ],
    )


def _untrusted(why: str, where: str, options: Options) -> DeliveryError:
    return DeliveryError(
        "tls-failed",
        f"The certificate of {options.service} is not trusted: {clean_line(why, 160)}.",
        expected="a certificate for this host from a CA that this machine trusts",
        looked=[where, f"trust: {_trust(options)}"],
        todo=[f"give {options.ca_name} your organisation's CA bundle: a file, a folder or PEM text"],
    )


def _tls(error: ssl.SSLError, where: str, options: Options) -> DeliveryError:
    return DeliveryError(
        "tls-failed",
        f"TLS with {options.service} failed: {clean_line(error.reason or 'no reason given', 120)}.",
        expected="a TLS connection",
        looked=[where],
        todo=[
            f"check that {options.endpoint_name} names a port that speaks https",
            "where the platform asks for client certificates, give --client-cert and --client-key",
        ],
    )


def _trust(options: Options) -> str:
    if not options.ca:
        return "the system's CAs"
    return (
        f"{options.ca_name}, PEM text" if "-----BEGIN" in options.ca else f"{options.ca_name} = {options.ca}"
    )


def _timeout(error: httpx.TimeoutException, where: str, options: Options) -> DeliveryError:
    import httpx

    connecting = isinstance(error, httpx.ConnectTimeout)
    doing = "accept a connection" if connecting else "answer"
    return DeliveryError(
        "timeout",
        f"{options.service} did not {doing} in time.",
        expected=f"within {options.connect_timeout_s if connecting else options.read_timeout_s:g} s",
        looked=[where],
        todo=["check that this network may reach the platform (firewall, proxy)", _REPLAY],
    )


def out_of_time(where: str, options: Options, seconds: float) -> DeliveryError:
    return DeliveryError(
        "timeout",
        f"The time for publishing is used up ({seconds:g} s).",
        expected=f"{options.service} to take everything in that time, retries included",
        looked=[where],
        todo=["raise --publish-timeout", _REPLAY],
    )


def not_the_api(saw: str, where: str, options: Options) -> SettingsError:
    """saw: what came instead of the API's answer."""
    return SettingsError(
        "endpoint-not-api",
        f"This endpoint is not {options.service}'s API: it answered with {saw}.",
        expected="JSON from the API host, which is not the host of the pages in a browser",
        looked=[where],
        todo=[f"set {options.endpoint_name} to the API's address, such as https://api.example.com"],
    )


def from_status(status: int, headers: dict[str, str], body: bytes, where: str, options: Options) -> Failed:
    """An answer that is no success. Retry-After is read in both of its forms."""
    service = options.service
    problem = _problem(body)
    detail = _detail(problem, options)
    said = f"{where}: {status}{detail}"
    wait_s = retry_after(headers)
    if status == 401:
        return Failed(
            SettingsError(
                "token-refused",
                f"{service} refused the token (401){detail}.",
                expected="a token that is valid, not revoked, and of this platform",
                looked=[where],
                todo=[f"make a new API token on your profile page and set {options.token_name}"],
            )
        )
    if status == 409 and problem.get("code") == "in-progress":
        error: IngestError = DeliveryError(
            "in-progress",
            f"{service} is still working on the same request.",
            expected="its answer in time",
            looked=[said],
            todo=[_REPLAY],
        )
        return Failed(error, again=True, wait_s=wait_s)
    if status == 429:
        error = DeliveryError(
            "throttled",
            f"{service} asks to slow down (429){detail}.",
            expected="to be let in again before the time for publishing is used up",
            looked=[where],
            todo=["run the job later, or raise --publish-timeout"],
        )
        return Failed(error, again=True, wait_s=wait_s)
    if status in REPEATED or status >= 500:
        error = DeliveryError(
            "server-error",
            f"{service} answered {status}{detail}.",
            expected="an answer without an error of the server",
            looked=[where],
            todo=["look at the platform's state or ask its administrator", _REPLAY],
        )
        unsure = status not in UNPROCESSED
        return Failed(error, again=status in REPEATED, is_unsure=unsure, wait_s=wait_s)
    if is_page(headers, body):
        return Failed(not_the_api(f"a web page ({status})", where, options))
    if status == 403:
        return Failed(
            SettingsError(
                "forbidden",
                f"{service} does not let this token do that (403){detail}.",
                expected="a token of a user who may write here, such as a Data Engineer",
                looked=[where],
                todo=["give the user the role, or use another user's API token"],
            )
        )
    return Failed(
        DeliveryError(
            "request-refused",
            f"{service} refused a request ({status}){detail}.",
            expected="to be understood: this platform's version may not fit",
            looked=[where],
            todo=["run `qalita-ingest check`, and report this with the platform's version"],
        )
    )


def is_page(headers: dict[str, str], body: bytes) -> bool:
    if "html" in headers.get("content-type", "").lower():
        return True
    return body[:64].lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _problem(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _detail(problem: dict[str, Any], options: Options) -> str:
    """The service's own reason, as one clean line: RFC 9457's code and detail, or FastAPI's detail."""
    detail = problem.get("detail")
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        place = ".".join(str(part) for part in detail[0].get("loc", ()))
        detail = f"{place} {detail[0].get('msg', '')}"
    parts = [part for part in (problem.get("code"), detail) if isinstance(part, str) and part]
    if not parts:
        return ""
    text = mask_tokens(clean_line(": ".join(parts)))
    if options.token:
        text = scrub(text, [options.token.reveal()])
    return f": {clean_line(text, 200)}"


def retry_after(headers: dict[str, str]) -> float | None:
    """Seconds from Retry-After (RFC 9110 §10.2.3): a number, or a date against the server's own Date, so that
    a wrong clock here costs nothing. None where there is none or it cannot be read."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    until, since = http_date(text), http_date(headers.get("date", ""))
    if until is None or since is None:
        return None
    return max(0.0, (until - since).total_seconds())


def http_date(text: str) -> datetime | None:
    """An HTTP date with its zone; None where it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else None


def shown(method: str, url: str) -> str:
    """A request for people: its URL without credentials."""
    return f"{method} {mask_url(url)}"
