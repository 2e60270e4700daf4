"""Answers that are no success, each as an error that says what to do. Must not retry, and must not show what
a service says before it is cleaned.
"""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import msgspec

from qalita_action.errors import DeliveryError, IngestError, SettingsError
from qalita_action.http.failures import (
    PROXY_AUTHENTICATION,
    REPLAY,
    Failed,
    client_cert_refused,
    not_the_api,
    proxy_refused,
)
from qalita_action.redact import clean_line, mask_tokens, scrub

if TYPE_CHECKING:
    from qalita_action.http.options import Options

# Nobody has worked on the request: sending it again cannot double anything.
UNPROCESSED = frozenset({408, 425, 429})
# nginx says by a page that no client certificate came, or a wrong one; 495 and 496 are its own words for it.
CERTIFICATE_STATUSES = frozenset({400, 495, 496})
REPEATED = UNPROCESSED | {500, 502, 503, 504}


def from_status(status: int, headers: dict[str, str], body: bytes, where: str, options: Options) -> Failed:
    """An answer that is no success. Retry-After is read in both of its forms."""
    service = options.service
    problem = _problem(body)
    detail = _detail(problem, options)
    said = f"{where}: {status}{detail}"
    wait_s = retry_after(headers)
    if status == PROXY_AUTHENTICATION:
        return proxy_refused(status, where, options)
    if status in CERTIFICATE_STATUSES and b"SSL certificate" in body:
        return client_cert_refused(f"it said so ({status})", where, options)
    if status == 401:
        return Failed(
            SettingsError(
                "token-refused",
                f"{service} refused the token (401){detail}.",
                expected="a token that is valid, not revoked, and of this platform",
                looked=[where],
                todo=[f"{options.new_token} and set {options.token_name}"],
            )
        )
    if status == 409 and problem.get("code") == "in-progress":
        error: IngestError = DeliveryError(
            "in-progress",
            f"{service} is still working on the same request.",
            expected="its answer in time",
            looked=[said],
            todo=[REPLAY],
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
            todo=["look at the platform's state or ask its administrator", REPLAY],
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
                expected=options.may_write,
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
    a wrong clock here costs nothing; ours where it tells none. None where it is not there or unreadable."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    until = http_date(text)
    if until is None:
        return None
    since = http_date(headers.get("date", "")) or datetime.now(timezone.utc)
    return max(0.0, (until - since).total_seconds())


def http_date(text: str) -> datetime | None:
    """An HTTP date with its zone; None where it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else None
