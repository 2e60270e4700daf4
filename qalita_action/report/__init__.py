"""What people are told, in each place's own language: console, job summary, annotations, outputs, HTML page.

    report.page(ingest, verdict)                        the page for the platform: no receipt in it
    report.render(ingests, verdict, receipts, options)  every text of the run
    report.write(rendered, options, stdout, stderr)     prints and writes them

One more dialect is one more module that reads the view. Must not decide anything: the verdict is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qalita_action.model import Ingest, Receipt, ReportOptions, Verdict, to_json
from qalita_action.redact import for_console
from qalita_action.report.build import QUIET, build
from qalita_action.report.comment import Comment, comment
from qalita_action.report.commenting import Commented, CommentMode
from qalita_action.report.commenting import put as put_comment
from qalita_action.report.console import console
from qalita_action.report.files import (
    DOCUMENT,
    DOTENV,
    JUNIT,
    LINKS,
    PAGE,
    QUALITY,
    SUMMARY,
    Rendered,
    Repository,
    add_outputs,
    output_path,
    room_for_summary,
    write,
)
from qalita_action.report.forges import Thread
from qalita_action.report.github import annotate, notice, outputs
from qalita_action.report.github_summary import SUMMARY_LIMIT, summary
from qalita_action.report.gitlab import code_quality, dotenv, job_links
from qalita_action.report.html import html
from qalita_action.report.junit import junit
from qalita_action.report.lines import locate
from qalita_action.report.receipts import receipt_lines, undelivered
from qalita_action.report.view import View

__all__ = [
    "Comment",
    "CommentMode",
    "Commented",
    "Rendered",
    "Thread",
    "add_outputs",
    "comment_lines",
    "page",
    "put_comment",
    "receipt_lines",
    "render",
    "undelivered",
    "write",
]

# forges whose runners read workflow commands
_READ_COMMANDS = frozenset({"github", "gitea", "forgejo"})


def comment_lines(commented: Commented, options: ReportOptions) -> tuple[str, ...]:
    """What became of the comment, for the log; as a notice too where somebody may have to act."""
    told = f"  COMMENT    {for_console(commented.text.removeprefix('comment '))}"
    return (told, notice(commented.text)) if _wants_notice(commented, options) else (told,)


def _wants_notice(commented: Commented, options: ReportOptions) -> bool:
    return commented.is_problem and options.provider in _READ_COMMANDS


def page(ingest: Ingest, verdict: Verdict) -> bytes:
    """The self-contained HTML page of one document, UTF-8."""
    return html(build([ingest], verdict))


def _for_ci(view: View, told: Mapping[str, str], options: ReportOptions) -> dict[str, bytes]:
    return {
        JUNIT: junit(view, with_files=options.provider == "gitlab"),
        QUALITY: code_quality(view),
        LINKS: job_links(view, output_path(options, PAGE)),
        DOTENV: dotenv(told),
    }


def render(
    ingests: Sequence[Ingest], verdict: Verdict, receipts: Sequence[Receipt], options: ReportOptions
) -> Rendered:
    """Every text of the run, several documents under the one verdict. Receipts are matched by run key. Reads
    two things of the world: the files that declare what failed, and how full the step's summary is."""
    # Files that a CI reads are for a CI: nobody opens 30,000 test cases in XML on a laptop.
    in_ci = options.provider is not None
    repository = Repository(options.repository)
    view = build(
        ingests,
        verdict,
        receipts,
        options.folders,
        options.movements,
        options.comparisons,
        {i.run.key: locate(i, options.folders.get(i.run.key, ""), repository) for i in ingests},
        options.hints,
        quiet=frozenset() if options.verbose else QUIET,
        every=in_ci,
    )
    page_path = output_path(options, PAGE)
    # A folder that the receipt speaks of holds the document already.
    is_written = len(ingests) == 1 and any(r.api == "folder" and r.status == "recorded" for r in receipts)
    document = (
        {}
        if is_written
        else {DOCUMENT: b"".join(part for ingest in ingests for part in (to_json(ingest), b"\n"))}
    )
    reads_commands = options.provider in _READ_COMMANDS
    # A run that did not arrive is told everywhere; its checks where somebody reviews.
    lost = [undelivered(receipt) for receipt in receipts] if reads_commands else []
    told = outputs(
        view,
        report=output_path(options, DOCUMENT),
        page=page_path,
        junit=output_path(options, JUNIT) if in_ci else "",
        summary=output_path(options, SUMMARY),
    )
    markdown = summary(view)
    room = room_for_summary(options.summary_path)
    return Rendered(
        console=console(view, color=options.color, written=page_path),
        files={
            **document,
            PAGE: html(view),
            SUMMARY: markdown.encode(),
            **(_for_ci(view, told, options) if in_ci else {}),
        },
        summary=(markdown if room >= SUMMARY_LIMIT - 1 else summary(view, room))
        if options.summary_path
        else None,
        commands=(
            *filter(None, lost),
            *(annotate(view, checks=options.is_change) if reads_commands else ()),
        ),
        outputs=told,
        comment=comment(ingests, view, mention_owners=options.mention_owners) if options.is_change else None,
    )
