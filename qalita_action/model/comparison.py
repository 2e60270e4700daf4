"""A run against its base: what is new, known, fixed, worse, renamed, gone. Values only: mapping compares."""

from __future__ import annotations

from typing import Literal

import msgspec

from qalita_action.model.document import CheckKind, RunStatus, Status, Value

BaseOrigin = Literal["file", "platform", "state", "workspace"]
# new: bad now, and the base does not show as much (it was good, only warned, errored, not run, or not there);
# known: the base shows as much; fixed: bad in the base, passed now; untested: bad in the base, and nothing
# was found out about it now.
Novelty = Literal["new", "known", "fixed", "untested"]
# changed: the same test with another definition; renamed: the same definition under another key.
Definition = Literal["same", "changed", "renamed", "added"]
# compared: there is a base; none: there never was one; unreadable: there is one, and it cannot be read.
ComparisonState = Literal["compared", "none", "unreadable"]


class Base(Value, frozen=True, kw_only=True):
    """What a run is compared with. where: a path or an address without secrets, for people. score: 0 to 1."""

    origin: BaseOrigin
    where: str
    run_key: str | None = None
    branch: str | None = None
    sha: str | None = None
    completed_at: str | None = None
    score: float | None = None


class PastCheck(Value, frozen=True, kw_only=True):
    """A check of a base with its result. definition_checksum: None where the base does not tell. since: when
    it was first seen bad."""

    key: str
    alias: str
    name: str
    kind: CheckKind
    type: str
    namespace: str | None
    dataset: str | None
    column: str | None
    definition_checksum: str | None
    status: Status
    failures: int | float | None = None
    since: str | None = None


class PastDataset(Value, frozen=True, kw_only=True):
    key: str
    checksum: str | None
    status: RunStatus | None


class Past(Value, frozen=True, kw_only=True):
    """As much of an earlier run as a later one is compared with. has_datasets: False where the base tells of
    none, so that their absence means nothing."""

    base: Base
    checks: tuple[PastCheck, ...]
    datasets: tuple[PastDataset, ...] = ()
    has_datasets: bool = True


class Difference(Value, frozen=True, kw_only=True):
    """One check, or one broken dataset, against the base.

    key               of this run's check or dataset
    is_worse          bad in both, and more failures or a worse status now; where `definition` is "same" and
                      the model did not change, the data got worse, else the test or the model changed
    is_model_changed  the dataset, or one that it is built from, is not what it was in the base
    since             when it was first seen bad, RFC 3339 UTC, where the base tells
    """

    key: str
    novelty: Novelty
    definition: Definition
    status_before: Status | None = None
    failures_before: int | float | None = None
    is_worse: bool = False
    is_model_changed: bool = False
    since: str | None = None


class Removed(Value, frozen=True, kw_only=True):
    """A check of the base that this run's manifest has no more."""

    key: str
    name: str
    status_before: Status


class Comparison(Value, frozen=True, kw_only=True):
    """differences: by key, of whatever is bad now or was bad in the base; a check that is good in both has
    none. reason: why there is no base, or why it cannot be read."""

    state: ComparisonState
    reason: str | None = None
    base: Base | None = None
    differences: dict[str, Difference] = msgspec.field(default_factory=dict)
    removed: tuple[Removed, ...] = ()
