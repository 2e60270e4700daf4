"""From the document, the verdict and the receipt to the view that every dialect reads. All text is cleaned
and masked here, once. Must not decide what fails: it may only look worse than the verdict, never better."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from qalita_action.model import (
    Cause,
    Check,
    CheckKind,
    Dataset,
    GateState,
    Ingest,
    LedgerRow,
    Level,
    Reason,
    Receipt,
    Rejected,
    Result,
    Status,
    Verdict,
)
from qalita_action.redact import clean_line, clean_text, cut, mask_tokens
from qalita_action.report import places, words
from qalita_action.report.view import CauseView, DatasetRow, Fact, Place, Row, Section, View
from qalita_action.report.words import Tone

NAME_LIMIT, TEXT_LIMIT = 300, 4000
CHECKS_A_CAUSE, NAMES_FOLLOWED = 20, 3
TONE: dict[GateState, Tone] = {"passed": "good", "nothing-tested": "doubtful", "failed": "bad"}
_WORST_STATE: tuple[GateState, ...] = ("passed", "nothing-tested", "failed")
_LEVELS: tuple[Level, ...] = ("high", "warning", "info")
_BROKEN = frozenset({"errored", "partial"})
_RANK = {status: rank for rank, status in enumerate(words.STATUS_WORD)}


def worst(states: Sequence[GateState]) -> GateState:
    return max(states, key=_WORST_STATE.index)


def line_of(text: str | None, limit: int = NAME_LIMIT) -> str:
    # masked before it is cut: half a token is still a secret, and no longer looks like one
    return cut(mask_tokens(clean_line(text)), limit) if text else ""


def text_of(text: str | None, limit: int = TEXT_LIMIT) -> str:
    return cut(mask_tokens(clean_text(text)), limit) if text else ""


def build(ingests: Sequence[Ingest], verdict: Verdict, receipts: Sequence[Receipt] = ()) -> View:
    by_run = {receipt.run_key: receipt for receipt in receipts}
    sections = tuple(_section(ingest, verdict, by_run.get(ingest.run.key)) for ingest in ingests)
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


def _section(ingest: Ingest, verdict: Verdict, receipt: Receipt | None) -> Section:
    source, run, scores = ingest.source, ingest.run, ingest.scores
    look = _Lookup(ingest)
    rows = tuple(sorted(map(look.row, ingest.checks), key=_row_order))
    datasets = tuple(sorted(map(look.dataset_row, ingest.datasets), key=_dataset_order))
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
        source=line_of(source.name),
        state=state,
        tone=TONE[state],
        headline=_headline(state, total, broken, [line_of(r.text) for r in reasons]),
        score=scores.overall,
        score_reason=line_of(scores.overall_reason),
        extent=words.extent_sentence(run.extent, run.extent_reason, total),
        why_nothing=nothing,
        facts=_facts(ingest),
        total=total,
        ledger=tuple((kind, row) for kind, row in kinds.items() if row.expected),
        dimensions=tuple((line_of(name), scores.by_dimension[name]) for name in sorted(scores.by_dimension)),
        datasets=datasets,
        causes=tuple(sorted(map(look.cause, ingest.causes), key=_cause_order)),
        rows=rows,
        warnings=tuple(line_of(f"{w.text} [{w.code}]", 500) for w in run.warnings),
        run_key=line_of(run.key),
        completed_at=line_of(run.completed_at),
        tool=line_of(f"{run.tool.name} {run.tool.version}"),
        receipt=_cleaned(receipt),
    )


def _state(total: LedgerRow, broken: int, refused: bool) -> GateState:
    """What the document itself shows. A check without an answer is never a pass."""
    if refused or broken or total.failed or total.errored or words.without_answer(total):
        return "failed"
    return "passed" if total.executed else "nothing-tested"


def _reasons_of(verdict: Verdict, look: _Lookup) -> list[Reason]:
    if verdict.state != "failed":
        return []
    return [r for r in verdict.reasons if r.subject in look.checks or r.subject in look.datasets]


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
        Fact(label="finished", text=line_of(run.completed_at)),
        Fact(
            label="pipeline",
            text=line_of(run.ci.pipeline_name or run.ci.job_name or run.ci.provider),
            link=places.web_link(run.ci.job_url) or places.web_link(run.ci.pipeline_url),
        ),
    ]
    return tuple(fact for fact in facts if fact.text)


def _row_order(row: Row) -> tuple[int, float, str]:
    return (_RANK[row.status], -row.failures, row.name)


def _dataset_order(row: DatasetRow) -> tuple[bool, int, bool, float, str]:
    bad = row.counts.get("failed", 0) + row.counts.get("errored", 0) + row.counts.get("unknown", 0)
    return (not row.broken, -bad, row.score is None, row.score or 0.0, row.name)


def _cause_order(cause: CauseView) -> tuple[int, int, float, str]:
    return (
        _LEVELS.index(cause.level),
        -cause.followed_count,
        -sum(r.failures for r in cause.checks),
        cause.subject,
    )


class _Lookup:
    """The rows of one document by key, for as long as its section is built."""

    def __init__(self, ingest: Ingest) -> None:
        self.run = ingest.run
        self.scores = ingest.scores.by_dataset
        self.checks: dict[str | None, Check] = {check.key: check for check in ingest.checks}
        self.datasets: dict[str | None, Dataset] = {dataset.key: dataset for dataset in ingest.datasets}
        self.results = {result.check: result for result in ingest.results}
        self.counts: defaultdict[str | None, Counter[Status]] = defaultdict(Counter)
        for check in ingest.checks:
            self.counts[check.dataset][self.result(check).status] += 1
        self._clean: dict[str | None, str] = {}

    def result(self, check: Check) -> Result:
        """The check's one result. A document without it shows the check as unknown, never as passed."""
        return self.results.get(check.key) or Result(check=check.key, status="unknown", reason="no result")

    def line(self, text: str | None) -> str:
        """Names, paths and owners come back for many rows: each is cleaned once."""
        if text not in self._clean:
            self._clean[text] = line_of(text)
        return self._clean[text]

    def name(self, key: str) -> str:
        known = self.datasets.get(key) or self.checks.get(key)
        return self.line(known.name if known else key)

    def place(self, path: str | None, line: int | None) -> Place | None:
        return (
            Place(path=self.line(path), line=line, link=places.file_link(self.run, path, line))
            if path
            else None
        )

    def row(self, check: Check) -> Row:
        result = self.result(check)
        dataset = self.datasets.get(check.dataset)
        return Row(
            key=check.key,
            name=line_of(check.name),
            kind=check.kind,
            type=self.line(check.type),
            dimension=self.line(check.dimension),
            status=result.status,
            amount=words.amount(check.kind, result),
            failures=float(result.failures or 0) if result.status in {"failed", "warned"} else 0.0,
            message=text_of(result.message),
            reason=self.line(result.reason),
            dataset=self.line(dataset.name if dataset else check.dataset),
            column=self.line(check.column),
            owner=self.line(check.owner or (dataset.owner if dataset else None)),
            place=self.place(check.path, check.line),
            duration_s=result.duration_s,
            caused_by=tuple(map(self.name, result.caused_by[:CHECKS_A_CAUSE])),
            command=words.retest_command(check.kind, check.name, dataset),
        )

    def dataset_row(self, dataset: Dataset) -> DatasetRow:
        return DatasetRow(
            key=dataset.key,
            name=self.line(dataset.name),
            kind=dataset.kind,
            run=dataset.run.status.replace("_", " ") if dataset.run else "",
            message=text_of(dataset.run.message) if dataset.run else "",
            broken=bool(dataset.run and dataset.run.status in _BROKEN),
            score=self.scores.get(dataset.key),
            counts=dict(self.counts[dataset.key]),
            owner=self.line(dataset.owner),
            place=self.place(dataset.path, None),
            command=words.rebuild_command(dataset),
        )

    def followed(self, cause: Cause) -> str:
        names = [self.name(key) for key in cause.consequences if key in self.datasets]
        checks = len(cause.consequences) - len(names)
        if (more := len(names) - NAMES_FOLLOWED) > 0:
            names[NAMES_FOLLOWED:] = [words.plural(more, "more dataset")]
        return words.listed([*names, words.plural(checks, "check") if checks else ""])

    def cause(self, cause: Cause) -> CauseView:
        checks = [self.row(self.checks[key]) for key in cause.checks[:CHECKS_A_CAUSE] if key in self.checks]
        dataset = self.datasets.get(cause.dataset)
        own = self.dataset_row(dataset) if dataset else None
        sole = checks[0] if len(cause.checks) == 1 and checks else None
        origin = checks[0] if checks else own
        return CauseView(
            level=cause.level,
            subject=sole.name if sole else own.name if own and not checks else line_of(cause.title),
            fact=_fact(sole, own if not checks else None),
            title=line_of(cause.title),
            body=text_of(cause.body),
            message=(
                words.telling(sole.message, sole.amount)
                if sole
                else own.message
                if own and not checks
                else ""
            ),
            dataset=own.name if own else "",
            owner=line_of(cause.owner) or (sole.owner if sole else own.owner if own else ""),
            place=origin.place if origin else None,
            checks=tuple(sorted(checks, key=_row_order)),
            check_count=len(cause.checks),
            followed=self.followed(cause),
            followed_count=len(cause.consequences),
            command=_command(checks, own, dataset),
        )


def _fact(sole: Row | None, broken: DatasetRow | None) -> str:
    if sole:
        lead = "" if sole.status == "failed" and sole.amount else words.STATUS_WORD[sole.status]
        return words.listed([lead, sole.amount])
    return f"{broken.kind} {broken.run or 'failed'}" if broken else ""


def _command(checks: Sequence[Row], own: DatasetRow | None, dataset: Dataset | None) -> str:
    """A broken dataset is built again with what hangs on it; a failing test is run again, its rows kept."""
    if own and (own.broken or not checks):
        return own.command
    if len(checks) == 1:
        return checks[0].command
    return words.retest_all_command(dataset) if dataset else ""


def _cleaned(receipt: Receipt | None) -> Receipt | None:
    """The platform's words are as untrusted as a test's name."""
    if receipt is None:
        return None
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
        notes=tuple(map(line_of, receipt.notes)),
        error_code=line_of(receipt.error_code) or None,
        error_text=text_of(receipt.error_text) or None,
        exit_code=receipt.exit_code,
    )
