"""Which checks `--require-run` speaks of, in dbt's own words. Pure.

`tag:NAME` (on the test or on what it tests), `path:FOLDER` (of the file that declares it),
`source:NAME.TABLE`, or the name of a test, a model, seed, snapshot or source; `*` and `?` match as in a
shell. Source: https://docs.getdbt.com/reference/node-selection/methods
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from qalita_action.model import Check, Dataset


def selected(selector: str, checks: Iterable[Check], datasets: Mapping[str, Dataset]) -> list[Check]:
    method, colon, rest = selector.strip().partition(":")
    pattern = rest.strip() if colon else method
    return [c for c in checks if _matches(method if colon else "", pattern, c, datasets.get(c.dataset or ""))]


def _matches(method: str, pattern: str, check: Check, dataset: Dataset | None) -> bool:
    match method:
        case "tag":
            tags = (*check.tags, *(dataset.tags if dataset else ()))
            return any(fnmatchcase(tag, pattern) for tag in tags)
        case "path":
            paths = [p for p in (check.path, dataset.path if dataset else None) if p]
            folder = pattern.rstrip("/")
            return any(p == folder or p.startswith(f"{folder}/") or fnmatchcase(p, pattern) for p in paths)
        case "source":
            wanted = pattern if "." in pattern else f"{pattern}.*"
            is_source = dataset is not None and dataset.kind == "source"
            return is_source and fnmatchcase(".".join((check.dataset or "").split(".")[-2:]), wanted)
        case _:
            names = [check.name, check.key, *((dataset.name, dataset.key) if dataset else ())]
            return any(fnmatchcase(name, pattern) for name in names)
