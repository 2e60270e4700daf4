"""The allowlist as a file: read whole, every bad entry told at once. Must not judge what it allows."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from qalita_action.errors import SettingsError
from qalita_action.model import Allowance

if TYPE_CHECKING:
    from pathlib import Path

PLACE = ".qalita/allow-failures.yml"
KEYS = ("check", "selector", "reason", "owner", "expires")
MAX_BYTES = 5_000_000
EXAMPLE = "entries such as `- {check: test.shop.unique_orders_id.ab12, expires: 2026-03-31, reason: ...}`"


def read(workspace: Path, named: str | None) -> tuple[Allowance, ...]:
    """The file that --allow-failures names, else the usual one where it is there.

    Errors: allowances-unreadable.
    """
    path = workspace / (named or PLACE)
    if not named and not path.is_file():
        return ()
    return parsed(text_of(path), str(named or PLACE))


def text_of(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _unreadable(str(path), [f"it has more than {MAX_BYTES:,} bytes"])
        return path.read_bytes().decode("utf-8-sig")
    except OSError as e:
        raise _unreadable(str(path), [e.strerror or type(e).__name__]) from None
    except UnicodeDecodeError:
        raise _unreadable(str(path), ["it is not UTF-8"]) from None


def parsed(text: str, where: str) -> tuple[Allowance, ...]:
    import yaml

    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as e:
        raise _unreadable(where, [" ".join(str(e).split())[:200]]) from None
    if content is None:
        return ()
    if not isinstance(content, list):
        raise _unreadable(where, [f"it holds a {type(content).__name__}, and a list is expected"])
    problems: list[str] = []
    found: list[Allowance] = []
    for n, entry in enumerate(content, 1):
        why = _wrong(entry)
        if why:
            problems.append(f"entry {n}: {why}")
        else:
            texts = {k: str(entry[k]).strip() for k in KEYS if entry.get(k) is not None}
            found.append(Allowance(**texts))
    if problems:
        raise _unreadable(where, problems[:20])
    return tuple(found)


def _wrong(entry: Any) -> str:
    """What is wrong with an entry; an empty text where nothing is."""
    if not isinstance(entry, dict):
        return "it is no mapping"
    odd = sorted(str(k) for k in entry if k not in KEYS)
    if odd:
        return f"{', '.join(odd)[:80]}: no key of an entry ({', '.join(KEYS)})"
    if any(isinstance(v, (dict, list)) for v in entry.values()):
        return "its values are texts"
    if bool(entry.get("check")) == bool(entry.get("selector")):
        return "it names a check, or a selector: one of the two"
    expires = entry.get("expires")
    if expires is None:
        return "it says nothing of when it expires: nothing is allowed for ever"
    try:
        date.fromisoformat(str(expires).strip())
    except ValueError:
        return f"expires is no day such as 2026-03-31: {str(expires)[:40]!r}"
    return ""


def _unreadable(where: str, problems: list[str]) -> SettingsError:
    return SettingsError(
        "allowances-unreadable",
        f"the allowlist {where} cannot be read",
        expected=EXAMPLE,
        looked=problems,
        todo=["mend the file; `qalita-ingest accept` writes one", "check --allow-failures"],
    )
