"""What broke, and what was skipped because of it. Pure and linear.

dbt build skips a node when something upstream broke, or when a test on upstream failed: it draws an edge
from a test to every model whose ancestors include all that it reads (dbt-core, Linker.add_test_edges), and
from a unit test to its own model. Tests are leaves that `depends_on` never names, so the edges are drawn
anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qalita_action.model import Check, Dataset, Result

Graph = Mapping[str, Sequence[str]]
# Nearest first; a node below dozens of failures names these many. Keeps the document linear.
MAX_CAUSES = 20
FAIL_FAST_MESSAGE = "Skipping due to fail_fast"


def caused_by(
    datasets: Iterable[Dataset],
    pairs: Iterable[tuple[Check, Result]],
    parents: Mapping[str, tuple[str, ...]],
    graph: Graph,
) -> dict[str, tuple[str, ...]]:
    """Key of each skipped check or dataset -> keys of its causes, nearest first; empty where none is known.

    parents: what each red or skipped check reads, all of it. graph: the parents of everything else, metrics
    included.
    """
    nodes = {d.key: d for d in datasets}
    red: list[Check] = []
    skipped_checks: list[tuple[Check, Result]] = []
    for check, result in pairs:
        if result.status == "skipped":
            skipped_checks.append((check, result))
        elif result.status in ("failed", "errored") and check.kind != "freshness":
            red.append(check)
    skipped_nodes = [k for k, d in nodes.items() if d.run and d.run.status == "skipped"]
    if not skipped_checks and not skipped_nodes:
        return {}
    broken = {k for k, d in nodes.items() if d.run and d.run.status in ("errored", "partial")}
    found = _propagate(graph, nodes, broken, _blockers(graph, red, parents))

    first_red = tuple(sorted(broken) + [c.key for c in red])[:MAX_CAUSES]
    out: dict[str, tuple[str, ...]] = {}
    for key in skipped_nodes:
        run = nodes[key].run
        by_fail_fast = run is not None and run.message == FAIL_FAST_MESSAGE
        out[key] = first_red if by_fail_fast else found.get(key, ())
    for check, result in skipped_checks:
        if result.reason == "fail_fast":
            out[check.key] = first_red
            continue
        read = parents.get(check.key, ())
        # A unit test runs before its own model: what broke is above the model, never the model.
        here = [] if check.kind == "unit_test" else [p for p in read if p in broken]
        out[check.key] = _merged([here, *(found.get(p, ()) for p in read)], without=check.key)
    return out


def exposures_reached(graph: Graph, datasets: Iterable[Dataset]) -> dict[str, tuple[str, ...]]:
    """Dataset key -> names of the exposures that read it, directly or not."""
    found: dict[str, list[str]] = {}
    for exposure in datasets:
        if exposure.kind != "exposure":
            continue
        seen = {exposure.key}
        stack = [exposure.key]
        while stack:
            fresh = [p for p in graph.get(stack.pop(), ()) if p not in seen]
            seen.update(fresh)
            stack += fresh
        for key in seen:
            found.setdefault(key, []).append(exposure.name)
    return {key: tuple(names) for key, names in found.items()}


def _blockers(
    graph: Graph, red: Iterable[Check], parents: Mapping[str, tuple[str, ...]]
) -> dict[str, list[str]]:
    """Dataset key -> failed tests that dbt's edges put directly before it."""
    children: dict[str, list[str]] = {}
    for key, read in graph.items():
        for parent in read:
            children.setdefault(parent, []).append(key)
    below: dict[str, frozenset[str]] = {}

    def descendants(start: str) -> frozenset[str]:
        if start not in below:
            seen: set[str] = set()
            stack = [start]
            while stack:
                fresh = [c for c in children.get(stack.pop(), ()) if c not in seen]
                seen.update(fresh)
                stack += fresh
            below[start] = frozenset(seen)
        return below[start]

    blockers: dict[str, list[str]] = {}
    for check in red:
        tested = parents.get(check.key, ())
        if check.kind == "unit_test":
            blocked: Iterable[str] = tested
        elif len(tested) == 1:
            blocked = children.get(tested[0], ())
        else:
            blocked = frozenset.intersection(*(descendants(p) for p in tested)) if tested else ()
        for key in sorted(blocked):
            blockers.setdefault(key, []).append(check.key)
    return blockers


def _propagate(
    graph: Graph, nodes: Mapping[str, Dataset], broken: set[str], blockers: Mapping[str, list[str]]
) -> dict[str, tuple[str, ...]]:
    """Causes run down through what was skipped, and through what was not selected; they stop at what ran."""
    found: dict[str, tuple[str, ...]] = {}
    for key in _parents_first(graph):
        dataset = nodes.get(key)
        if dataset and dataset.run and dataset.run.status != "skipped":
            continue
        near = [[p for p in graph[key] if p in broken], blockers.get(key, [])]
        far = [found[p] for p in graph[key] if p in found]
        causes = _merged([*near, *far], without=key)
        if causes:
            found[key] = causes
    return found


def _parents_first(graph: Graph) -> list[str]:
    """Topological order without recursion; a cycle (no dbt writes one) is cut where it is met."""
    order: list[str] = []
    done: set[str] = set()
    for start in sorted(graph):
        stack: list[tuple[str, bool]] = [(start, False)]
        while stack:
            key, ready = stack.pop()
            if ready:
                order.append(key)
            elif key not in done and key in graph:
                done.add(key)
                stack.append((key, True))
                stack += [(p, False) for p in graph[key] if p not in done]
    return order


def _merged(groups: Iterable[Sequence[str]], *, without: str) -> tuple[str, ...]:
    seen: dict[str, None] = {}
    for group in groups:
        for key in group:
            if key != without:
                seen[key] = None
            if len(seen) >= MAX_CAUSES:
                return tuple(seen)
    return tuple(seen)
