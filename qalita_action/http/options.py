"""What a client is made of, as values. Must not read the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from qalita_action.redact import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach one service.

    service      its name in error texts; token_name, endpoint_name, ca_name: the settings that a person turns
    new_token, may_write  what to do for a token that is refused, and whose token may write
    ca           CA bundle: path of a file or of a folder, or PEM text; None: what the system trusts
    also_trusted further bundles, trusted in addition
    client_cert, client_key  paths, or PEM text
    *_timeout_s  of one attempt: connecting, and waiting for the next bytes
    attempts     of one call, the first one included; None: as many as the budget of time allows
    wait_*_s     back-off before the second attempt, its longest and its random part; it doubles each time
    max_answer   bytes of an answer after decoding: a wrong address may well stream for ever
    """

    base_url: str
    token: Secret | None = None
    service: str = "QALITA"
    endpoint_name: str = "--endpoint (QALITA_WORKER_ENDPOINT)"
    token_name: str = "--token (QALITA_WORKER_TOKEN)"  # noqa: S105 - a setting's name
    new_token: str = "make a new API token on your profile page"  # noqa: S105 - words
    may_write: str = "a token of a user who may write here, such as a Data Engineer"
    ca_name: str = "--ca-bundle (QALITA_CA_BUNDLE)"
    ca: str | None = None
    also_trusted: tuple[str, ...] = ()
    client_cert: str | None = None
    client_key: str | None = None
    verify_tls: bool = True
    trust_env: bool = True
    user_agent: str = "qalita-dbt-ingest"
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    attempts: int | None = None
    wait_initial_s: float = 0.5
    wait_max_s: float = 20.0
    wait_jitter_s: float = 0.5
    max_answer: int = 64 * 1024 * 1024


def ci_options(
    base_url: str,
    token: Secret | None,
    *,
    service: str,
    token_name: str,
    cas: Iterable[str | None] = (),
    user_agent: str = "qalita-dbt-ingest",
) -> Options:
    """How to reach the API of the CI itself (comments): not the platform's account, nor its client
    certificate. cas: bundles trusted besides the system's, such as GitLab's CI_SERVER_TLS_CA_FILE and the
    user's own; empty ones are left out. A comment is worth a few attempts, not the whole budget."""
    return Options(
        base_url=base_url.rstrip("/"),
        token=token,
        service=service,
        endpoint_name=f"the address of {service}'s API",
        token_name=token_name,
        new_token="make a new token",  # noqa: S106 - words
        may_write="a token, or a job's permissions, that may comment here",
        ca_name="CI_SERVER_TLS_CA_FILE, or --ca-bundle (QALITA_CA_BUNDLE),",
        also_trusted=tuple(dict.fromkeys(ca for ca in cas if ca)),
        user_agent=user_agent,
        read_timeout_s=20.0,
        attempts=4,
    )
