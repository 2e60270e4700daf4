"""What a plain `docker run` must be given to know where it runs: names of variables, never a value, and the
files that some of them name. Must not decide what is read: it watches `detect` read it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from qalita_action.ci.choose import choose
from qalita_action.ci.detect import detect
from qalita_action.ci.fields import Scope
from qalita_action.ci.providers import PROVIDERS
from qalita_action.ci.row import Provider

# Of the container itself, not of the CI.
OF_THE_MACHINE = frozenset({"PATH", "HOME"})


class Watched(Mapping[str, str]):
    """An environment that remembers which of its variables were read."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> str:
        value = self._env[name]
        self.read.add(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._env)

    def __len__(self) -> int:
        return len(self._env)


def docker_args(
    env: Mapping[str, str],
    workspace: Path,
    ours: Iterable[str] = (),
    table: tuple[Provider, ...] = PROVIDERS,
) -> str:
    """One line for `docker run $(...)`: `-e NAME` for every set variable that tells something here, sorted,
    then `-v` of the files that the provider names, at their own paths, so that the variables stay true.

    ours  further names to hand on where they are set
    """
    watched = Watched(env)
    detect(watched, workspace, table=table)
    row, _ = choose(Scope(env=env), table, [])
    files = [(name, mode) for name, mode in row.files if _is_mountable(env.get(name, ""))]
    read = {name for name in watched.read if env[name].strip()}
    unreachable = {name for name, _ in row.files} - {name for name, _ in files}
    names = ((read | {name for name, _ in files}) - OF_THE_MACHINE - unreachable) | {
        name for name in ours if env.get(name, "").strip()
    }
    return " ".join(
        [
            *(f"-e {name}" for name in sorted(names)),
            *(f"-v {env[name]}:{env[name]}:{mode}" for name, mode in files),
        ]
    )


def _is_mountable(path: str) -> bool:
    """Docker would make a folder of a file that is not there, and reads a colon as its own; a shell would
    split a blank."""
    try:
        is_plain = ":" not in path and shlex.quote(path) == path
        return is_plain and Path(path).is_absolute() and Path(path).is_file()
    except (OSError, ValueError):
        return False
