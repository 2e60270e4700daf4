"""A run against its base: each bad check is new, known, fixed or untested, and a worsening is told apart by
what changed, the data or the code. Pure.

`known` needs proof: a failure of today is known where the base failed too. An error, a skip or a missing row
in the base shows nothing about the data, so that an outage of the base lets no failure through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qalita_action.mapping.pairing import pairs
from qalita_action.model import Comparison, Difference, Removed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qalita_action.model import (
        Check,
        Dataset,
        Definition,
        Ingest,
        Novelty,
        Past,
        PastCheck,
        PastDataset,
        Result,
        RunStatus,
        Status,
    )

GOOD: frozenset[Status] = frozenset({"passed", "reused", "not_run"})
# Status of today -> what the base must have been for it to be known.
SHOWN_BY: dict[Status, frozenset[Status]] = {
    "warned": frozenset({"warned", "failed"}),
    "failed": frozenset({"failed"}),
    "errored": frozenset({"errored", "failed", "unknown"}),
    "unknown": frozenset({"errored", "failed", "unknown"}),
    "skipped": frozenset({"errored", "failed", "unknown", "skipped"}),
}
# How bad; equal ones are told apart by their failures.
_RANK: dict[Status, int] = {"warned": 1, "skipped": 2, "failed": 3, "errored": 4, "unknown": 4}
_BROKEN: dict[RunStatus, int] = {"partial": 1, "errored": 2}
_BEFORE: dict[RunStatus, Status] = {
    "passed": "passed",
    "errored": "errored",
    "partial": "failed",
    "skipped": "skipped",
    "not_run": "not_run",
}


def compare(before: Past, after: Ingest) -> Comparison:
    matched = pairs(after.checks, before.checks)
    changed = _changed(before, after)
    differences: dict[str, Difference] = {}
    known = {d.key: d for d in before.datasets}
    for dataset in after.datasets:
        difference = _of_dataset(dataset, known.get(dataset.key), before, changed=dataset.key in changed)
        if difference:
            differences[dataset.key] = difference
    for check, result in zip(after.checks, after.results, strict=True):
        match = matched.get(check.key)
        difference = _of_check(check, result, match, changed=check.dataset in changed)
        if difference:  # a source's freshness has the key of its dataset, and is what people see
            differences[check.key] = difference
    kept = {match.key for match in matched.values()}
    removed = (
        Removed(key=c.key, name=c.name, status_before=c.status) for c in before.checks if c.key not in kept
    )
    return Comparison(
        state="compared",
        base=before.base,
        differences=differences,
        removed=tuple(sorted(removed, key=lambda r: (-_RANK.get(r.status_before, 0), r.name, r.key))),
    )


def is_red(difference: Difference | None, status: Status) -> bool:
    """Does today's status block under `new`? What the base does not show, and what this code made worse."""
    if difference is None or difference.novelty == "new":
        return status not in GOOD
    by_code = difference.definition == "changed" or difference.is_model_changed
    return status not in GOOD and difference.is_worse and by_code


def _of_check(check: Check, result: Result, match: PastCheck | None, *, changed: bool) -> Difference | None:
    before: Status | None = match.status if match else None
    novelty = _novelty(result.status, before)
    if novelty is None:
        return None
    return Difference(
        key=check.key,
        novelty=novelty,
        definition=_definition(check, match),
        status_before=before,
        failures_before=match.failures if match else None,
        is_worse=novelty == "known" and match is not None and _is_worse(result, match),
        is_model_changed=changed,
        since=match.since if match and novelty in ("known", "untested") else None,
    )


def _novelty(status: Status, before: Status | None) -> Novelty | None:
    was_good = before is None or before in GOOD
    if status not in GOOD:
        return "known" if before in SHOWN_BY[status] else "new"
    if was_good:
        return None
    return "fixed" if status == "passed" else "untested"


def _definition(check: Check, match: PastCheck | None) -> Definition:
    if match is None:
        return "added"
    told = match.definition_checksum
    is_same = check.definition_checksum == told if told is not None else check.alias == match.alias
    if not is_same:
        return "changed"
    return "same" if check.key == match.key else "renamed"


def _is_worse(result: Result, match: PastCheck) -> bool:
    rank = _RANK[result.status] - _RANK[match.status]
    # Rows of a skipped, an errored or an unknown check are no count.
    counted = result.status in ("failed", "warned") and match.status == result.status
    more = counted and (result.failures or 0) > (match.failures or 0)
    return rank > 0 or more


def _of_dataset(
    dataset: Dataset, match: PastDataset | None, before: Past, *, changed: bool
) -> Difference | None:
    status = dataset.run.status if dataset.run else None
    was = match.status if match else None
    novelty: Novelty
    if status in _BROKEN:
        novelty = "known" if was in _BROKEN else "new"
    elif was in _BROKEN:
        novelty = "fixed" if status == "passed" else "untested"
    else:
        return None
    return Difference(
        key=dataset.key,
        novelty=novelty,
        definition="added" if match is None else "same" if match.checksum == dataset.checksum else "changed",
        status_before=_BEFORE[was] if was else None,
        is_worse=novelty == "known" and _BROKEN.get(status or "passed", 0) > _BROKEN.get(was or "passed", 0),
        is_model_changed=changed,
        since=before.base.completed_at if novelty in ("known", "untested") else None,
    )


def _changed(before: Past, after: Ingest) -> frozenset[str]:
    """Datasets that are not what they were, and all that is built from them. Empty where the base tells of no
    dataset."""
    if not before.has_datasets:
        return frozenset()
    old: Mapping[str, str | None] = {d.key: d.checksum for d in before.datasets}
    children: dict[str, list[str]] = {}
    for dataset in after.datasets:
        for parent in dataset.depends_on:
            children.setdefault(parent, []).append(dataset.key)
    found = {d.key for d in after.datasets if d.key not in old or old[d.key] != d.checksum}
    stack = list(found)
    while stack:
        fresh = [c for c in children.get(stack.pop(), ()) if c not in found]
        found.update(fresh)
        stack += fresh
    return frozenset(found)
