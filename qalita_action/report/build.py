"""From the document, the verdict and the receipt to the view that every dialect reads. Must not decide what
fails: it may only look worse than the verdict, never better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType

import msgspec

from qalita_action.model import (
    Check,
    CheckKind,
    Comparison,
    GateState,
    Hint,
    Ingest,
    LedgerRow,
    Movement,
    Reason,
    Receipt,
    Rejected,
    Verdict,
)
from qalita_action.report import against, places, words
from qalita_action.report.lines import Spots
from qalita_action.report.rows import Lookup, cause_order, dataset_order, line_of, row_order, text_of
from qalita_action.report.view import Excused, Fact, Section, View
from qalita_action.report.words import Tone

# In the document for those who look; in reports with --verbose.
QUIET = frozenset({"dimension-defaulted", "file-ignored"})
TONE: dict[GateState, Tone] = {"passed": "good", "nothing-tested": "doubtful", "failed": "bad"}
_WORST_STATE: tuple[GateState, ...] = ("passed", "nothing-tested", "failed")


def worst(states: Sequence[GateState]) -> GateState:
    return max(states, key=_WORST_STATE.index)


def build(
    ingests: Sequence[Ingest],
    verdict: Verdict,
    receipts: Sequence[Receipt] = (),
    folders: Mapping[str, str] = MappingProxyType({}),
    movements: Mapping[str, Movement] = MappingProxyType({}),
    comparisons: Mapping[str, Comparison] = MappingProxyType({}),
    spots: Mapping[str, Spots] = MappingProxyType({}),
    hints: Mapping[str, Mapping[str, Hint]] = MappingProxyType({}),
    *,
    quiet: frozenset[str] = QUIET,
    every: bool = False,
) -> View:
    """folders: run key -> the project's folder in the repository; missing: the root. spots: run key -> lines
    that were found. hints: run key -> key -> where to look on. quiet: codes of warnings that are left out.
    every: of the passed checks without a row a line each, too: only JUnit lists them."""
    by_run = {receipt.run_key: receipt for receipt in receipts}
    sections = tuple(
        sorted(
            (
                _section(
                    ingest,
                    verdict,
                    by_run.get(ingest.run.key),
                    folders.get(ingest.run.key, ""),
                    movements.get(ingest.run.key),
                    comparisons.get(ingest.run.key),
                    spots.get(ingest.run.key),
                    hints.get(ingest.run.key, {}),
                    every,
                    quiet,
                )
                for ingest in ingests
            ),
            key=lambda section: -_WORST_STATE.index(section.state),
        )
    )
    total = words.total([section.total for section in sections])
    given: GateState = "failed" if verdict.blocks and verdict.state == "passed" else verdict.state
    state = worst([given, *(section.state for section in sections)])
    reasons = tuple(line_of(reason.text) for reason in verdict.reasons)
    broken = sum(d.broken for section in sections for d in section.datasets)
    return View(
        state=state,
        tone=TONE[state],
        headline=_partly_tested(sections)
        if state == "nothing-tested"
        else _headline(state, total, broken, reasons),
        blocks=verdict.blocks,
        reasons=reasons,
        total=total,
        sections=sections,
        excused=tuple(map(_excused, verdict.excused)),
        notices=tuple(line_of(text) for text in verdict.notices),
        allowed=frozenset(r.subject for r in verdict.excused if r.subject and r.excuse == "allowed"),
        blocking=frozenset(r.subject for r in verdict.reasons if r.subject)
        if verdict.blocks
        else frozenset(),
    )


def _excused(reason: Reason) -> Excused:
    return Excused(
        text=line_of(reason.text),
        excuse=reason.excuse or "known",
        by=line_of(reason.by),
        is_consequence=reason.code == "skipped",
    )


def _partly_tested(sections: Sequence[Section]) -> str:
    """Of several projects, those in which nothing ran decide the verdict: they are counted."""
    idle = sum(section.state == "nothing-tested" for section in sections)
    if 0 < idle < len(sections):
        return f"nothing was tested in {idle} of {words.plural(len(sections), 'project')}"
    return words.nothing_tested_headline(words.total([section.total for section in sections]))


def _headline(state: GateState, total: LedgerRow, broken: int, reasons: Sequence[str]) -> str:
    if state == "failed":
        return words.failed_headline(total, broken, reasons[0] if reasons else "")
    return words.passed_headline(total) if state == "passed" else words.nothing_tested_headline(total)


# Passed checks that get a row. A large project has tens of thousands, and no reader of them.
PASSED_ROWS = 500


def _worth_a_row(look: Lookup) -> tuple[list[Check], list[Check]]:
    """Those that get a row, and the passed ones that get none."""
    passed = sorted(look.passed, key=attrgetter("name"))
    return look.others + passed[:PASSED_ROWS], passed[PASSED_ROWS:]


def _section(
    ingest: Ingest,
    verdict: Verdict,
    receipt: Receipt | None,
    folder: str,
    movement: Movement | None,
    comparison: Comparison | None,
    spots: Spots | None,
    hints: Mapping[str, Hint],
    every: bool,
    quiet: frozenset[str],
) -> Section:
    source, run, scores = ingest.source, ingest.run, ingest.scores
    look, base = Lookup(ingest, folder, comparison, spots, hints), _cleaned_base(comparison)
    worth, others = _worth_a_row(look)
    rows = tuple(sorted(map(look.row, worth), key=row_order))
    shown = look.worth_a_row(ingest.datasets)
    datasets = tuple(sorted(map(look.dataset_row, shown), key=dataset_order))
    kinds: dict[CheckKind, LedgerRow] = {
        "data_test": ingest.ledger.data_test,
        "unit_test": ingest.ledger.unit_test,
        "freshness": ingest.ledger.freshness,
    }
    total = words.total(list(kinds.values()))
    broken = sum(d.broken for d in datasets)
    reasons = _reasons_of(verdict, look)
    state = _state(total, broken, bool(reasons))
    nothing = "" if run.verdict == "executed" else words.WHY_NOTHING_RAN.get(run.verdict, run.verdict)
    return Section(
        name=" · ".join(line_of(part) for part in (source.project, source.environment, source.suite) if part),
        project=line_of(source.project),
        source=line_of(source.name),
        state=state,
        tone=TONE[state],
        headline=_headline(state, total, broken, [line_of(r.text) for r in reasons]),
        score=scores.overall,
        score_reason=line_of(scores.overall_reason),
        movement=line_of(words.movement(movement)) if movement else "",
        comparison=base,
        against=against.sentence(base, is_gated=any(r.excuse == "no-base" for r in verdict.excused)),
        extent=words.extent_sentence(run.extent, run.extent_reason, total),
        why_nothing=nothing,
        facts=_facts(ingest),
        total=total,
        ledger=tuple((kind, row) for kind, row in kinds.items() if row.expected),
        dimensions=tuple((line_of(name), scores.by_dimension[name]) for name in sorted(scores.by_dimension)),
        datasets=datasets,
        datasets_left=len(look.counts.keys() & look.datasets.keys()) - sum(bool(d.counts) for d in datasets),
        causes=tuple(sorted(map(look.cause, ingest.causes), key=cause_order)),
        rows=rows,
        passed_left=len(others),
        passed=tuple(map(look.brief, others)) if every else (),
        warnings=tuple(line_of(f"{w.text} [{w.code}]", 500) for w in run.warnings if w.code not in quiet),
        run_key=line_of(run.key),
        completed_at=line_of(run.completed_at),
        tool=line_of(f"{run.tool.name} {run.tool.version}"),
        receipt=cleaned(receipt) if receipt else None,
    )


def _state(total: LedgerRow, broken: int, refused: bool) -> GateState:
    """What the document itself shows. A check without an answer is never a pass."""
    if refused or broken or total.failed or total.errored or words.without_answer(total):
        return "failed"
    return "passed" if total.executed else "nothing-tested"


def _reasons_of(verdict: Verdict, look: Lookup) -> list[Reason]:
    if verdict.state != "failed":
        return []
    return [
        r
        for r in (*verdict.reasons, *verdict.excused)
        if r.subject in look.checks or r.subject in look.datasets
    ]


def _facts(ingest: Ingest) -> tuple[Fact, ...]:
    run = ingest.run
    commands = [c if c.startswith("dbt") else f"dbt {c}" for c in map(line_of, run.commands)]
    facts = [
        Fact(label="commit", text=line_of(places.git_label(run)), link=places.commit_link(run)),
        Fact(label="command", text=", ".join(dict.fromkeys(commands))),
        Fact(label="dbt", text=line_of(f"dbt {run.dbt_version}") if run.dbt_version else ""),
        Fact(label="adapter", text=line_of(run.adapter_type)),
        Fact(label="exit code", text=f"dbt exited with {run.dbt_exit_code}" if run.dbt_exit_code else ""),
        Fact(label="elapsed", text=words.duration(run.elapsed_s)),
        Fact(label="finished", text=line_of(words.minute(run.completed_at))),
        Fact(
            label="pipeline",
            text=line_of(run.ci.pipeline_name or run.ci.job_name or run.ci.provider),
            link=places.web_link(run.ci.job_url) or places.web_link(run.ci.pipeline_url),
        ),
    ]
    return tuple(fact for fact in facts if fact.text)


def _cleaned_base(comparison: Comparison | None) -> Comparison | None:
    """Names and branches of the base come from another run's files, as untrusted as this run's."""
    if comparison is None:
        return None
    base = comparison.base and msgspec.structs.replace(
        comparison.base,
        where=line_of(comparison.base.where),
        branch=line_of(comparison.base.branch) or None,
        sha=line_of(comparison.base.sha) or None,
    )
    return msgspec.structs.replace(
        comparison,
        reason=line_of(comparison.reason) or None,
        base=base,
        removed=tuple(msgspec.structs.replace(r, name=line_of(r.name)) for r in comparison.removed),
    )


def cleaned(receipt: Receipt) -> Receipt:
    """The platform's words are as untrusted as a test's name."""
    rejected = tuple(
        Rejected(kind=line_of(r.kind), key=line_of(r.key), code=line_of(r.code), detail=line_of(r.detail))
        for r in receipt.rejected
    )
    return Receipt(
        run_key=line_of(receipt.run_key),
        api=line_of(receipt.api),
        status=receipt.status,
        reason=line_of(receipt.reason) or None,
        source=line_of(receipt.source) or None,
        counts={line_of(kind): count for kind, count in receipt.counts.items()},
        rejected=rejected,
        url=places.web_link(receipt.url),
        job=line_of(receipt.job) or None,
        spool=line_of(receipt.spool) or None,
        cautions=tuple(map(line_of, receipt.cautions)),
        notes=tuple(map(line_of, receipt.notes)),
        error_code=line_of(receipt.error_code) or None,
        error_text=text_of(receipt.error_text) or None,
        exit_code=receipt.exit_code,
    )
