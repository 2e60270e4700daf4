"""The view's rows from the document's: checks with their results, datasets, causes with what followed. All
text is cleaned and masked here, once. Must not judge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from qalita_action.model import Cause, Check, Comparison, Dataset, Hint, Ingest, Level, Result, Status
from qalita_action.redact import clean_line, clean_text, cut, mask_tokens
from qalita_action.report import against, places, words
from qalita_action.report.lines import Spot, Spots
from qalita_action.report.view import Brief, CauseView, DatasetRow, Fact, Place, Row

NAME_LIMIT, TEXT_LIMIT = 300, 4000
CHECKS_A_CAUSE, NAMES_FOLLOWED = 20, 3
_LEVELS: tuple[Level, ...] = ("high", "warning", "info")
_PASSED: frozenset[Status] = frozenset({"passed", "reused"})
_GOOD: frozenset[Status] = frozenset({"passed", "reused", "not_run"})
_NONE: dict[Status, int] = {}
GOOD_DATASETS = 500  # a large project has thousands of good tables, and no reader of their list
_BROKEN = frozenset({"errored", "partial"})
_RANK = {status: rank for rank, status in enumerate(words.STATUS_WORD)}


def line_of(text: str | None, limit: int = NAME_LIMIT) -> str:
    # masked before it is cut: half a token is still a secret, and no longer looks like one
    return cut(mask_tokens(clean_line(text)), limit) if text else ""


def text_of(text: str | None, limit: int = TEXT_LIMIT) -> str:
    return cut(mask_tokens(clean_text(text)), limit) if text else ""


def row_order(row: Row) -> tuple[int, float, str]:
    return (_RANK[row.status], -row.failures, row.name)


def dataset_order(row: DatasetRow) -> tuple[bool, int, bool, float, str]:
    bad = row.counts.get("failed", 0) + row.counts.get("errored", 0) + row.counts.get("unknown", 0)
    return (not row.broken, -bad, row.score is None, row.score or 0.0, row.name)


def cause_order(cause: CauseView) -> tuple[int, bool, int, float, str]:
    """Worst first, and what the base has too behind what it has not."""
    return (
        _LEVELS.index(cause.level),
        cause.tag == "known",
        -cause.followed_count,
        -sum(r.failures for r in cause.checks),
        cause.subject,
    )


class Lookup:
    """The rows of one document by key, for as long as its section is built."""

    def __init__(
        self,
        ingest: Ingest,
        folder: str = "",
        comparison: Comparison | None = None,
        spots: Spots | None = None,
        hints: Mapping[str, Hint] = MappingProxyType({}),
    ) -> None:
        """folder: of the dbt project in the repository; the document's paths count from there. spots: where
        the files of the repository were looked into."""
        self.spots = spots or Spots()
        self.hints = hints
        self.differences = comparison.differences if comparison else {}
        self.folder = f"{folder.strip('/')}/" if folder.strip("/") else ""
        self.run = ingest.run
        self.scores = ingest.scores.by_dataset
        self.checks: dict[str | None, Check] = {check.key: check for check in ingest.checks}
        self.datasets: dict[str | None, Dataset] = {dataset.key: dataset for dataset in ingest.datasets}
        self.results = {result.check: result for result in ingest.results}
        self.counts: defaultdict[str | None, dict[Status, int]] = defaultdict(dict)
        self.passed: list[Check] = []
        self.others: list[Check] = []
        for check in ingest.checks:
            result = self.results.get(check.key)
            status = result.status if result else "unknown"
            counts = self.counts[check.dataset]
            counts[status] = counts.get(status, 0) + 1
            (self.passed if status in _PASSED else self.others).append(check)
        self._clean: dict[str | None, str] = {}
        self._places: dict[tuple[str | None, int | None], Place | None] = {}

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
        if (path, line) not in self._places:
            self._places[path, line] = self._place(path, line)
        return self._places[path, line]

    def spot(self, spot: Spot) -> Place:
        link = places.file_link(self.run, spot.path, spot.line) if spot.in_repository else None
        return Place(path=self.line(spot.path), line=spot.line, link=link)

    def _place(self, path: str | None, line: int | None) -> Place | None:
        if not path:
            return None
        where = self.folder + path
        return Place(path=self.line(where), line=line, link=places.file_link(self.run, where, line))

    def row(self, check: Check) -> Row:
        result = self.result(check)
        spot = self.spots.checks.get(check.key)
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
            place=self.spot(spot) if spot else self.place(check.path, check.line),
            duration_s=result.duration_s,
            caused_by=tuple(map(self.name, result.caused_by[:CHECKS_A_CAUSE])),
            command=words.retest_command(check.kind, check.name, dataset),
            difference=self.differences.get(check.key),
            hints=_hints(self.hints.get(check.key)),
        )

    def brief(self, check: Check) -> Brief:
        result, dataset = self.result(check), self.datasets.get(check.dataset)
        return Brief(
            key=check.key,
            name=line_of(check.name),
            dataset=self.line(dataset.name if dataset else check.dataset),
            is_reused=result.status == "reused",
            duration_s=result.duration_s,
        )

    def worth_a_row(self, datasets: Sequence[Dataset]) -> list[Dataset]:
        """Every dataset that is broken or has checks that did not pass, and some of the good ones."""
        bad = [d for d in datasets if self.counts.get(d.key, _NONE).keys() - _GOOD or self._is_broken(d)]
        known = {d.key for d in bad}
        good = [d for d in datasets if d.key not in known and d.key in self.counts]
        return bad + good[:GOOD_DATASETS]

    @staticmethod
    def _is_broken(dataset: Dataset) -> bool:
        return dataset.run is not None and dataset.run.status in _BROKEN

    def dataset_row(self, dataset: Dataset) -> DatasetRow:
        spot = self.spots.datasets.get(dataset.key)
        return DatasetRow(
            key=dataset.key,
            name=self.line(dataset.name),
            kind=dataset.kind,
            run=dataset.run.status.replace("_", " ") if dataset.run else "",
            message=text_of(dataset.run.message) if dataset.run else "",
            broken=self._is_broken(dataset),
            score=self.scores.get(dataset.key),
            counts=self.counts.get(dataset.key, _NONE),
            owner=self.line(dataset.owner),
            place=self.spot(spot) if spot else self.place(dataset.path, None),
            command=words.rebuild_command(dataset),
            difference=None if dataset.key in self.checks else self.differences.get(dataset.key),
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
        # a skipped check is never a cause by itself: then the title says what is wrong
        sole = checks[0] if len(cause.checks) == 1 and checks and checks[0].status != "skipped" else None
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
            checks=tuple(sorted(checks, key=row_order)),
            check_count=len(cause.checks),
            followed=self.followed(cause),
            followed_count=len(cause.consequences),
            command=_command(checks, own, dataset),
            tag=against.tag([r.difference for r in checks] or [own.difference if own else None]),
            hints=checks[0].hints
            if len(cause.checks) == 1 and checks
            else _hints(self.hints.get(cause.dataset or "")),
        )


def _hints(hint: Hint | None) -> tuple[Fact, ...]:
    if hint is None:
        return ()
    told = (("compiled SQL", line_of(hint.compiled)), ("failing rows", words.look_at(line_of(hint.stored))))
    return tuple(Fact(label=label, text=text) for label, text in told if text)


def _fact(sole: Row | None, broken: DatasetRow | None) -> str:
    if sole:
        lead = "" if sole.status == "failed" and sole.amount else words.STATUS_WORD[sole.status]
        return words.listed([lead, sole.amount, sole.reason if sole.status == "unknown" else ""])
    return f"{broken.kind} {broken.run or 'failed'}" if broken else ""


def _command(checks: Sequence[Row], own: DatasetRow | None, dataset: Dataset | None) -> str:
    """A broken dataset is built again with what hangs on it; a failing test is run again, its rows kept."""
    if own and (own.broken or not checks):
        return own.command
    if len(checks) == 1:
        return checks[0].command
    return words.retest_all_command(dataset) if dataset else ""
