"""An object store's or a web server's client, from an address and the clouds' own variables.

obstore also looks at the process's variables by itself; what stands here is what it would not know (other
tools' names for the same thing, a connection string, an emulator), and which of them were there, by name.
Must not read an artifact, and must not show a value.
"""

from __future__ import annotations

import os
import ssl
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qalita_action.errors import SettingsError
from qalita_action.http import pem
from qalita_action.http.tls import OPENSSL_VARIABLES, SYSTEM_BUNDLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qalita_action.dbt.found import Reach
    from qalita_action.dbt.sources.store_address import Address, Kind

CONNECT_S, READ_S, REQUEST_S = 5, 30, 300
RETRIES, RETRY_S = 3, 30
# The store's own key -> the variables that say it, the first one that is set counts.
KEYS: dict[Kind, dict[str, tuple[str, ...]]] = {
    "s3": {
        "access_key_id": ("AWS_ACCESS_KEY_ID",),
        "secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
        "session_token": ("AWS_SESSION_TOKEN",),
        "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
        "endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
        "endpoint_url_sts": ("AWS_ENDPOINT_URL_STS", "AWS_STS_ENDPOINT"),
        "role_arn": ("AWS_ROLE_ARN",),
        "role_session_name": ("AWS_ROLE_SESSION_NAME",),
        "web_identity_token_file": ("AWS_WEB_IDENTITY_TOKEN_FILE",),
        "container_credentials_relative_uri": ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
        "container_credentials_full_uri": ("AWS_CONTAINER_CREDENTIALS_FULL_URI",),
        "container_authorization_token_file": ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",),
        "metadata_endpoint": ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_METADATA_ENDPOINT"),
        "skip_signature": ("AWS_SKIP_SIGNATURE",),
        "request_payer": ("AWS_REQUEST_PAYER",),
        "virtual_hosted_style_request": ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST",),
    },
    "gs": {
        "application_credentials": ("GOOGLE_APPLICATION_CREDENTIALS",),
        "service_account": ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH"),
        "service_account_key": ("GOOGLE_SERVICE_ACCOUNT_KEY",),
        "bearer_token": ("GOOGLE_BEARER_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN", "GOOGLE_OAUTH_ACCESS_TOKEN"),
        "base_url": ("STORAGE_EMULATOR_HOST", "GOOGLE_BASE_URL"),
        "skip_signature": ("GOOGLE_SKIP_SIGNATURE",),
    },
    "az": {
        "account_name": ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"),
        "account_key": ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_KEY"),
        "sas_key": ("AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY"),
        "token": ("AZURE_STORAGE_TOKEN",),
        "client_id": ("AZURE_CLIENT_ID", "AZURE_STORAGE_CLIENT_ID"),
        "client_secret": ("AZURE_CLIENT_SECRET", "AZURE_STORAGE_CLIENT_SECRET"),
        "tenant_id": ("AZURE_TENANT_ID", "AZURE_STORAGE_TENANT_ID"),
        "federated_token_file": ("AZURE_FEDERATED_TOKEN_FILE",),
        "authority_host": ("AZURE_AUTHORITY_HOST", "AZURE_STORAGE_AUTHORITY_HOST"),
        "msi_endpoint": ("AZURE_MSI_ENDPOINT", "AZURE_IDENTITY_ENDPOINT"),
        "endpoint": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
        "use_azure_cli": ("AZURE_USE_AZURE_CLI",),
        "skip_signature": ("AZURE_SKIP_SIGNATURE",),
    },
    "web": {},
}
# Of those, what proves who asks. Without any of them the machine's own identity is asked for.
PROOFS = {
    "access_key_id",
    "secret_access_key",
    "web_identity_token_file",
    "container_credentials_relative_uri",
    "container_credentials_full_uri",
    "application_credentials",
    "service_account",
    "service_account_key",
    "bearer_token",
    "account_key",
    "sas_key",
    "token",
    "client_id",
    "client_secret",
    "federated_token_file",
    "use_azure_cli",
    "skip_signature",
}
CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"
CONNECTION_KEYS = {
    "accountname": "account_name",
    "accountkey": "account_key",
    "sharedaccesssignature": "sas_key",
    "blobendpoint": "endpoint",
}


def seen(kind: Kind, env: Mapping[str, str]) -> list[str]:
    """The variables that say who asks, by name."""
    names = [n for key, names in KEYS[kind].items() if key in PROOFS for n in names if env.get(n)]
    more = {"s3": ("AWS_SESSION_TOKEN", "AWS_PROFILE"), "az": (CONNECTION_STRING,)}.get(kind, ())
    return [*names, *(name for name in more if env.get(name))]


def config(kind: Kind, env: Mapping[str, str]) -> dict[str, str]:
    """What the variables say, by the store's own keys."""
    said = _connection(env.get(CONNECTION_STRING, "")) if kind == "az" else {}
    for key, names in KEYS[kind].items():
        value = next((env[name] for name in names if env.get(name)), None)
        if value is not None:
            said[key] = value
    if kind == "gs" and env.get("STORAGE_EMULATOR_HOST"):
        host = env["STORAGE_EMULATOR_HOST"].rstrip("/")
        said["base_url"] = host if "://" in host else f"http://{host}"
        if PROOFS.isdisjoint(said):
            said["skip_signature"] = "true"
    return said


def _connection(text: str) -> dict[str, str]:
    pairs = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
    lower = {key.strip().lower(): value.strip() for key, value in pairs.items()}
    said = {ours: lower[theirs] for theirs, ours in CONNECTION_KEYS.items() if lower.get(theirs)}
    suffix = lower.get("endpointsuffix", "core.windows.net")
    if "account_name" in said and "endpoint" not in said and suffix != "core.windows.net":
        scheme = lower.get("defaultendpointsprotocol", "https")
        said["endpoint"] = f"{scheme}://{said['account_name']}.blob.{suffix}"
    if lower.get("usedevelopmentstorage", "").lower() == "true":
        said["use_emulator"] = "true"
    return said


def connect(at: Address, reach: Reach) -> Any:
    """The store; no call is made. Raises obstore's exceptions, and SettingsError ca-unreadable."""
    from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store

    said = config(at.kind, reach.env)
    plain = [said.get(key, "") for key in ("endpoint", "base_url")] + [at.root]
    options = {
        **options_of(reach),
        "allow_http": any(address.startswith("http://") for address in plain) or "use_emulator" in said,
    }
    if _asks_nobody(said, at.kind, reach.env):
        raise ValueError("AWS_EC2_METADATA_DISABLED")
    how: dict[str, Any] = {"client_options": options, "retry_config": _retries()}
    match at.kind:
        case "s3":
            return S3Store(at.bucket, config=said, **how)  # type: ignore[arg-type]
        case "gs":
            return GCSStore(at.bucket, config=said, **how)  # type: ignore[arg-type]
        case "az":
            return AzureStore(at.bucket, config=said, **how)  # type: ignore[arg-type]
        case "web":
            return HTTPStore.from_url(f"{at.root}/{at.path.rstrip('/')}{at.query}", **how)


def _asks_nobody(said: Mapping[str, str], kind: Kind, env: Mapping[str, str]) -> bool:
    is_off = env.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
    return kind == "s3" and is_off and PROOFS.isdisjoint(said)


def options_of(reach: Reach) -> dict[str, Any]:
    """Proxies are those of the variables (HTTPS_PROXY, NO_PROXY): the client reads them itself."""
    options: dict[str, Any] = {
        "connect_timeout": timedelta(seconds=CONNECT_S),
        "read_timeout": timedelta(seconds=READ_S),
        "timeout": timedelta(seconds=REQUEST_S),
        "user_agent": "qalita-dbt-ingest",
    }
    if not reach.verify_tls:
        return {**options, "allow_invalid_certificates": True}
    roots = _roots(reach)
    return {**options, "root_certificate": roots} if roots else options


def _retries() -> dict[str, Any]:
    """Few and short: a store that is away says so within seconds."""
    backoff = {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=3), "base": 2}
    return {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_S), "backoff": backoff}


# ---------------------------------------------------------------- whom to trust


def _roots(reach: Reach) -> str | None:
    """PEM of what is trusted besides the system's CAs. A slim image has none of its own."""
    if reach.ca:
        try:
            return _certificates(reach.ca)
        except (OSError, ValueError) as e:
            raise SettingsError(
                "ca-unreadable",
                f"The CA bundle cannot be used: {getattr(e, 'strerror', None) or e}.",
                expected="a PEM file, a folder of PEM files, or PEM text (-----BEGIN CERTIFICATE-----)",
                looked=["(PEM text)" if pem.is_text(reach.ca) else reach.ca],
                todo=["point --ca-bundle (QALITA_CA_BUNDLE) at your organisation's CA bundle"],
            ) from None
    has_own = any(os.environ.get(name) for name in OPENSSL_VARIABLES) or any(
        Path(bundle).is_file() for bundle in SYSTEM_BUNDLES
    )
    if has_own or sys.platform != "linux":
        return None
    import certifi

    return certifi.contents()


def _certificates(ca: str) -> str:
    if pem.is_text(ca):
        return _pem(ca.encode("utf-8", "surrogatepass"))
    path = Path(ca)
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    found = [text for file in files if (text := _pem(file.read_bytes(), is_one=len(files) == 1))]
    if not found:
        raise ValueError("the folder holds no certificate")
    return "".join(dict.fromkeys(found))


def _pem(data: bytes, *, is_one: bool = True) -> str:
    """The certificates among whatever else: PEM, or one in DER, as Windows exports them."""
    blocks = pem.blocks(data.decode("utf-8", "replace"), pem.CERTIFICATES)
    if blocks:
        return "".join(blocks)
    if data[:1] == b"\x30":
        return ssl.DER_cert_to_PEM_cert(data)
    if is_one:
        raise ValueError("it holds no certificate")
    return ""
