"""Addresses of object stores and web servers: told apart, taken apart, and matched. Pure: asks nobody.

In a bucket every character but the slash is a name's or a pattern's. Of a web address the query belongs to
the server (it may be a signature), and is never shown.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal, TypeAlias
from urllib.parse import quote, unquote, urlsplit

import msgspec

from qalita_action.errors import SettingsError
from qalita_action.http.hosts import is_loopback
from qalita_action.redact import mask_url

Kind: TypeAlias = Literal["s3", "gs", "az", "web"]
SCHEMES: dict[str, Kind] = {"s3": "s3", "gs": "gs", "az": "az", "https": "web", "http": "web"}
BUCKET_WORD: dict[Kind, str] = {"s3": "bucket", "gs": "bucket", "az": "container", "web": "server"}
# What a file's name ends with; a last segment without any of them is a folder's name.
FILE_ENDS = (".json", ".gz", ".tgz", ".zst", ".tzst", ".zip", ".tar", ".bz2", ".xz", ".whl")
ANY_DEPTH = "**"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """root: s3://bucket or https://host:8443. path: below it, as it was written, without a leading slash.
    query: of a web address, with its question mark."""

    kind: Kind
    root: str
    bucket: str
    path: str
    query: str = ""

    def __str__(self) -> str:
        return f"{self.root}/{self.path}"

    @property
    def key(self) -> str:
        """Its path as a listing has it: without the escapes of a web address."""
        return unquote(self.path) if self.kind == "web" else self.path

    @property
    def prefix(self) -> str:
        """The literal folder as a listing has it."""
        return unquote(self.literal) if self.kind == "web" else self.literal

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """Its own path where it is one, with the slash; "" is the root."""
        path = f"{self.path}/" if self.is_folder and self.path else self.path
        return path[: path.rindex("/") + 1].replace("//", "/") if "/" in path else ""

    @property
    def is_folder(self) -> bool:
        """A web server alone knows what an address without a slash is: there it is a file."""
        if not self.name:
            return True
        return self.kind != "web" and not self.name.lower().endswith(FILE_ENDS)

    @property
    def is_pattern(self) -> bool:
        return _is_pattern(self.path, self.kind)

    @property
    def literal(self) -> str:
        """The deepest folder that holds all that the pattern can match, with its slash; "" is the root."""
        kept: list[str] = []
        for segment in self.folder.split("/")[:-1]:
            if _is_pattern(segment, self.kind):
                break
            kept.append(segment)
        return "".join(f"{segment}/" for segment in kept)

    def at(self, path: str) -> Address:
        return msgspec.structs.replace(self, path=path)

    def at_key(self, key: str) -> Address:
        """What a listing of the same bucket or server holds."""
        return self.at(quote(key) if self.kind == "web" else key)


def parse(address: str) -> Address:
    """Errors: address-unknown."""
    scheme, _, rest = address.partition("://")
    kind = SCHEMES.get(scheme.lower())
    if kind is None:
        raise _unknown(address)
    if kind == "web":
        return _web(address)
    bucket, _, path = rest.partition("/")
    if not bucket or "@" in bucket or _is_pattern(bucket, kind):
        raise _unknown(address, f"{mask_url(address)} names no {BUCKET_WORD[kind]}")
    return Address(kind=kind, root=f"{kind}://{bucket}", bucket=bucket, path=path.lstrip("/"))


def _web(address: str) -> Address:
    try:
        url = urlsplit(address)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise _unknown(address) from None
    if not host:
        raise _unknown(address)
    if url.username is not None or url.password is not None:
        raise _unknown(address, f"{mask_url(address)} holds a user or a password, which are never sent")
    scheme = url.scheme.lower()
    if scheme == "http" and not is_loopback(host):
        raise _unknown(address, f"{mask_url(address)} is not encrypted: http is read from this machine alone")
    shown = f"[{host}]" if ":" in host else host
    return Address(
        kind="web",
        root=f"{scheme}://{shown}:{port}" if port else f"{scheme}://{shown}",
        bucket=shown,
        path=url.path.lstrip("/"),
        query=f"?{url.query}" if url.query else "",
    )


def _unknown(address: str, what: str = "") -> SettingsError:
    return SettingsError(
        "address-unknown",
        what or f"{mask_url(address)} is no address that can be read",
        expected="s3://BUCKET/PATH, gs://BUCKET/PATH, az://CONTAINER/PATH, https://HOST/PATH, or dbtcloud://",
        todo=["check the address"],
    )


def _is_pattern(text: str, kind: Kind) -> bool:
    return "*" in text or (kind != "web" and any(c in text for c in "?["))


# ---------------------------------------------------------------- matching


def matches(path: str, pattern: str) -> bool:
    """`*`, `?` and `[]` within a segment, `**` for any number of them."""
    return _match(tuple(path.split("/")), tuple(pattern.split("/")))


def is_below(path: str, pattern: str) -> bool:
    """Whether a file lies in a folder that the pattern matches, at any depth. Both without a last slash."""
    parts = tuple(path.split("/")[:-1])
    wanted = tuple(pattern.split("/")) if pattern else ()
    return _match(parts, (*wanted, ANY_DEPTH))


def _match(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """One row of a table for each segment of the pattern: no pattern makes it slow."""
    reached = [True] + [False] * len(parts)  # how many parts may be used up
    for segment in pattern:
        if segment == ANY_DEPTH:
            first = reached.index(True) if True in reached else len(reached)
            reached = [i >= first for i in range(len(reached))]
        else:
            reached = [False] + [
                before and fnmatchcase(part, segment)
                for before, part in zip(reached[:-1], parts, strict=True)
            ]
    return reached[-1]
