"""What every route is given: the store, the switches, and who asks. Must not answer requests itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, cast

import msgspec
from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from qalita_action.sandbox.problems import Problem
from qalita_action.sandbox.quirks import Quirks
from qalita_action.sandbox.store import Store
from qalita_action.sandbox.tokens import Account, read_token


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """One per app. queue wakes the scoring worker."""

    store: Store
    quirks: Quirks
    accounts: tuple[Account, ...]
    queue: Callable[[], None]


async def platform_of(request: Request) -> Platform:
    """Not for what it waits: FastAPI runs what is no coroutine in a thread of its own, at a price that every
    request would pay."""
    return cast(Platform, request.app.state.platform)


async def account_of(request: Request) -> Account:
    """Who asks. Raises Problem token-missing, token-malformed, token-expired, user-unknown, scope-missing."""
    platform = await platform_of(request)
    claims = read_token(request.headers.get("authorization"), platform.store.secret, platform.store.epoch())
    for account in platform.accounts:
        if str(account.id) == claims["sub"]:
            break
    else:
        raise Problem("user-unknown")
    lacking = [scope for scope in platform.quirks.required_scopes if scope not in claims["scopes"]]
    if lacking:
        raise Problem("scope-missing", f"The token lacks the scope {lacking[0]}.")
    return account


def base_url(request: Request) -> str:
    return str(request.base_url).rstrip("/")


ThePlatform = Annotated[Platform, Depends(platform_of)]
TheAccount = Annotated[Account, Depends(account_of)]
# Only so that the OpenAPI document says how to sign in; account_of decides.
bearer = HTTPBearer(auto_error=False, bearerFormat="JWT")
