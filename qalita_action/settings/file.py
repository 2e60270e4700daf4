"""qalita.yml: found, read, and held to the settings that a committed file may hold."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from qalita_action.errors import SettingsError
from qalita_action.knobs import ADDRESSES, NOT_FROM_FILE, ONE_RUN
from qalita_action.settings.fields import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CONFIG_FILE = "qalita.yml"


def read_file(flags: Mapping[str, Any], env: Mapping[str, str], workspace: Path) -> dict[str, Any]:
    """qalita.yml: the one that --config names, else the project's, else the workspace's; {} where none is.

    Errors: config-missing, config-unreadable.
    """
    named = flags.get("config") or env.get("INPUT_CONFIG") or env.get("QALITA_CONFIG")
    said = flags.get("path") or env.get("INPUT_PATH") or env.get("QALITA_PATH") or "."
    project = "." if "://" in said else said
    places = [workspace / named] if named else [workspace / project / CONFIG_FILE, workspace / CONFIG_FILE]
    path = next((p for p in places if p.is_file()), None)
    if path is None:
        if named:
            raise SettingsError(
                "config-missing",
                f"the settings file {named} does not exist",
                expected="a YAML file",
                looked=[str(places[0])],
                todo=["check --config"],
            )
        return {}
    import yaml

    try:
        content = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, OSError, ValueError, RecursionError) as e:
        raise _unreadable(path, " ".join(str(e).split())[:200]) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise _unreadable(path, f"it holds a {type(content).__name__}")
    return content


def _unreadable(path: Path, why: str) -> SettingsError:
    return SettingsError(
        "config-unreadable",
        f"{path} is not a YAML mapping of settings",
        expected="lines such as `fail-on: warn`",
        looked=[why],
        todo=["mend the file; docs/reference.md lists what it may hold"],
    )


def _holds_address(value: Any) -> bool:
    return any(isinstance(v, str) and "://" in v for v in (value if isinstance(value, list) else [value]))


def _address(key: Any) -> SettingsError:
    return SettingsError(
        "setting-not-in-file",
        f"qalita.yml sets {key!r} to an address, which never comes from a file in the repository",
        expected="a path of the checkout; an address as a flag, an input or an environment variable",
        todo=["a pull request could make the job fetch from anywhere with its credentials: set it in the CI"],
    )


def check_file(file: Mapping[str, Any]) -> list[SettingsError]:
    known = {n.replace("_", "-") for n in Settings.model_fields} - {
        n.replace("_", "-") for n in NOT_FROM_FILE | ONE_RUN
    }
    errors: list[SettingsError] = []
    for key in file:
        kebab = str(key).replace("_", "-")
        if kebab in known:
            if kebab in ADDRESSES and _holds_address(file[key]):
                errors.append(_address(key))
            continue
        if kebab.replace("-", "_") in Settings.model_fields:
            errors.append(
                SettingsError(
                    "setting-not-in-file",
                    f"qalita.yml sets {key!r}, which never comes from a file in the repository",
                    expected="a flag, an input or an environment variable",
                    todo=[
                        "a pull request could change the file and send the token elsewhere: set it in the CI"
                    ],
                )
            )
            continue
        near = difflib.get_close_matches(kebab, known, n=1)
        errors.append(
            SettingsError(
                "setting-unknown",
                f"qalita.yml sets {key!r}, which is no setting",
                expected=f"one of {', '.join(sorted(known))}",
                todo=[f"did you mean {near[0]!r}?"] if near else ["remove it"],
            )
        )
    return errors
