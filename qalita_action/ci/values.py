"""What a raw word of the environment is worth, by field: a commit, an address, a time, a number, or text.
Pure. Must not decide which source wins."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import TypeAlias

from qalita_action.ci.urls import clean_url, repository_url

LONGEST_TEXT = 1024

Worth: TypeAlias = "str | int | bool"

# Words by which providers say "nothing", and expressions that nobody expanded.
_NOTHING = frozenset({"", "false", "null", "undefined", "<default>"})
_UNEXPANDED = re.compile(r"\$(\{\{.*\}\}|\{[^}]*\}|\([^)]*\)|[A-Za-z_][A-Za-z0-9_]*)", re.DOTALL)
_FULL_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHORT_SHA = re.compile(r"[0-9a-f]{7,39}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def unset(text: str) -> bool:
    return text in _NOTHING or _UNEXPANDED.fullmatch(text) is not None


def full_sha(text: str) -> str | None:
    """A whole commit id (SHA-1 or SHA-256), in lower case; never the all-zero one."""
    text = text.lower()
    return text if _FULL_SHA.fullmatch(text) and text.strip("0") else None


def short_sha(text: str) -> str | None:
    """7 to 39 hex digits: the beginning of a commit id, to be completed from the checkout."""
    text = text.lower()
    return text if _SHORT_SHA.fullmatch(text) else None


def text_of(text: str) -> str | None:
    """Text without control characters and lone surrogates (JSON has none), cut at LONGEST_TEXT."""
    return _UNPRINTABLE.sub(" ", text).strip()[:LONGEST_TEXT] or None


def ref_of(text: str) -> str | None:
    """A branch or tag name. `HEAD` is git's word for "no branch"."""
    return None if text == "HEAD" else text_of(text)


def repository_of(text: str) -> str | None:
    """`owner/name`; whoever gives an address gets its cleaned form."""
    return repository_url(text) if "://" in text or "@" in text else text_of(text)


def time_of(text: str) -> str | None:
    """RFC 3339 in UTC, whole seconds, from Unix seconds or from ISO 8601 with an offset. A time without an
    offset is None: nobody can say when that was. Fractions are cut, so the answer is never later."""
    try:
        if re.fullmatch(r"[0-9]{9,11}", text):
            when = datetime.fromtimestamp(int(text), timezone.utc)
        else:
            # Before Python 3.11 fromisoformat knows neither Z nor fractions of odd length.
            plain = re.sub(r"(?<=[0-9])[.,][0-9]+", "", re.sub(r"[zZ]$", "+00:00", text))
            when = datetime.fromisoformat(re.sub(r"([+-][0-9]{2})([0-9]{2})$", r"\1:\2", plain))
            if when.tzinfo is None:
                return None
            when = when.astimezone(timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
    return when.replace(microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ") if when.year >= 2000 else None


def count_of(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) and int(text) > 0 else None


def flag_of(text: str) -> bool | None:
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower())


_KINDS: Mapping[str, Callable[[str], Worth | None]] = {
    "sha": full_sha,
    "checkout_sha": full_sha,
    "base_sha": full_sha,
    "branch": ref_of,
    "tag": ref_of,
    "default_branch": ref_of,
    "base_branch": ref_of,
    "repository_url": repository_url,
    "head_repository": repository_of,
    "pipeline_url": clean_url,
    "job_url": clean_url,
    "attempt": count_of,
    "started_at": time_of,
    "dirty": flag_of,
    "shallow": flag_of,
}


def worth(field: str, text: str) -> Worth | None:
    """The value of a field of run.git or run.ci, or None where the text cannot be one."""
    return _KINDS.get(field, text_of)(text)
