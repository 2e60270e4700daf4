"""The gate: decided once, from the documents. Pure. Whether anything was published does not enter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import assert_never

from qalita_action.mapping import routing, score_gate
from qalita_action.mapping.allowing import Allowances
from qalita_action.mapping.excuses import excused
from qalita_action.mapping.selectors import selected
from qalita_action.model import EXECUTED, Reason, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from qalita_action.model import Check, Gate, GateState, Ingest, Result, Status


def verdict(ingests: Iterable[Ingest], gate: Gate) -> Verdict:
    """One verdict over all projects of the call.

    state: `nothing-tested` where checks were expected and none passed, warned, failed or errored, and nothing
    else is wrong: never `passed`. What is set aside (known, allowed) is `failed`, and does not block.
    """
    ingests = tuple(ingests)
    allowances = Allowances(gate.allowances, ingests, gate.today)
    given = routing.agreed((i, list(reasons(i, gate))) for i in ingests)
    judged = [r for i, said in given for r in excused(i, said, gate, allowances)]
    judged += [r for i in ingests for r in score_gate.reasons(i, gate)]
    found = tuple(r for r in judged if r.excuse is None)
    set_aside = tuple(r for r in judged if r.excuse)
    tested = any(r.status in EXECUTED for i in ingests for r in i.results)
    expected = any(i.checks for i in ingests)
    state: GateState
    if judged:
        state = "failed"
    elif expected and not tested:
        state = "nothing-tested"
    else:
        state = "passed"
    match gate.fail_on:
        case "never":
            blocks = False
        case "fail" | "warn" | "new":
            blocks = bool(found)
        case _:
            assert_never(gate.fail_on)
    return Verdict(state=state, blocks=blocks, reasons=found, excused=set_aside, notices=allowances.notices)


_FINE: frozenset[Status] = frozenset({"passed", "reused", "not_run"})


def reasons(ingest: Ingest, gate: Gate) -> Iterator[Reason]:
    explained = False
    for dataset in ingest.datasets:
        if dataset.run and dataset.run.status in ("errored", "partial"):
            explained = True
            how = "built in part" if dataset.run.status == "partial" else "not built"
            yield Reason(
                code="dataset-broken", subject=dataset.key, text=f"{dataset.kind} {dataset.name}: {how}"
            )
    lost = 0
    names = _names_of_causes(ingest)
    for check, result in zip(ingest.checks, ingest.results, strict=True):
        reason = None if result.status in _FINE else _of_check(check, result, gate, names)
        if reason:
            explained = True
            yield reason
    for dataset in ingest.datasets:
        skipped = dataset.run is not None and dataset.run.status == "skipped"
        lost += skipped and not explained
    if lost:
        explained = True
        yield Reason(code="skipped", subject=None, text=f"{lost} datasets were skipped, and nothing says why")
    yield from _required(ingest, gate)
    if ingest.run.dbt_exit_code and not explained:
        yield Reason(
            code="dbt-exit-code",
            subject=None,
            text=f"dbt exited with {ingest.run.dbt_exit_code}, and no row of its results says why",
        )


def _names_of_causes(ingest: Ingest) -> dict[str, str]:
    """What people call the things that made others be skipped."""
    nearest = {r.caused_by[0] for r in ingest.results if r.status == "skipped" and r.caused_by}
    if not nearest:
        return {}
    named = {d.key: d.name for d in ingest.datasets if d.key in nearest}
    return named | {c.key: c.name for c in ingest.checks if c.key in nearest}


def _required(ingest: Ingest, gate: Gate) -> Iterator[Reason]:
    """Checks that must have run and did not. A selector that matches nothing is a hole, and is said."""
    if not gate.require_run:
        return
    results = {r.check: r for r in ingest.results}
    datasets = {d.key: d for d in ingest.datasets}
    said: set[str] = set()
    for selector in gate.require_run:
        wanted = selected(selector, ingest.checks, datasets)
        if not wanted:
            yield Reason(
                code="required-unknown", subject=None, text=f"--require-run {selector}: no check matches"
            )
        for check in wanted:
            if results[check.key].status in EXECUTED or check.key in said:
                continue
            said.add(check.key)
            why = results[check.key].reason or results[check.key].status.replace("_", " ")
            yield Reason(
                code="required", subject=check.key, text=f"{check.name}: must run ({selector}): {why}"
            )


def _of_check(check: Check, result: Result, gate: Gate, names: dict[str, str]) -> Reason | None:
    match result.status:
        case "passed" | "reused" | "not_run":
            return None
        case "warned":
            text = f"{check.name}: warned" if gate.fail_on == "warn" else None
        case "failed" | "errored":
            text = f"{check.name}: {result.status}"
        case "unknown":
            text = f"{check.name}: {result.reason or 'unknown status'}"
        case "skipped":
            nearest = result.caused_by[0] if result.caused_by else None
            because = f"because of {names.get(nearest, nearest)}" if nearest else "and nothing says why"
            text = f"{check.name}: skipped, {because}"
        case _:
            assert_never(result.status)
    return Reason(code=result.status, subject=check.key, text=text) if text else None
