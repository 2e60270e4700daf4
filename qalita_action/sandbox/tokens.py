"""Development tokens: JSON Web Tokens signed with HS256 by the standard library, and the check that a real
platform would make of them. Must not be used for anything but the stand-in."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from qalita_action.sandbox.problems import Problem

SCOPES = ("agent.get", "pack.create", "source.create")
YEAR_S = 365 * 24 * 3600


class Account(msgspec.Struct, frozen=True):
    """A user of the stand-in. partner is the tenant: what another tenant owns does not exist."""

    id: int
    name: str
    partner: str
    role: str = "dataengineer"


ACCOUNTS: tuple[Account, ...] = (
    Account(1, "ada@acme.example.com", "acme"),
    Account(2, "bob@globex.example.com", "globex"),
    Account(3, "cleo@acme.example.com", "acme"),
)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _signature(secret: bytes, signed: str) -> bytes:
    return hmac.new(secret, signed.encode(), hashlib.sha256).digest()


def make_token(
    secret: bytes,
    *,
    sub: int | str = 1,
    role: str = "dataengineer",
    scopes: Sequence[str] = SCOPES,
    expires_at: float | None = None,
) -> str:
    """A token as a platform would give it. expires_at: seconds since the epoch; a year from now if None."""
    expiry = time.time() + YEAR_S if expires_at is None else expires_at
    claims = {"sub": str(sub), "role": role, "scopes": list(scopes), "exp": int(expiry)}
    head = {"alg": "HS256", "typ": "JWT"}
    signed = ".".join(_text(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims))
    return f"{signed}.{_text(_signature(secret, signed))}"


def read_token(header: str | None, secret: bytes, now: float) -> dict[str, Any]:
    """The claims of an Authorization header.

    Raises Problem token-missing, token-malformed (form, algorithm, signature, claims) or token-expired.
    """
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Problem("token-missing")
    try:
        head, body, signature = token.strip().split(".")
        if json.loads(_bytes(head)).get("alg") != "HS256":
            raise Problem("token-malformed", "the algorithm is not HS256")
        if not hmac.compare_digest(_signature(secret, f"{head}.{body}"), _bytes(signature)):
            raise Problem("token-malformed", "the signature does not fit")
        claims = json.loads(_bytes(body))
        sub, expiry, scopes = claims["sub"], float(claims["exp"]), claims["scopes"]
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise Problem("token-malformed") from error
    if not isinstance(sub, str) or not isinstance(scopes, list):
        raise Problem("token-malformed", "sub is not a text, or scopes is not a list")
    if expiry <= now:
        raise Problem("token-expired")
    return dict(claims)
