"""What is scrubbed from anything printed, logged, kept or sent, and how untrusted text is made harmless for
the dialect it goes into. Pure; every function is linear in its text, whatever the text holds.

Two families, used in this order: `clean_*`, `mask_*` and `scrub` take away what nobody should see, `for_*`
write what is left in a dialect. Each `for_*` cleans by itself, so that forgetting the first family costs
looks, never safety. Must not know what a check or a dataset is.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from html import escape
from itertools import pairwise
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST_SECRET = 4


class Secret:
    """A value that no repr, str, format, pickle or traceback shows. reveal() is called where it is sent."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        msg = "a Secret is not pickled"
        raise TypeError(msg)


# ---------------------------------------------------------------- clean

# ECMA-48: CSI, OSC, the other strings, then two-character escapes. A string that is never closed loses its
# opener only. No class holds ESC, so no two attempts read the same text.
_ANSI = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x9b[0-?]*[ -/]*[@-~]"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b[PX^_][^\x1b]*\x1b\\"
    r"|\x1b[ -/]*[0-~]"
)
# Controls, bidi marks, zero-width and other characters that are read by machines and not by people.
_INVISIBLE = re.compile(
    "[\\x00-\\x08\\x0e-\\x1b\\x7f-\\x84\\x86-\\x9f\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f"
    "\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff9-\\ufffc"
    "\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff]"
)
_NOT_CHARACTERS = re.compile("[\\ud800-\\udfff\\ufffe\\uffff]")
_BLANKS = {0x09: "    ", 0x1C: " ", 0x1D: " ", 0x1E: " ", 0x1F: " "}
_LINE_ENDS = re.compile("\\r\\n|[\\r\\x0b\\x0c\\x85\\u2028\\u2029]")


def _visible(text: str) -> str:
    if text.isprintable():  # no control, escape or surrogate: only letters and marks that show nothing
        return text if text.isascii() else _INVISIBLE.sub("", text)
    text = _INVISIBLE.sub("", _ANSI.sub("", text))
    return _NOT_CHARACTERS.sub("\ufffd", text)


def cut(text: str, limit: int | None) -> str:
    """At most `limit` characters, the last one telling that there was more."""
    if limit is None or len(text) <= limit:
        return text
    return text[: max(limit - 1, 0)].rstrip() + "…" if limit > 0 else ""


def clean_line(text: str, limit: int | None = None) -> str:
    """One line that shows what it holds: no controls, ANSI, bidi or zero-width marks; white space folded."""
    return cut(" ".join(_visible(text).split()), limit)


def clean_text(text: str, limit: int | None = None) -> str:
    """As clean_line, for text of several lines: each ends with a line feed, a tab is four blanks."""
    if text.isprintable():
        return cut(_visible(text).rstrip(), limit)
    lines = _LINE_ENDS.sub("\n", text).split("\n")
    return cut("\n".join(_visible(line.translate(_BLANKS)).rstrip() for line in lines).strip("\n"), limit)


# ---------------------------------------------------------------- mask

# Each alternative either fails within a few characters or takes all that it read: that keeps it linear.
_TOKENS = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:[\s\S]*?-----END [A-Z0-9 ]{0,40}-----|[\s\S]*)"
    r"|gh[opusr]_[A-Za-z0-9]{16,}"
    r"|github_pat_[A-Za-z0-9_]{16,}"
    r"|gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|imt)-[A-Za-z0-9_.-]{16,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}"
    r"|(?<![A-Za-z0-9])sk-(?=[A-Za-z_-]{0,40}[0-9])[A-Za-z0-9_-]{16,}"
    r"|dbt[cuws]_[A-Za-z0-9_-]{16,}"
    r"|dapi[0-9a-f]{32}"
    r"|AIza[A-Za-z0-9_-]{35}"
    r"|(?i:bearer)[ \t]{1,4}[A-Za-z0-9._~+/=-]{16,}"
)
# userinfo of a URL inside a text: the classes stop at "/", so that attempts never overlap
_USERINFO = re.compile(r"://[^\s/@:]*:[^\s/@]+@")
_DOTTED_RUN = re.compile(r"[A-Za-z0-9_.-]{20,}")
_TOKEN_HINT = re.compile(
    r"-----BEGIN |gh[opusr]_|github_pat_|gl[a-z]{2,5}-|AKIA|ASIA|xox|sk-|dbt[cuws]_|dapi|AIza|(?i:bearer)|://|eyJ"
)


def _mask_jwt(run: re.Match[str]) -> str:
    """Three base64url parts, the first one opening a JSON object: `eyJ`."""
    text = run.group()
    at = 0
    parts = text.split(".")
    for part, following in pairwise(parts):
        found = part.find("eyJ")
        if found >= 0 and len(part) - found >= 8 and len(following) >= 8:
            return text[: at + found] + MASK
        at += len(part) + 1
    return text


def mask_tokens(text: str) -> str:
    """Known shapes of tokens and private keys, and passwords in URLs, wherever they stand in the text."""
    if not _TOKEN_HINT.search(text):
        return text
    text = _USERINFO.sub(f"://{MASK}@", _TOKENS.sub(MASK, text))
    return _DOTTED_RUN.sub(_mask_jwt, text) if "eyJ" in text else text


_QUERY = re.compile(r"([?&;#])([^=&;#?\s]*)=([^&;#\s]*)")
_TELLING_KEY = re.compile(
    r"token|secret|passw|pwd|signature|api[_-]?key|access[_-]?key|auth|credential|session"
    r"|^(?:key|sig|code|jwt|sas|pat|x-amz-.*|x-goog-.*)$",
    re.IGNORECASE,
)


def _mask_query(pair: re.Match[str]) -> str:
    sign, key, value = pair.groups()
    return f"{sign}{key}={MASK if value and _TELLING_KEY.search(key) else value}"


def mask_url(url: str) -> str:
    """One URL without its userinfo and without the values of token-like query parameters. A password that
    holds an unescaped slash is masked too: what follows its colon is no port."""
    scheme, separator, rest = url.partition("://")
    if separator:
        at = re.search(r"[/?#]", rest)
        authority, tail = (rest[: at.start()], rest[at.start() :]) if at else (rest, "")
        port = authority.rpartition(":")[2]
        if "@" in authority:
            authority = f"{MASK}@{authority.rpartition('@')[2]}"
        elif ":" in authority and "@" in tail and not (port.isdigit() or authority.endswith("]")):
            authority, tail = f"{MASK}@", tail.rpartition("@")[2]
        url = f"{scheme}://{authority}{tail}"
    return _QUERY.sub(_mask_query, url)


def _in_base64(secret: str) -> Iterable[str]:
    """The characters of a base64 text that the secret alone decides, at each of its three alignments."""
    raw = secret.encode("utf-8", "surrogatepass")
    for offset in range(3):
        first, last = -(-offset * 8 // 6), (offset + len(raw)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * offset + raw).decode("ascii")[first:last]


def _forms(secret: str) -> Iterable[str]:
    for line in {secret, secret.strip(), *(x.strip() for x in secret.splitlines())}:
        if len(line) < SHORTEST_SECRET:
            continue
        escaped = [quote(line, safe=safe, errors="replace") for safe in ("", "/")]
        escaped.append(quote_plus(line, errors="replace"))
        yield from (line, json.dumps(line)[1:-1], json.dumps(line, ensure_ascii=False)[1:-1])
        yield from escaped
        yield from (re.sub(r"%[0-9A-F]{2}", lambda m: m.group().lower(), x) for x in escaped)
        yield from _in_base64(line)


def scrub(text: str, secrets: Iterable[str]) -> str:
    """The text without any of the secrets, nor their URL-encoded, JSON-escaped or base64 forms, nor any line
    of a secret of several lines. Those shorter than 4 characters are ignored: they would eat the text."""
    forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST_SECRET}
    if not forms:
        return text
    pattern = re.compile("|".join(re.escape(x) for x in sorted(forms, key=lambda x: (-len(x), x))))
    done = None
    while done != text:  # a mask can complete another secret; every round shortens the text
        done, text = text, pattern.sub(MASK, text)
    return text


# ---------------------------------------------------------------- dialects

# GitHub reads `::command` at a line's start after any white space and `##[command]` anywhere; Azure `##vso[`,
# TeamCity `##teamcity[`. Colours may stand before, when the line is ours.
_LEADING_COMMAND = re.compile(r"^((?:\s|\x1b\[[0-9;]*m)*):(?=:)")
_HASH_COMMAND = re.compile(r"#(?=#[A-Za-z]*\[)")
_BREAK = "\u200b"


def defuse(line: str) -> str:
    """A finished line of a log (ours, maybe coloured) in which no CI system finds a command."""
    return _LEADING_COMMAND.sub(rf"\1:{_BREAK}", _HASH_COMMAND.sub(f"#{_BREAK}", line))


def for_console(text: str) -> str:
    return defuse(clean_line(text))


def for_workflow_command(text: str, *, is_property: bool = False) -> str:
    """Data or property value of a GitHub workflow command, as @actions/core escapes them. Keeps line ends."""
    text = _HASH_COMMAND.sub(f"#{_BREAK}", clean_text(text)).replace("%", "%25").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if is_property else text


# Character references are never structure in CommonMark; backslashes are read twice in a table of GFM. Left
# as they are, so that names stay short and readable: `_` inside a word, and a dot without `www` before it.
_MARKDOWN = re.compile(
    r"((?<=[A-Za-z0-9])_+(?=[A-Za-z0-9])|(?<![wW])\.(?=[A-Za-z0-9]))|^-|[!\"#$&'()*+.:<=>@\[\\\]^_`{|}~]"
)
_MENTION = re.compile(r"([@#])(?=\w)")


def _reference(found: re.Match[str]) -> str:
    return found.group(1) or f"&#{ord(found.group())};"


def _references(text: str) -> str:
    return _MARKDOWN.sub(_reference, text)


def for_markdown(text: str) -> str:
    """Prose in GFM, a table's cell included: no markup, no link, no mention, no reference to an issue."""
    return _references(_MENTION.sub(rf"\1{_BREAK}", clean_line(text)))


def markdown_code(text: str) -> str:
    """A name or a message in GFM, as code: copies as it is, and GitHub looks for no mention in it."""
    text = clean_line(text)
    return f"<code>{_references(text)}</code>" if text else ""


def for_html(text: str) -> str:
    """Text or a quoted attribute's value in HTML, line ends kept."""
    return escape(clean_text(text), quote=True)


def for_xml(text: str) -> str:
    """Text or a quoted attribute's value in XML 1.0, line ends kept."""
    return escape(clean_text(text), quote=True)
