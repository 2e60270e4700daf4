"""What can go wrong between us and a service, each as an error that says what to do. Must not retry, and must
not show a token, a proxy's password or the text of a library's exception: only what is known to be harmless.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from qalita_action.errors import DeliveryError, IngestError, SettingsError
from qalita_action.http.proxies import via
from qalita_action.http.tls import trusted_by
from qalita_action.redact import clean_line, mask_url

if TYPE_CHECKING:
    import httpx

    from qalita_action.http.options import Options

NAME_ATTEMPTS = 3
PROXY_AUTHENTICATION = 407
GATEWAY_TROUBLE = frozenset({429, 500, 502, 503, 504})
REPLAY = "run the same job again when it is back: nothing is recorded twice"


class LostAnswer(DeliveryError):
    """The service may or may not have done what was asked: look before asking again."""


class AnswerTooLarge(SettingsError):
    """More than Options.max_answer: the wrong address, or what is read there is simply large."""


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
            return Failed(_untrusted(cause, where, options))
        if isinstance(cause, ssl.SSLError):
            return _tls(cause, where, options, was_sent=_was_sent(error))
    if isinstance(error, httpx.ProxyError):
        status = str(error)[:3]
        return proxy_refused(int(status) if status.isdecimal() else None, where, options)
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
            looked=[where, *via(options)],
            todo=["check that the platform runs and that this network may reach it", REPLAY],
        ),
        again=True,
        is_unsure=_was_sent(error),
    )


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
    """Behind a proxy only the proxy's name is asked for here."""
    why = clean_line(error.strerror or "no answer", 120)
    proxy = via(options)
    whose = "the proxy's" if proxy else f"{options.service}'s"
    return DeliveryError(
        "name-not-resolved",
        f"The name of {whose} host is not known here: {why}.",
        expected="a host name that DNS knows from this machine",
        looked=[where, *proxy],
        todo=[
            f"check {'HTTPS_PROXY' if proxy else options.endpoint_name} for a misspelling",
            "check that this runner may see the platform's network (VPN, private DNS, HTTPS_PROXY)",
        ],
    )


# What to do, by OpenSSL's reason (X509_V_ERR_*); for the others it is a matter of whose CA is trusted.
_NOT_YET_VALID, _EXPIRED, _OTHER_HOST, _OTHER_ADDRESS = 9, 10, 62, 64
_WAY_OUT = {
    _NOT_YET_VALID: "check the clock of this machine, then the platform's certificate",
    _EXPIRED: "have the platform's certificate renewed: until then nobody can tell it from an impostor",
    _OTHER_HOST: "name the endpoint by a host that its certificate is for",
    _OTHER_ADDRESS: "name the endpoint by a host that its certificate is for, instead of an address",
}


def _untrusted(error: ssl.SSLCertVerificationError, where: str, options: Options) -> DeliveryError:
    why = clean_line(error.verify_message or "no reason given", 160).rstrip(".")
    bundle = f"give {options.ca_name} your organisation's CA bundle: a file, a folder or PEM text"
    return DeliveryError(
        "tls-failed",
        f"The certificate of {options.service} is not trusted: {why}.",
        expected="a certificate for this host, valid today, from a CA that this machine trusts",
        looked=[where, *via(options), f"trusted: {trusted_by(options)}"],
        todo=[_WAY_OUT.get(error.verify_code, bundle)],
    )


def _tls(error: ssl.SSLError, where: str, options: Options, *, was_sent: bool) -> Failed:
    reason = clean_line(error.reason or "no reason given", 120)
    # The other side's alerts about our certificate: required, unknown, bad, expired, from an unknown CA.
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        return client_cert_refused(reason, where, options)
    told = DeliveryError(
        "tls-failed",
        f"TLS with {options.service} failed: {reason}.",
        expected="a TLS connection",
        looked=[where, *via(options)],
        todo=[
            f"check that {options.endpoint_name} names a port that speaks https",
            "where the platform asks for client certificates, give --client-cert and --client-key",
        ],
    )
    return Failed(told, again=True, is_unsure=was_sent)


def client_cert_refused(why: str, where: str, options: Options) -> Failed:
    """No waiting helps: nothing was worked on."""
    given = "one was given" if options.client_cert else "none was given"
    return Failed(
        SettingsError(
            "client-cert-refused",
            f"{options.service} wants another client certificate: {why} ({given}).",
            expected="a client certificate of a CA that the platform's TLS end trusts",
            looked=[where],
            todo=["give --client-cert and --client-key, as files or as PEM text"],
        )
    )


def proxy_refused(status: int | None, where: str, options: Options) -> Failed:
    """status: the proxy's own answer, where there is one. A proxy that is in trouble is asked again; nothing
    has reached the service."""
    said = f" ({status})" if status else ""
    password = "give HTTPS_PROXY its user and password: http://USER:PASSWORD@HOST:PORT, URL-encoded"  # noqa: S105
    way_out = "ask whose proxy it is to let this host through, or add the host to NO_PROXY"
    return Failed(
        DeliveryError(
            "proxy-refused",
            f"The proxy between here and {options.service} refused{said}.",
            expected="HTTPS_PROXY, HTTP_PROXY and NO_PROXY that fit this network",
            looked=[where, *via(options)],
            todo=[password if status == PROXY_AUTHENTICATION else way_out],
        ),
        again=status is not None and status in GATEWAY_TROUBLE,
    )


def _timeout(error: httpx.TimeoutException, where: str, options: Options) -> DeliveryError:
    import httpx

    connecting = isinstance(error, httpx.ConnectTimeout)
    doing = "accept a connection" if connecting else "answer"
    return DeliveryError(
        "timeout",
        f"{options.service} did not {doing} in time.",
        expected=f"within {options.connect_timeout_s if connecting else options.read_timeout_s:g} s",
        looked=[where, *via(options)],
        todo=["check that this network may reach the platform (firewall, proxy)", REPLAY],
    )


def out_of_time(where: str, options: Options, seconds: float) -> DeliveryError:
    return DeliveryError(
        "timeout",
        f"The time for publishing is used up ({seconds:g} s).",
        expected=f"{options.service} to take everything in that time, retries included",
        looked=[where],
        todo=["raise --publish-timeout", REPLAY],
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


def too_large(where: str, options: Options) -> AnswerTooLarge:
    told = not_the_api("more than any answer of the API holds", where, options)
    return AnswerTooLarge(
        "endpoint-not-api", told.what, expected=told.expected, looked=told.looked, todo=told.todo
    )


def shown(method: str, url: str) -> str:
    """A request for people: its URL without credentials."""
    return f"{method} {mask_url(url)}"
