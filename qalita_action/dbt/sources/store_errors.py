"""What can go wrong at a store, each as an error that says what to do. The client's exceptions hold whole
addresses, signatures included, and the server's page: nothing of them is shown but a status, a vendor's own
code, and what is recognised. Must not ask anybody.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qalita_action.dbt.sources.store_address import BUCKET_WORD
from qalita_action.dbt.sources.store_client import seen
from qalita_action.errors import ArtifactError, IngestError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qalita_action.dbt.sources.store_address import Address

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,60})</Code>")
# Where a machine is asked who it is: AWS, Google, Azure.
_MACHINE = re.compile(
    r"performing [A-Z]+ \S*(?://169\.254\.|/latest/(?:api|meta-data)/|/computeMetadata/|/metadata/identity/)"
)
_TOKEN_CALL = re.compile(
    r"token request|AssumeRole|performing POST|get_token|fetching credential", re.IGNORECASE
)
_CUT = re.compile(r"UnexpectedEof|UnexpectedRange|IncompleteMessage|response body error")
NO_BUCKET = frozenset({"NoSuchBucket", "ContainerNotFound"})
REFUSED = frozenset({"ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidIdentityToken"})
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
NO_CREDENTIALS = "no credentials are in the environment, nor has this machine any"
NO_LENGTH = "Content-Length Header missing"
# What the client says while it is made, and what that means.
UNUSABLE = (
    (
        "AWS_EC2_METADATA_DISABLED",
        "no credentials are in the environment, and AWS_EC2_METADATA_DISABLED forbids to ask the machine",
    ),
    ("MissingSecretAccessKey", "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not"),
    ("MissingAccessKeyId", "AWS_SECRET_ACCESS_KEY is set, and AWS_ACCESS_KEY_ID is not"),
    ("MissingAccount", "nothing says whose container it is: AZURE_STORAGE_ACCOUNT_NAME is not set"),
    ("MissingSasComponent", "the SAS token is not one: it has parts without a value"),
    ("InvalidAccessKey", "AZURE_STORAGE_ACCOUNT_KEY is not base64, as account keys are"),
    (
        "external_account",
        "GOOGLE_APPLICATION_CREDENTIALS names a file of workload identity federation (external_account)",
    ),
    ("DecodeCredentials", "the file of Google's credentials is none that can be read"),
    ("OpenCredentials", "the file of Google's credentials cannot be opened"),
    ("CredentialNotFound", "a file that a credential variable names is not there"),
    ("No such file or directory", "a file that a credential variable names is not there"),
)
REASONS = tuple(
    (re.compile(signs, re.IGNORECASE), reason)
    for signs, reason in (
        ("dns error|failed to lookup|name resolution|Name or service", "its host's name is not known here"),
        ("invalid peer certificate|UnknownIssuer|InvalidCertificate", "its certificate is not trusted"),
        ("Connection ?refused", "nothing listens there (connection refused)"),
        ("timed ?out|Timeout,", "it did not answer in time"),
        ("following redirect", "it leads on to an address that is not encrypted, or in a circle"),
        (
            "redirect without LOCATION|PermanentRedirect",
            "the bucket is in another region than AWS_REGION says",
        ),
    )
)
HOW = {
    "s3": [
        "give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or the machine a role",
        "on GitHub: aws-actions/configure-aws-credentials sets them; profiles of ~/.aws are not read",
        "a public bucket: AWS_SKIP_SIGNATURE=true",
    ],
    "gs": [
        "give GOOGLE_APPLICATION_CREDENTIALS, the file of a service account, or GOOGLE_BEARER_TOKEN",
        "on GitHub: google-github-actions/auth with token_format: access_token, as GOOGLE_BEARER_TOKEN",
        "a public bucket: GOOGLE_SKIP_SIGNATURE=true",
    ],
    "az": [
        "give AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN or"
        " AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE",
        "a public container: AZURE_SKIP_SIGNATURE=true",
    ],
    "web": ["the server wants a login: download the artifacts first, or give a signed address"],
}


def status_of(error: Exception) -> int | None:
    found = _STATUS.search(str(error))
    return int(found[1]) if found else None


def is_missing(error: Exception) -> bool:
    return isinstance(error, FileNotFoundError) or status_of(error) == 404


def has_no_length(error: Exception) -> bool:
    return NO_LENGTH in str(error)


def told(error: Exception, at: Address, env: Mapping[str, str]) -> IngestError:
    """The client's exception about one address, as ours."""
    if isinstance(error, IngestError):
        return error
    text = str(error)
    status = status_of(error)
    code = found[1] if (found := _CODE.search(text)) else ""
    what = next((why for sign, why in UNUSABLE if sign in text), None)
    if _MACHINE.search(text):
        return missing(at, env)
    if what and status is None:
        return missing(at, env, what)
    if status in {401, 403} or code in REFUSED or (status == 400 and _TOKEN_CALL.search(text)):
        return denied(at, env, status, code)
    if is_missing(error):
        return not_found(at, is_bucket=code in NO_BUCKET)
    if "Precondition" in type(error).__name__ or status == 412:
        return changed(str(at))
    if "sending request" not in text and _CUT.search(text):
        return cut_short(str(at))
    if "InvalidPath" in type(error).__name__:
        return SettingsError(
            "address-unknown", f"{at} is no path that a store can hold", todo=["check the address"]
        )
    return unreachable(at, _reason(text, status, code))


def _reason(text: str, status: int | None, code: str) -> str:
    if has_no_length(Exception(text)):
        return "it does not say how long the object is"
    for sign, reason in REASONS:
        if sign.search(text):
            return reason
    if status:
        return f"it answered {status}{f' ({code})' if code else ''}"
    return "the connection broke" if "HTTP error" in text else "what it answered cannot be understood"


def missing(at: Address, env: Mapping[str, str], what: str = "") -> SettingsError:
    names = seen(at.kind, env)
    return SettingsError(
        "store-credentials-missing",
        f"{at} cannot be asked for: {what or NO_CREDENTIALS}",
        expected="credentials that the environment or the machine brings along",
        looked=[f"variables that are set: {', '.join(names) or 'none of those that count'}"],
        todo=HOW[at.kind],
    )


def denied(at: Address, env: Mapping[str, str], status: int | None, code: str) -> ArtifactError:
    why = "its credentials have expired" if code in EXPIRED else "access is denied"
    said = " ".join(x for x in (str(status or ""), code) if x)
    kind, where = at.kind, str(at)
    hidden = {"s3": "without the permission to list, S3 says the same of what is not there"}.get(kind)
    return ArtifactError(
        "store-denied",
        f"{where} may not be read: {why}" + (f" ({said})" if said else ""),
        expected="credentials that may list and read there",
        looked=[
            f"variables that are set: {', '.join(seen(kind, env)) or 'none; the machine answered for itself'}"
        ]
        if kind != "web"
        else (),
        todo=[
            "get new ones: they are good for an hour or so"
            if code in EXPIRED
            else {"web": "a signed address may have run out: get a new one"}.get(
                kind, "check whose they are, and what they may do there"
            ),
            *([hidden] if hidden else []),
            *(HOW[kind] if kind == "web" else []),
        ],
    )


def not_found(at: Address, *, is_bucket: bool = False, is_prefix: bool = False) -> ArtifactError:
    word, where = BUCKET_WORD[at.kind], str(at)
    what = (
        f"the {word} {at.bucket} does not exist"
        if is_bucket
        else f"nothing lies below {where}"
        if is_prefix
        else f"{where} does not exist"
    )
    return ArtifactError(
        "store-not-found",
        what,
        expected="a prefix that ends with a slash, a pattern, or an object",
        looked=[where],
        todo=[
            "check the address for a misspelling, and the account or endpoint that it is in"
            if is_bucket
            else "check the address, and that the job which uploads ran"
        ],
    )


def unreachable(at: Address, why: str) -> ArtifactError:
    endpoint = {
        "s3": "AWS_REGION and AWS_ENDPOINT_URL",
        "gs": "STORAGE_EMULATOR_HOST and GOOGLE_BASE_URL, where they are set",
        "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ENDPOINT",
        "web": "the address",
    }[at.kind]
    where = str(at)
    return ArtifactError(
        "store-unreachable",
        f"{where} cannot be read: {why}",
        expected="an answer of the store",
        looked=[where],
        todo=[
            f"check {endpoint}, and that this network may reach it (HTTPS_PROXY, NO_PROXY, --ca-bundle)",
            "run it again when it is back: nothing was sent, and nothing is recorded twice",
        ],
    )


def not_listed(at: Address) -> ArtifactError:
    return ArtifactError(
        "store-denied",
        f"{at} is a pattern, and the server does not list its folders",
        expected="a server that answers PROPFIND (WebDAV), or addresses without a pattern",
        looked=[f"{at.root}/{at.literal}"],
        todo=["name each file: --manifest ADDRESS --results ADDRESS"],
    )


def changed(where: str) -> ArtifactError:
    return ArtifactError(
        "artifact-truncated",
        f"{where} was written anew while it was read",
        todo=["run this step again, after the job that uploads"],
    )


def cut_short(where: str) -> ArtifactError:
    return ArtifactError(
        "artifact-truncated",
        f"{where} ended before its end",
        expected="as many bytes as the store said",
        todo=["run it again; where it happens again, upload the file anew"],
    )


def too_many(where: str, limit: int) -> ArtifactError:
    return ArtifactError(
        "too-many-runs",
        f"more than {limit} runs lie behind {where}",
        expected=f"at most {limit} at once: the folders of one build",
        looked=[where],
        todo=[
            "name the one that is meant: a longer prefix, or a pattern that matches fewer",
            "a history is taken over with --since, oldest first: --since 30d",
        ],
    )
