"""The few questions that only git itself answers, asked of a git on PATH; no git, no answer. Must not fetch,
prompt, write to the repository, or let a variable of ours reach the child."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from qalita_action.model import Value

TIMEOUT_S = 20.0


class GitProgram(Value, frozen=True, kw_only=True):
    path: str
    search_path: str


def on_path(env: Mapping[str, str]) -> GitProgram | None:
    """The git that PATH of the given environment names. One of a relative folder is not taken: it would be a
    file of the workspace, which a pull request can change."""
    search_path = env.get("PATH", "")
    try:
        path = shutil.which("git", path=search_path) if search_path else None
    except (OSError, ValueError):
        return None
    return GitProgram(path=path, search_path=search_path) if path and Path(path).is_absolute() else None


def ask(program: GitProgram, root: str, *arguments: str) -> str | None:
    """What git prints, or None where it fails, hangs or prints what is no text. Its stderr is thrown away: it
    repeats addresses with their credentials."""
    try:
        done = subprocess.run(  # noqa: S603 -- a list, no shell, and the arguments are ours
            [program.path, "-C", root, *arguments],
            env=_environment(program.search_path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=False,
        )
        return done.stdout.decode() if done.returncode == 0 else None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _environment(search_path: str) -> dict[str, str]:
    """Built from nothing. The checkout belongs to another user than ours in most containers: safe.directory
    for this one call, since HOME is a folder that later steps of the job share. Nothing that the repository's
    own configuration names is run for a status."""
    settings = {
        "safe.directory": "*",
        "core.fsmonitor": "false",
        "core.hooksPath": os.devnull,
        "core.untrackedCache": "false",
    }
    config = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        config |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return {
        "PATH": search_path,
        "LC_ALL": "C",
        "HOME": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_ALLOW_PROTOCOL": "",
        **config,
    }
