"""One run of dbt as several documents: `meta: {qalita: {source: NAME}}` on a model, a folder or a group sends
that dataset and its checks to a source of its own, so that one dbt project need not be one score. Pure.

Nothing is lost and nothing doubled: each dataset and each check stands in exactly one document, and what did
not say a source stays in the main one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from qalita_action.mapping import identity, score
from qalita_action.mapping.cause_rows import UNEXPLAINED
from qalita_action.mapping.owners import is_silent, meta_of
from qalita_action.model import Cause, RunWarning, Source
from qalita_action.redact import clean_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from qalita_action.dbt.shapes import Manifest, Node
    from qalita_action.mapping.score import Pairs
    from qalita_action.model import Extent, Ingest, Policy, Reason

META = "qalita"
MAX_NAME = 200
# Reasons that speak of the run and not of one of its rows.
OF_THE_RUN = frozenset({"dbt-exit-code", "required", "required-unknown"})


class Route(msgspec.Struct, frozen=True):
    """is_exact: the source's very name, as `source: {name: ...}` says; else <name>-<environment>-<suite>."""

    name: str
    is_exact: bool = False


class Routes(msgspec.Struct, frozen=True, kw_only=True):
    """by_key: of datasets, and of checks that are about none. unread: keys whose meta names no source."""

    by_key: dict[str, Route]
    unread: tuple[str, ...] = ()


def routes(manifest: Manifest) -> Routes:
    """A node's own meta, which dbt has merged with its folder's, goes before its group's."""
    groups = {g.name: _said(g.meta, (g.config or {}).get("meta")) for g in manifest.groups.values() if g.name}
    found: dict[str, Route] = {}
    unread: list[str] = []
    for key, node in _nodes(manifest):
        if is_silent(node) and not node.source_meta:
            continue
        own = _said(node.source_meta, meta_of(node))
        said = groups.get(node.group or node.settings.group or "") if own is None else own
        if said is None:
            continue
        route = _route(said)
        if route is None:
            unread.append(key)
        else:
            found[key] = route
    return Routes(by_key=found, unread=tuple(sorted(unread)))


def _nodes(manifest: Manifest) -> Iterator[tuple[str, Node]]:
    kinds = (manifest.nodes, manifest.sources, manifest.exposures, manifest.saved_queries, manifest.functions)
    for nodes in kinds:
        yield from nodes.items()


def _said(*metas: Any) -> Any:
    """What the last of these metas that speaks says; None where none does."""
    said = None
    for meta in metas:
        block = meta.get(META) if isinstance(meta, dict) else None
        if isinstance(block, dict) and block.get("source") is not None:
            said = block["source"]
    return said


def _route(said: Any) -> Route | None:
    name = said.get("name") if isinstance(said, dict) else said
    if not isinstance(name, str):
        return None
    clean = clean_line(name, MAX_NAME).strip()
    return Route(clean, is_exact=isinstance(said, dict)) if clean else None


# ---------------------------------------------------------------- splitting


def split(
    whole: Ingest,
    found: Routes,
    policy: Policy,
    *,
    key_of: Callable[[str], str],
    extent_of: Callable[[Pairs], tuple[Extent, str | None]],
    is_change: bool,
) -> tuple[Ingest, ...]:
    """The main document first, then one a source, sorted by name; the whole alone where nothing is routed.

    key_of     the run key with a routed source's name in the project's place
    extent_of  the extent of some of the results
    """
    sources = {route: source_of(whole.source, route, is_change=is_change) for route in found.by_key.values()}
    sources = {route: source for route, source in sources.items() if source.name != whole.source.name}
    place = {key: sources[route].name for key, route in found.by_key.items() if route in sources}
    checks = {c.key: place.get(c.dataset or c.key, "") for c in whole.checks}
    datasets = {d.key: place.get(d.key, "") for d in whole.datasets}
    at = {**datasets, **checks}
    warned = _with_warnings(whole, found)
    used = sorted({name for name in at.values() if name})
    if not used:
        return (warned,)
    by_name = {source.name: source for source in sources.values()}
    parts = [_part(warned, name, at, policy, extent_of) for name in ("", *used)]
    routed = [
        msgspec.structs.replace(
            part,
            source=by_name[name],
            run=msgspec.structs.replace(part.run, key=key_of(name), warnings=()),
        )
        for name, part in zip(used, parts[1:], strict=True)
    ]
    main = parts[0]
    if not (main.datasets or main.checks or main.causes):
        first = routed[0]
        run = msgspec.structs.replace(first.run, warnings=main.run.warnings)
        return (msgspec.structs.replace(first, run=run), *routed[1:])
    return (main, *routed)


def source_of(main: Source, route: Route, *, is_change: bool) -> Source:
    """Of the same environment and suite as the run: a change run writes into no other environment, whatever
    the meta says. An exact name is meant for runs that are no change."""
    source = Source.of(
        project=route.name,
        environment=main.environment,
        suite=main.suite,
        adapter=main.adapter,
        visibility=main.visibility,
    )
    text = f"{route.name}, of dbt project {main.project}, environment {main.environment}"
    name = route.name if route.is_exact and not is_change else source.name
    return msgspec.structs.replace(source, name=name, description=text)


def _with_warnings(whole: Ingest, found: Routes) -> Ingest:
    if not found.unread:
        return whole
    names = ", ".join(found.unread[:10])
    text = f"meta.qalita.source is neither a name nor {{name: ...}}, and was not followed: {names}"
    warnings = (*whole.run.warnings, RunWarning(code="route-unread", text=text))
    return msgspec.structs.replace(whole, run=msgspec.structs.replace(whole.run, warnings=warnings))


def _part(
    whole: Ingest,
    name: str,
    at: Mapping[str, str],
    policy: Policy,
    extent_of: Callable[[Pairs], tuple[Extent, str | None]],
) -> Ingest:
    datasets = tuple(d for d in whole.datasets if at[d.key] == name)
    pairs = tuple((c, r) for c, r in zip(whole.checks, whole.results, strict=True) if at[c.key] == name)
    ledger = score.ledger(pairs)
    extent, reason = whole.run.extent, whole.run.extent_reason
    if extent != "partial":  # an interrupted run is interrupted for everyone
        extent, reason = extent_of(pairs)
    return msgspec.structs.replace(
        whole,
        run=msgspec.structs.replace(whole.run, extent=extent, extent_reason=reason),
        datasets=datasets,
        checks=tuple(c for c, _ in pairs),
        results=tuple(r for _, r in pairs),
        causes=tuple(_causes(whole, name, at)),
        scores=score.scores(datasets, pairs, ledger, policy),
        ledger=ledger,
    )


def _causes(whole: Ingest, name: str, at: Mapping[str, str]) -> Iterator[Cause]:
    """Each cause in the document of what broke, with the consequences that lie there; and in every other
    document where something was skipped because of it, by its name."""
    unexplained = identity.cause_key(whole.source.project, whole.source.environment, UNEXPLAINED)
    for cause in whole.causes:
        subject = cause.checks[0] if cause.checks else cause.dataset
        followed = tuple(key for key in cause.consequences if at.get(key, "") == name)
        if subject is None or cause.key == unexplained:  # rows of several places
            own = tuple(key for key in cause.checks if at[key] == name)
            if own or followed:
                yield msgspec.structs.replace(cause, checks=own, consequences=followed)
        elif at[subject] == name:
            yield msgspec.structs.replace(cause, consequences=followed)
        elif followed:
            yield _elsewhere(cause, followed)


def _elsewhere(cause: Cause, followed: tuple[str, ...]) -> Cause:
    count = len(followed)
    return msgspec.structs.replace(
        cause,
        key=identity.short_hash([cause.key, "elsewhere"]),
        level="warning",
        body=f"It broke in another source. Skipped here because of it: {count}"
        f" {'node' if count == 1 else 'nodes'}.",
        dataset=None,
        checks=(),
        consequences=followed,
    )


# ---------------------------------------------------------------- judging


def agreed(found: Iterable[tuple[Ingest, list[Reason]]]) -> list[tuple[Ingest, list[Reason]]]:
    """The documents of one run of dbt under one roof: what one of them explains is not unexplained in
    another, and a selector that matches in one of them is no hole."""
    found = list(found)
    runs: dict[tuple[Any, ...], list[list[Reason]]] = {}
    for ingest, reasons in found:
        runs.setdefault(_run_of(ingest), []).append(reasons)
    for several in runs.values():
        if len(several) > 1:
            _agree(several)
    return found


def _run_of(ingest: Ingest) -> tuple[Any, ...]:
    run = ingest.run
    return run.invocation_ids or (run.key,), run.started_at, run.completed_at


def _agree(several: list[list[Reason]]) -> None:
    is_explained = any(r.subject and r.code not in OF_THE_RUN for reasons in several for r in reasons)
    holes = [{r.text for r in reasons if r.code == "required-unknown"} for reasons in several]
    everywhere = set.intersection(*holes)
    for n, reasons in enumerate(several):
        reasons[:] = [r for r in reasons if _stays(r, everywhere, is_first=n == 0, is_explained=is_explained)]


def _stays(reason: Reason, everywhere: set[str], *, is_first: bool, is_explained: bool) -> bool:
    if reason.code == "required-unknown":
        return is_first and reason.text in everywhere
    if reason.code == "dbt-exit-code":
        return is_first and not is_explained
    return not (is_explained and reason.code == "skipped" and reason.subject is None)
