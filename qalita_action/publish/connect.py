"""Settings to a connection: the base URL, the token's claims, the trust. Makes no call and reads no
environment; all that is wrong is told together.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from qalita_action.errors import IngestError, SettingsError, raise_all
from qalita_action.http import Client, Options, is_loopback, tls_context
from qalita_action.model import Target
from qalita_action.redact import Secret, mask_url

API_SUFFIX = re.compile(r"(?:/+|/api(?:/v[12])?)$")
SOON = timedelta(days=30)  # before its token's end every run says so
LATEST = 253_402_300_799  # the last second of year 9999
ENDPOINT = Options(base_url="").endpoint_name
TOKEN = Options(base_url="").token_name
NEW_TOKEN = f"make an API token on your QALITA profile page and give it as {TOKEN}, from a secret of your CI"


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What the token says of itself, unverified: the platform is the judge. expires_at is UTC."""

    subject: str
    role: str | None = None
    scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how to send; claims is None for the folder, and for a plan that needs no account."""

    target: Target
    options: Options
    claims: Claims | None = None
    cautions: tuple[str, ...] = ()

    def client(self) -> Client:
        """One client for one piece of work; the caller closes it."""
        return Client(self.options)


def connect(target: Target, *, now: datetime, need_account: bool = True) -> Connection:
    """The connection that these settings describe, without a call.

    now           an aware time, to judge the token's expiry
    need_account  False: plan only, so endpoint and token may be missing

    Raises SettingsError, or all of them in a ManyErrors: endpoint-missing, endpoint-invalid, token-missing,
    token-malformed, token-expired, ca-unreadable, client-cert-unreadable.
    """
    tool = target.tool
    agent = f"{tool.name}/{tool.version}"
    if target.api == "folder":
        return Connection(target=target, options=Options(base_url="", user_agent=agent))
    errors: list[IngestError] = []
    base, claims = "", None
    if need_account or target.endpoint:
        try:
            base = base_url(target.endpoint)
        except SettingsError as e:
            errors.append(e)
    token = Secret(target.token.reveal().strip()) if target.token else None
    if need_account or token:
        try:
            claims = read_token(token, now)
        except SettingsError as e:
            errors.append(e)
    options = Options(
        base_url=base,
        token=token,
        ca=target.ca,
        client_cert=target.client_cert,
        client_key=target.client_key,
        verify_tls=target.verify_tls,
        user_agent=agent,
    )
    if base.startswith("https:"):
        try:
            tls_context(options)
        except SettingsError as e:
            errors.append(e)
    raise_all(errors)
    return Connection(
        target=target, options=options, claims=claims, cautions=_cautions(base, target, claims, now)
    )


def _cautions(base: str, target: Target, claims: Claims | None, now: datetime) -> tuple[str, ...]:
    found = []
    if not target.verify_tls and base.startswith("https:"):
        found.append(
            "TLS certificates are not verified (--skip-ssl-verify, SKIP_SSL_VERIFY): anyone on the way can"
            " read the token and change what is sent; --ca-bundle trusts a private CA"
        )
    if base.startswith("http:") and not is_loopback(urlsplit(base).hostname or ""):
        found.append("the endpoint is plain http: anyone on the way can read the token")
    expires_at = claims.expires_at if claims else None
    if expires_at is not None and expires_at - now < SOON:
        days = max((expires_at - now).days, 0)
        left = f"in {days} days" if days > 1 else "within two days"
        found.append(
            f"the QALITA token expires on {expires_at:%Y-%m-%d %H:%M} UTC ({left}): make a new one on your"
            f" QALITA profile page and set {TOKEN}"
        )
    return tuple(found)


# ---------------------------------------------------------------- endpoint


def base_url(endpoint: str | None) -> str:
    """scheme://host[:port][/prefix] without the /, /api, /api/v1, /api/v2 that people paste along.

    Raises SettingsError endpoint-missing, endpoint-invalid.
    """
    text = (endpoint or "").strip()
    if not text:
        raise SettingsError(
            "endpoint-missing",
            "No QALITA endpoint is set.",
            expected="the address of the platform's API, such as https://api.example.com",
            looked=[ENDPOINT],
            todo=[f"set {ENDPOINT}, or use `--api folder` to write the files without a platform"],
        )
    url, why = _parsed(text)
    if url is None or why:
        raise SettingsError(
            "endpoint-invalid",
            f"The QALITA endpoint cannot be used: {why}.",
            expected="an http or https address such as https://api.example.com",
            looked=[mask_url(text)],
            todo=[f"correct {ENDPOINT}"],
        )
    path, before = url.path, None
    while path != before:
        before, path = path, API_SUFFIX.sub("", path)
    return f"{url.scheme.lower()}://{url.netloc.lower()}{path}"


def _parsed(text: str) -> tuple[SplitResult | None, str]:
    """The parts, and what is wrong with them; an empty text where nothing is."""
    if any(c.isspace() or not c.isprintable() for c in text):
        return None, "it holds blanks or control characters"
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        return None, "its host or its port is not one"
    if url.scheme.lower() not in ("http", "https") or "://" not in text:
        return url, "it does not begin with https:// or http://"
    if "@" in url.netloc:
        return url, "it holds a user name or a password; the token goes into a setting of its own"
    if not url.hostname or port == 0:
        return url, "its host or its port is missing"
    if url.query or url.fragment:
        return url, "it holds a query or a fragment"
    return url, ""


# ---------------------------------------------------------------- token


def read_token(token: Secret | None, now: datetime) -> Claims:
    """The claims of a JSON Web Token (RFC 7519), unverified.

    Raises SettingsError token-missing, token-malformed, token-expired; the token is in none of them.
    """
    if not token:
        raise SettingsError(
            "token-missing",
            "No QALITA token is set.",
            expected="an API token of a user who may write",
            looked=[TOKEN],
            todo=[NEW_TOKEN, "a job of a fork gets no secrets: that is normal, and the gate works without"],
        )
    payload, why = _payload(token.reveal())
    if payload is None:
        raise _malformed(why)
    subject = payload.get("sub")
    if isinstance(subject, bool) or not isinstance(subject, (str, int)) or subject == "":
        raise _malformed("it names no user (sub)")
    expires_at = _moment(payload.get("exp"))
    if expires_at is not None and expires_at <= now:
        raise SettingsError(
            "token-expired",
            f"The QALITA token expired on {expires_at:%Y-%m-%d %H:%M} UTC.",
            expected="a token that is still valid; API tokens live a year unless the platform says otherwise",
            looked=[TOKEN, f"now it is {now.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC here"],
            todo=[NEW_TOKEN],
        )
    role, scopes = payload.get("role"), payload.get("scopes")
    return Claims(
        subject=str(subject),
        role=role if isinstance(role, str) else None,
        scopes=tuple(x for x in scopes if isinstance(x, str)) if isinstance(scopes, list) else (),
        expires_at=expires_at,
    )


def _payload(token: str) -> tuple[dict[str, Any] | None, str]:
    if not token.isascii() or any(c.isspace() for c in token):
        hint = "the word Bearer, " if token.lower().startswith("bearer") else ""
        return None, f"it holds {hint}blanks or signs that no token has"
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        return None, f"a JSON Web Token has three parts between dots, and this has {len(parts)}"
    objects = [_object(part) for part in parts[:2]]
    if objects[0] is None or objects[1] is None:
        return None, "its parts are not base64url of JSON objects"
    return objects[1], ""


def _object(part: str) -> dict[str, Any] | None:
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        value = msgspec.json.decode(raw)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _moment(exp: Any) -> datetime | None:
    """NumericDate; None where there is none, or where it is beyond any calendar."""
    if isinstance(exp, bool) or not isinstance(exp, (int, float)) or not 0 <= exp <= LATEST:
        return None
    return datetime.fromtimestamp(exp, timezone.utc)


def _malformed(why: str) -> SettingsError:
    return SettingsError(
        "token-malformed",
        f"The QALITA token is not one: {why}.",
        expected="the whole JSON Web Token, as the platform shows it once",
        looked=[TOKEN],
        todo=["copy it again without the word Bearer, quotes or line ends", NEW_TOKEN],
    )
