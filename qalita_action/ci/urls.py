"""Addresses, made safe to print and send: no user info, no token, no path of this machine. Pure.

A repository's address is turned into the one a browser opens (`git@host:o/r.git` -> `https://host/o/r`), so
that the same repository has the same address whoever checked it out. Must not guess: what cannot be read
for certain is None.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

LONGEST = 2000

# What real tokens look like: GitHub, GitLab, Slack, AWS, npm, PyPI, JWT. One of them anywhere in an address
# means that the address itself is the secret.
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(gh[pousr]_|github_pat_|gl(pat|dt|ptt|rt|cbt|soat|agent|ft|imt)-|xox[abprs]-|AKIA[0-9A-Z]{12}"
    r"|npm_|pypi-|eyJ[A-Za-z0-9_-]{10,}\.)",
)
_SECRET_NAME = re.compile(
    r"tok|secret|passw|pwd|passphrase|sig(nature)?$|auth|credential|cred$|(^|[_.-])(api|access|private|x)?[_.-]?key"
    r"|^pass$|jwt|bearer|session|^code$|^sas$|oauth",
    re.IGNORECASE,
)
_BROKEN = re.compile(r"[\s\x00-\x20\x7f-\x9f\\<>\"'`^{}|]")
_SCP = re.compile(r"^(?:[^/@:]+@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{2,}):(?P<path>(?!//)[^:@]*)$")
_HOST = re.compile(r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)$")
_USER_IN_PATH = re.compile(r"//[^/]*@")
_PORT = re.compile(r"^[0-9]{0,5}$")
_FRAGMENT = re.compile(r"^[A-Za-z0-9_./:!=&,-]{1,200}$")
_SSH = frozenset({"ssh", "git+ssh", "ssh+git"})
_WEB = frozenset({"http", "https"})
_DEFAULT_PORT = {"http": "80", "https": "443"}

# Hosts that answer ssh alone, and the host of the same service that a browser opens.
_SSH_HOSTS = {
    "ssh.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
    "ssh.dev.azure.com": "dev.azure.com",
}


def clean_url(text: str) -> str | None:
    """An http(s) address without user info and without query parameters or a fragment that look like
    secrets; None where that cannot be had (another scheme, a broken or a doubtful address)."""
    parts = _split(text)
    if parts is None:
        return None
    scheme, authority, path, query, fragment = parts
    if scheme not in _WEB:
        return None
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return None
    kept = [(name, value) for name, value in pairs if _harmless(name, value)]
    if not _FRAGMENT.match(fragment) or not _harmless(*_pair(fragment)):
        fragment = ""
    return _joined(scheme, authority, path, urlencode(kept), fragment)


def repository_url(text: str) -> str | None:
    """The address a browser opens for a git remote: https for every ssh form (its port is ssh's own, so it is
    dropped), no `.git`, no trailing slash, no query. Nested groups, `_git` and case stay as they are. A path
    of this machine or an unknown scheme is None: it would say nothing to anybody else."""
    text = text.strip()
    if "://" not in text:
        scp = _SCP.match(text)
        # C:\repo and C:/repo are disks, not hosts: a host here has two characters or more.
        if scp is None:
            return None
        text = f"ssh://{scp['host']}/{scp['path'].lstrip('/')}"
    parts = _split(text)
    if parts is None:
        return None
    scheme, authority, path, _, _ = parts
    if scheme in _SSH or scheme == "git":
        host = re.sub(r":[0-9]+$", "", authority)
        authority = _SSH_HOSTS.get(host.lower(), host)
        path = _azure(path) if authority == "dev.azure.com" else path
        scheme = "https"
    if scheme not in _WEB:
        return None
    path = re.sub(r"(?:/|\.git)+$", "", path)  # all of it: what is cleaned stays as it is
    return _joined(scheme, authority, path, "", "") if path else None


def slug(url: str | None) -> str | None:
    """`owner/name` of a cleaned repository address, all its segments: GitLab's groups are nested."""
    return urlsplit(url).path.strip("/") or None if url else None


def _split(text: str) -> tuple[str, str, str, str, str] | None:
    """(scheme, host[:port], path, query, fragment) without user info, or None."""
    text = text.strip()
    if len(text) > LONGEST or _BROKEN.search(text) or not text.isascii():
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    host, port = parts.netloc.rpartition("@")[2], ""
    if ":" in host and not host.endswith("]"):
        host, _, port = host.rpartition(":")
    if not _HOST.match(host) or not _PORT.match(port):
        return None
    scheme = parts.scheme.lower()
    if _DEFAULT_PORT.get(scheme) == port:
        port = ""
    # A mirror's address carries another address in its path, with its own user info. An `@` elsewhere in a
    # path is somebody's folder; after a short "host" without a dot it is a password with a slash in it.
    path = _USER_IN_PATH.sub("//", parts.path)
    if "@" in unquote(path) and "." not in host and host != "localhost":
        return None
    return scheme, f"{host}:{port}" if port else host, path, parts.query, parts.fragment


def _joined(scheme: str, authority: str, path: str, query: str, fragment: str) -> str | None:
    if path and not path.startswith("/"):
        path = f"/{path}"
    url = urlunsplit((scheme, authority, path, query, fragment))
    return None if _TOKEN.search(url) or _TOKEN.search(unquote(url)) else url


def _harmless(name: str, value: str) -> bool:
    return not (_SECRET_NAME.search(name) or _TOKEN.search(value) or "@" in value or "://" in value)


def _pair(fragment: str) -> tuple[str, str]:
    name, _, value = fragment.partition("=")
    return name, value


def _azure(path: str) -> str:
    """/v3/org/project/repo, the ssh form of Azure Repos, as its web form /org/project/_git/repo."""
    match path.strip("/").split("/"):
        case ["v3", organisation, project, repository]:
            return f"/{organisation}/{project}/_git/{repository}"
        case _:
            return path
