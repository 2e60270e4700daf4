"""One file from a web server that does not say how long it is, up to a limit. Nothing of ours goes along: no
token, no client certificate. Must not know what it is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qalita_action.errors import DeliveryError
from qalita_action.http.failures import from_exception, shown
from qalita_action.http.tls import tls_context

if TYPE_CHECKING:
    import httpx

    from qalita_action.http.options import Options

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})


def download(url: str, options: Options, limit: int) -> bytes | None:
    """None where it goes on after the limit. Redirects are followed while they stay encrypted.

    Errors: those of a connection, and unreachable for any other answer than the file.
    """
    import httpx

    timeout = httpx.Timeout(options.read_timeout_s, connect=options.connect_timeout_s)
    headers = {"User-Agent": options.user_agent, "Accept-Encoding": "identity"}
    where = shown("GET", url.partition("?")[0])
    try:
        with httpx.Client(verify=tls_context(options), timeout=timeout, headers=headers) as client:
            target = httpx.URL(url)
            for _ in range(MAX_REDIRECTS + 1):
                with client.stream("GET", target) as answer:
                    if answer.status_code not in REDIRECTS:
                        if answer.status_code != 200:
                            break
                        return _read(answer, limit)
                    following = target.join(answer.headers.get("location", ""))
                    if target.scheme == "https" and following.scheme != "https":
                        break
                    target = following
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as e:
        raise from_exception(e, where, options).error from None
    raise DeliveryError("unreachable", f"{options.service} did not answer with the file", looked=[where])


def _read(answer: httpx.Response, limit: int) -> bytes | None:
    parts = bytearray()
    for part in answer.iter_raw():
        parts += part
        if len(parts) > limit:
            return None
    return bytes(parts)
