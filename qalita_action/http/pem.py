"""PEM (RFC 7468) as people paste it into a CI's variable, made into PEM as OpenSSL reads it. Must not read a
file, and must not show what it was given.
"""

from __future__ import annotations

import re
from textwrap import wrap

MARK = "-----BEGIN "
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----(.*?)-----END \1-----", re.DOTALL)
CERTIFICATES = frozenset({"CERTIFICATE", "X509 CERTIFICATE"})


def is_text(value: str) -> bool:
    """Whether this is PEM itself, and no path."""
    return MARK in value


def blocks(text: str, labels: frozenset[str] | None = None) -> list[str]:
    """The blocks of a text, each on lines of its own: what stands between them (comments, in any alphabet) is
    gone, and line ends that a variable lost or holds as two characters are back. labels: those alone."""
    found = _BLOCK.findall(text.replace("\\n", "\n").replace("\\r", ""))
    return [_written(label, body) for label, body in found if labels is None or label in labels]


def _written(label: str, body: str) -> str:
    """Headers, which encrypted keys of the old form have, are lines that must stay as they are."""
    lines = body.strip().splitlines() if ":" in body else wrap("".join(body.split()), 64)
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])
