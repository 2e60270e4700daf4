"""Causes as people read them: one row per thing that broke, with what followed from it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qalita_action.mapping import identity
from qalita_action.model import Cause

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from qalita_action.mapping.score import Pairs
    from qalita_action.model import Check, Dataset, Level, Result, Status

LEVELS: dict[Status, Level] = {
    "failed": "high",
    "errored": "high",
    "unknown": "high",
    "warned": "warning",
}
_RANK: dict[Level, int] = {"high": 0, "warning": 1, "info": 2}
UNEXPLAINED = "skipped without a cause"


def build(
    project: str,
    environment: str,
    datasets: tuple[Dataset, ...],
    pairs: Pairs,
    caused: Mapping[str, tuple[str, ...]],
    reached: Mapping[str, tuple[str, ...]],
) -> tuple[Cause, ...]:
    """Worst first: level, then how much followed, then how many rows, then the name.

    caused: what was skipped -> why; reached: dataset -> names of the exposures below it.
    """
    followed: dict[str, list[str]] = {}
    for key, causes in caused.items():
        for cause in causes:
            followed.setdefault(cause, []).append(key)
    by_key = {d.key: d for d in datasets}

    def key_of(subject: str) -> str:
        return identity.cause_key(project, environment, subject)

    rows: list[tuple[float, Cause]] = []
    for dataset in datasets:
        if dataset.run and dataset.run.status in ("errored", "partial"):
            below = reached.get(dataset.key, ())
            rows.append((0, _of_dataset(dataset, key_of(dataset.key), followed.get(dataset.key, ()), below)))
    for check, result in pairs:
        level = LEVELS.get(result.status)
        if level:
            row = _of_check(
                check,
                result,
                level,
                key_of(f"freshness {check.key}" if check.kind == "freshness" else check.key),
                by_key.get(check.dataset or ""),
                followed.get(check.key, ()) if check.kind != "freshness" else (),
                reached.get(check.dataset or "", ()),
            )
            rows.append((float(result.failures or 0), row))
    lost = sorted(k for k, causes in caused.items() if not causes)
    if lost:
        rows.append((0, _unexplained(lost, pairs, key_of(UNEXPLAINED))))
    rows.sort(key=lambda r: (_RANK[r[1].level], -len(r[1].consequences), -r[0], r[1].title, r[1].key))
    return tuple(row for _, row in rows)


def _of_dataset(dataset: Dataset, key: str, consequences: Iterable[str], reached: tuple[str, ...]) -> Cause:
    assert dataset.run is not None
    followed = tuple(sorted(set(consequences)))
    what = "was built in part" if dataset.run.status == "partial" else "could not be built"
    return Cause(
        key=key,
        level="high",
        title=f"{dataset.kind} {dataset.name} {what}",
        body=_sentences(
            dataset.run.message,
            f"Declared in {dataset.path}" if dataset.path else None,
            _because(followed),
            _reaches(reached),
        ),
        dataset=dataset.key,
        checks=(),
        consequences=followed,
        owner=dataset.owner,
    )


def _of_check(
    check: Check,
    result: Result,
    level: Level,
    key: str,
    dataset: Dataset | None,
    consequences: Iterable[str],
    reached: tuple[str, ...],
) -> Cause:
    followed = tuple(sorted(set(consequences)))
    word = "vanished" if result.reason == "vanished" else result.status
    title = f"{check.name} {'has an unknown status' if word == 'unknown' else word}"
    if result.failures is not None and result.status in ("failed", "warned"):
        title += f": {result.failures:,} {'row' if result.failures == 1 else 'rows'}"
    about = f"{check.type} on {dataset.name}" if dataset else check.type
    if check.column:
        about += f".{check.column}"
    return Cause(
        key=key,
        level=level,
        title=title,
        body=_sentences(
            about,
            _threshold(check, result),
            "Its row is missing from sources.json: dbt leaves out sources whose query failed"
            if word == "vanished"
            else result.message,
            f"Declared in {check.path}" if check.path else None,
            _because(followed),
            _reaches(reached),
        ),
        dataset=check.dataset,
        checks=(check.key,),
        consequences=followed,
        owner=check.owner,
    )


def _unexplained(keys: list[str], pairs: Pairs, key: str) -> Cause:
    known = {c.key for c, _ in pairs}
    return Cause(
        key=key,
        level="high",
        title=f"{len(keys)} {'node was' if len(keys) == 1 else 'nodes were'} skipped, and nothing says why",
        body="No broken ancestor and no failed test explains it: look at dbt's log.",
        dataset=None,
        checks=tuple(k for k in keys if k in known),
        consequences=tuple(k for k in keys if k not in known),
        owner=None,
    )


def _threshold(check: Check, result: Result) -> str | None:
    if check.kind != "freshness" or result.status not in ("failed", "warned"):
        return None
    limit = check.error_if if result.status == "failed" else check.warn_if
    return f"The data is {limit}" if limit else None


def _because(consequences: tuple[str, ...]) -> str | None:
    count = len(consequences)
    return f"Skipped because of it: {count} {'node' if count == 1 else 'nodes'}" if count else None


def _reaches(exposures: tuple[str, ...]) -> str | None:
    if not exposures:
        return None
    shown = ", ".join(exposures[:5]) + (f" and {len(exposures) - 5} more" if len(exposures) > 5 else "")
    return f"Reaches {'exposure' if len(exposures) == 1 else 'exposures'} {shown}"


def _sentences(*parts: str | None) -> str:
    """Parts of which each is a sentence; dbt's own messages bring their full stop or not."""
    return " ".join(f"{p.rstrip(' .')}." for p in parts if p)
