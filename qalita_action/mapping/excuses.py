"""Which failures the gate sets aside, and why: the allowlist names them, or the base had them too. Pure.

What is set aside stays a failure in every report. What is not about one check or dataset (dbt's exit code, a
required check that did not run, a score) is never set aside.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
from typing_extensions import assert_never

from qalita_action.mapping.allowing import Allowances, label, terms
from qalita_action.mapping.comparing import is_red
from qalita_action.model import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qalita_action.model import Comparison, Gate, Ingest, Result, Status

# Codes of reasons that speak of one check or one dataset that is bad.
OF_ONE = frozenset({"failed", "errored", "unknown", "warned", "skipped", "dataset-broken"})
FAIL_FAST = "fail_fast"
NEVER_RAN = "step-not-run"  # a service stops its run at the first step that fails


def excused(ingest: Ingest, found: Iterable[Reason], gate: Gate, allowances: Allowances) -> list[Reason]:
    """The same reasons, those that are set aside with their excuse."""
    judge = _Judge(ingest, gate, allowances)
    own = [judge.by_itself(reason) for reason in found]
    set_aside = {r.subject: r for r in own if r.excuse and r.subject}
    judged = [reason if reason.excuse else judge.by_causes(reason, set_aside) for reason in own]
    if any(r.excuse for r in judged):
        judged += judge.unfinished()
    return judged


class _Judge:
    def __init__(self, ingest: Ingest, gate: Gate, allowances: Allowances) -> None:
        self.ingest, self.gate, self.allowances = ingest, gate, allowances
        self.comparison = gate.comparisons.get(ingest.run.key)

    @cached_property
    def results(self) -> dict[str | None, Result]:
        return {r.check: r for r in self.ingest.results}

    def by_itself(self, reason: Reason) -> Reason:
        subject = reason.subject
        if subject is None or reason.code not in OF_ONE or self._by_fail_fast(reason):
            return reason
        entry = self.allowances.of(subject)
        if entry:
            by = terms(entry) if entry.check else label(entry)
            return msgspec.structs.replace(reason, excuse="allowed", by=by)
        over = self.allowances.expired(subject)
        if over:
            text = f"{reason.text}; it was allowed {terms(over)}"
            return msgspec.structs.replace(reason, text=text)
        if self.gate.fail_on == "new" and self.comparison is not None:
            return self._against_base(reason, subject, self.comparison)
        return reason

    def _against_base(self, reason: Reason, subject: str, comparison: Comparison) -> Reason:
        match comparison.state:
            case "unreadable":
                return reason
            case "none":
                return msgspec.structs.replace(reason, excuse="no-base", by=comparison.reason)
            case "compared":
                difference = comparison.differences.get(subject)
                if reason.code == "dataset-broken" and subject in self.results:
                    difference = None  # it speaks of the source's freshness, which has the same key
                status: Status = (
                    "errored" if reason.code == "dataset-broken" else self.results[subject].status
                )
                if is_red(difference, status):
                    worse = difference is not None and difference.novelty == "known"
                    text = (
                        f"{reason.text}, worse than in the base, and its code changed"
                        if worse
                        else reason.text
                    )
                    return msgspec.structs.replace(reason, text=text)
                since = difference.since if difference else None
                return msgspec.structs.replace(
                    reason, excuse="known", by=f"since {since[:10]}" if since else None
                )
            case _:
                assert_never(comparison.state)

    def by_causes(self, reason: Reason, set_aside: dict[str, Reason]) -> Reason:
        """Skipped because of what is set aside, and of nothing else."""
        if reason.code != "skipped" or self._by_fail_fast(reason):
            return reason
        result = self.results.get(reason.subject)
        if result is None or not result.caused_by:
            return reason
        causes = [set_aside.get(key) for key in result.caused_by]
        if not all(causes) or causes[0] is None:
            return reason
        return msgspec.structs.replace(reason, excuse=causes[0].excuse, by=causes[0].by)

    def _by_fail_fast(self, reason: Reason) -> bool:
        """Fail fast: dbt stopped at the first failure: nothing was found out about the rest."""
        result = self.results.get(reason.subject) if reason.code == "skipped" else None
        return result is not None and result.reason == FAIL_FAST

    def unfinished(self) -> list[Reason]:
        """With its failures set aside, a run that did not finish shows nothing about the rest."""
        run = self.ingest.run
        never_ran = next((w.text for w in run.warnings if w.code == NEVER_RAN), None)
        if run.extent == "partial" and run.extent_reason != "sample":
            text = f"the run did not finish what it selected: {run.extent_reason or 'no reason is known'}"
        elif never_ran:
            text = f"the run did not finish: {never_ran}"
        else:
            return []
        return [Reason(code="unfinished", subject=None, text=text)]
