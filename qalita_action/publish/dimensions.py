"""Each dimension's score under a pack of its own. A platform gives a pack one type, and its `score` counts
for that dimension alone; so several dimensions take several packs, each with a job of its own. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from qalita_action.publish.packs import DEFAULT_PACK
from qalita_action.publish.results_scopes import Json, Scopes, fraction, scores_sent

if TYPE_CHECKING:
    from qalita_action.model import Ingest, Target


class Dimension(msgspec.Struct, frozen=True, kw_only=True):
    """What one pack gets: a score at the source, and the source as the tree's root."""

    name: str
    pack: str
    metrics: list[Json]
    schemas: list[Json]


def dimensions(target: Target, ingest: Ingest) -> tuple[Dimension, ...]:
    """Those that have a score that may leave; none unless --pack-per-dimension."""
    if not target.pack_per_dimension or not scores_sent(ingest).of_source:
        return ()
    scope = Scopes(ingest).source
    return tuple(
        Dimension(
            name=name,
            pack=pack_of(target.pack, name),
            metrics=[{"key": "score", "value": fraction(score), "scope": scope}],
            schemas=[{"key": "dataset", "value": scope["value"], "scope": scope}],
        )
        for name, score in sorted(ingest.scores.by_dimension.items())
        if score is not None
    )


def setup_flags(target: Target) -> str:
    """How setup makes these packs."""
    return "--per-dimension" if target.pack == DEFAULT_PACK else f"--per-dimension --pack {target.pack}"


def pack_of(pack: str, dimension: str) -> str:
    return f"{pack}_{dimension}"
