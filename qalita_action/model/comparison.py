"""A run against its base: what is new, known, fixed, worse, renamed, gone. Values only: mapping compares."""

from __future__ import annotations

from typing import Literal

import msgspec

from qalita_action.model.document import Status, Value

BaseOrigin = Literal["file", "platform", "state", "workspace"]
# new: good or not there in the base, bad now; known: bad in both; fixed: bad in the base, good now.
Novelty = Literal["new", "known", "fixed"]
# changed: the same test with another definition; renamed: the same definition under another key.
Definition = Literal["same", "changed", "renamed", "added"]
# compared: there is a base; none: there never was one; unreadable: there is one, and it cannot be read.
ComparisonState = Literal["compared", "none", "unreadable"]


class Base(Value, frozen=True, kw_only=True):
    """What a run is compared with. where: a path or an address without secrets, for people."""

    origin: BaseOrigin
    where: str
    run_key: str | None = None
    branch: str | None = None
    sha: str | None = None
    completed_at: str | None = None


class Difference(Value, frozen=True, kw_only=True):
    """One check, or one broken dataset, against the base.

    key             of this run's check or dataset
    is_worse        bad in both, and more failures or a worse status now; where `definition` is "same" the
                    data got worse, else the test or the model changed
    since           when it was first seen bad, RFC 3339 UTC, where the base tells
    """

    key: str
    novelty: Novelty
    definition: Definition
    status_before: Status | None = None
    failures_before: int | float | None = None
    is_worse: bool = False
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
