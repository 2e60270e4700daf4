"""One receipt alone, without its document: a line for people with what belongs to it, and the annotation of a
run that did not arrive. Text only: must not decide what fails."""

from __future__ import annotations

from qalita_action.model import Receipt
from qalita_action.redact import for_console, for_workflow_command
from qalita_action.report import words
from qalita_action.report.build import cleaned
from qalita_action.report.words import Tone

MARK: dict[Tone, str] = {"good": "✓", "doubtful": "!", "bad": "✗"}


def receipt_lines(receipt: Receipt) -> list[str]:
    """The line of one run, and what must be said under it."""
    shown = cleaned(receipt)
    text, tone = words.published(shown)
    lines = [f"{MARK[tone]} {shown.source or 'unknown source'} · {shown.run_key} · {text}"]
    return [
        for_console(lines[0]),
        *(f"    {for_console(detail)}" for detail in words.published_details(shown)),
    ]


def undelivered(receipt: Receipt) -> str | None:
    """A workflow command for a run that the platform does not have whole; None where it has."""
    if not receipt.error_code:
        return None
    shown = cleaned(receipt)
    what, *_ = (shown.error_text or shown.reason or "").splitlines() or [""]
    kept = f"kept in {shown.spool}" if shown.spool else ""
    gone = [note for note in shown.notes if "waiting run" in note]
    level = "error" if shown.status == "refused" else "warning"
    title = f"QALITA has not got {shown.source or shown.run_key}"
    message = "\n".join(filter(None, (what, kept, *gone)))
    return f"::{level} title={for_workflow_command(title, is_property=True)}::{for_workflow_command(message)}"
