"""One comment for each change, kept up to date: found again, written, updated, and folded where two runs
wrote at once. Must not decide what it says. Whatever goes wrong is told and not raised: it fails no run.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from qalita_action.errors import IngestError
from qalita_action.http import LostAnswer
from qalita_action.model import Value
from qalita_action.report.forges import Gone, NotAllowed, Note
from qalita_action.report.marker import read_marker

if TYPE_CHECKING:
    from qalita_action.report.comment import Comment
    from qalita_action.report.forges import Thread

CommentMode = Literal["off", "changes", "failures", "always"]
NOTHING = "no comment: nothing to tell"
ROUNDS = 3  # of looking after ourselves, where another run writes at the same time


class Commented(Value, frozen=True, kw_only=True):
    """What happened, for people. is_problem: worth a notice."""

    text: str
    is_problem: bool = False


def put(comment: Comment, thread: Thread, mode: CommentMode) -> Commented:
    """Write it or bring the one that is there up to date. A first comment needs a reason, as mode says."""
    try:
        return _put(comment, thread, mode)
    except NotAllowed as refused:
        if not is_wanted(comment, mode):  # and none can be there that this token wrote
            return Commented(text=NOTHING)
        return Commented(text=f"no comment: {refused}", is_problem=True)
    except IngestError as error:
        return Commented(text=f"no comment: {error.what}", is_problem=True)


def is_wanted(comment: Comment, mode: CommentMode) -> bool:
    return {
        "off": False,
        "changes": comment.is_news,
        "failures": comment.is_failing,
        "always": True,
    }[mode]


def _put(comment: Comment, thread: Thread, mode: CommentMode) -> Commented:
    author = thread.me()
    ours = _ours(comment, thread, author)
    if ours:
        return _settled(comment, thread, ours)
    if not is_wanted(comment, mode):
        return Commented(text=NOTHING)
    made = _created(comment, thread, author)
    if made is None:
        return Commented(text="comment created")
    # What an app writes carries a name that it could not ask for.
    ours = _ours(comment, thread, made.author)
    if {note.id for note in ours} <= {made.id}:
        return Commented(text="comment created")
    return _settled(comment, thread, ours)


def _ours(comment: Comment, thread: Thread, author: str | None) -> list[Note]:
    """Oldest first. Both must fit: anybody can paste a marker, and an author writes other comments, too."""
    if author is None:
        return []
    found = [note for note in thread.notes() if note.author == author and _is_same(note, comment)]
    return sorted(found, key=lambda note: note.id)


def _is_same(note: Note, comment: Comment) -> bool:
    marker = read_marker(note.body)
    return marker is not None and marker.identity == comment.marker.identity


def _created(comment: Comment, thread: Thread, author: str | None) -> Note | None:
    try:
        return thread.create(comment.body)
    except LostAnswer:
        ours = _ours(comment, thread, author)
        if ours or author is None:
            return ours[0] if ours else None
        return thread.create(comment.body)


def _is_newer(note: Note, comment: Comment) -> bool:
    marker = read_marker(note.body)
    return marker is not None and marker.stamp() > comment.marker.stamp()


def _settled(comment: Comment, thread: Thread, ours: list[Note]) -> Commented:
    """The oldest one stays, with the newest run's words; every run that sees several comes to the same."""
    kept, *others = ours
    newest = max(ours, key=_stamp)
    body = newest.body if _is_newer(newest, comment) else comment.body
    try:
        written = _written(thread, kept.id, body, comment)
    except Gone:
        return Commented(text="no comment: it was deleted meanwhile", is_problem=True)
    for note in others:
        with suppress(Gone):
            thread.delete(note.id)
    return Commented(text=written)


def _stamp(note: Note) -> tuple[str, str, int]:
    marker = read_marker(note.body)
    return marker.stamp() if marker else ("", "", 0)


def _written(thread: Thread, kept: int, body: str, comment: Comment) -> str:
    """Look, write, look again: neither API can write under a condition."""
    told = "comment updated" if body == comment.body else "comment left as it is: a newer run wrote it"
    for _ in range(ROUNDS):
        there = thread.note(kept)
        if _stamp(there) > _stamp(Note(0, "", body)):
            return "comment left as it is: a newer run wrote it"
        if there.body.rstrip() == body.rstrip():
            return told
        thread.update(kept, body)
    return told
