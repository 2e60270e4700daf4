"""Which values of the flags and of the environment are secrets, and hiding them from the CI's log before
anything else is said. Must not print one in any other way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import typer

from qalita_action.redact import SHORTEST_SECRET, for_workflow_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OURS = ("QALITA_", "INPUT_", "DBT_CLOUD_")
WORDS = ("TOKEN", "PASSWORD", "PASSWD", "SECRET")
TOKENS = ("token", "github_token", "gitlab_token", "dbt_cloud_token")
KEYS = ("CLIENT-KEY", "CLIENT_KEY")
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
# The clouds' own, whose names hold none of the words: keys that sign, and signatures that are keys.
CLOUDS = (
    "AWS_ACCESS_KEY_ID",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "AWS_SSE_CUSTOMER_KEY_BASE64",
)
CONNECTION_STRINGS = "CONNECTION_STRING"
CONNECTION_SECRETS = ("accountkey", "sharedaccesssignature")
SIGNATURES = (
    "sig",
    "x-amz-signature",
    "x-amz-security-token",
    "x-amz-credential",
    "x-goog-signature",
    "signature",
)
ADDRESSES = ("path", "manifest", "results", "sources", "catalog")
LONG_ENOUGH = 8  # what others call a token may be a word like `true`, which must not vanish from an error


def secrets_of(flags: Mapping[str, Any], env: Mapping[str, str]) -> list[str]:
    """What no error may show: ours, and whatever else of the job calls itself a secret."""
    others = (
        value
        for name, value in env.items()
        if len(value) >= LONG_ENOUGH and not name.startswith(OURS) and _has(name, WORDS)
    )
    return [*_ours(flags, env), *others, *_clouds(env), *_signatures(_addresses(flags, env))]


def _clouds(env: Mapping[str, str]) -> Iterable[str]:
    """A SAS token is a query, and a connection string a list: what is secret of them is their parts."""
    for name, value in env.items():
        if name in CLOUDS and len(value) >= LONG_ENOUGH:
            yield value
        if _has(name, (CONNECTION_STRINGS,)):
            yield value
            for part in value.split(";"):
                key, _, secret = part.partition("=")
                if key.strip().lower() in CONNECTION_SECRETS:
                    yield secret.strip()
                    yield from _signatures([secret])
        if "SAS_TOKEN" in name or "SAS_KEY" in name:
            yield from _signatures([value])


def _addresses(flags: Mapping[str, Any], env: Mapping[str, str]) -> Iterable[str]:
    """What a flag, an input or a variable says of where to look; of several, a line or a comma each."""
    for name in ADDRESSES:
        said = flags.get(name) or ()
        yield from [said] if isinstance(said, str) else map(str, said)
    for name, value in env.items():
        if name.startswith(OURS) and name.lower().endswith(ADDRESSES):
            yield from value.replace(",", "\n").splitlines()


def _signatures(queries: Iterable[str]) -> Iterable[str]:
    """Of signed addresses: as they are written, and as they are meant."""
    for text in queries:
        for pair in text.rpartition("?")[2].split("&"):
            key, _, value = pair.partition("=")
            if key.strip().lower() in SIGNATURES and len(value) >= LONG_ENOUGH:
                yield from (value, unquote(value))


def mask(flags: Mapping[str, Any], env: Mapping[str, str]) -> None:
    """First of all: from here on GitHub's runner hides them wherever they appear. A line each, because a
    runner looks at a log line by line. Under `--output json` stdout is data."""
    if not env.get("GITHUB_ACTIONS"):
        return
    output = flags.get("output") or env.get("INPUT_OUTPUT") or env.get("QALITA_OUTPUT")
    for line in dict.fromkeys(_lines(_ours(flags, env))):
        typer.echo(f"::add-mask::{for_workflow_command(line)}", err=output == "json")


def _ours(flags: Mapping[str, Any], env: Mapping[str, str]) -> Iterable[str]:
    yield from (str(flags.get(name) or "") for name in TOKENS)
    keys = [v for k, v in env.items() if k.startswith(OURS) and k.upper().endswith(KEYS)]
    yield from (key for key in (str(flags.get("client_key") or ""), *keys) if "-----BEGIN " in key)
    yield from (value for name, value in env.items() if name.startswith(OURS) and _has(name, WORDS))
    yield from (secret for name in env if name.upper() in PROXIES for secret in _passwords(env[name]))


def _passwords(proxy: str) -> Iterable[str]:
    """As it is written, and as it is meant."""
    try:
        password = urlsplit(proxy if "://" in proxy else f"http://{proxy}").password
    except ValueError:
        password = None
    return (password, unquote(password)) if password else ()


def _has(name: str, words: Iterable[str]) -> bool:
    return any(word in name.upper() for word in words)


def _lines(values: Iterable[str]) -> Iterable[str]:
    for value in values:
        for line in value.replace("\\n", "\n").splitlines():
            text = line.strip()
            if len(text) >= SHORTEST_SECRET and not text.startswith("-----"):
                yield text
