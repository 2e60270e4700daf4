"""What a client is made of, as values. Must not read the environment."""

from __future__ import annotations

import msgspec

from qalita_action.redact import Secret


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach one service.

    service      its name in error texts; token_name, endpoint_name, ca_name: the settings that a person turns
    ca           CA bundle: path of a file or of a folder, or PEM text; None: what the system trusts
    *_timeout_s  of one attempt: connecting, and waiting for the next bytes
    attempts     of one call, the first one included
    wait_*_s     back-off before the second attempt, its longest and its random part; it doubles each time
    max_answer   bytes of an answer after decoding: a wrong address may well stream for ever
    """

    base_url: str
    token: Secret | None = None
    service: str = "QALITA"
    endpoint_name: str = "--endpoint (QALITA_WORKER_ENDPOINT)"
    token_name: str = "--token (QALITA_WORKER_TOKEN)"  # noqa: S105 - a setting's name
    ca_name: str = "--ca-bundle (QALITA_CA_BUNDLE)"
    ca: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    verify_tls: bool = True
    trust_env: bool = True
    user_agent: str = "qalita-dbt-ingest"
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    attempts: int = 8
    wait_initial_s: float = 0.5
    wait_max_s: float = 20.0
    wait_jitter_s: float = 0.5
    max_answer: int = 64 * 1024 * 1024
