"""What a row of the provider table is. Must hold no provider and no flow: rows are data, `detect` walks
them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from qalita_action.ci.fields import Cell, Scope, Test, never, nothing
from qalita_action.model import Value


class Commit(Value, frozen=True, kw_only=True):
    """What a commit object says of itself; parents stand there also where a shallow clone lacks them."""

    sha: str
    parents: tuple[str, ...]
    committer: str
    subject: str


HeadOf: TypeAlias = Callable[[Scope, Commit], "str | None"]


def no_head(_: Scope, __: Commit) -> str | None:
    return None


class Provider(Value, frozen=True, kw_only=True):
    """docs         the vendor's page of these variables
    marks        variables of which one set means: this provider
    marked       the same for rows whose marks need a certain value
    companions   variables of which one must be set as well, else the marks are a leftover of an image
    leftovers    variables that people bake into images; without this provider they are reported, not used
    mimics       names of rows whose marks this provider sets on purpose
    beside       is found next to other providers by its nature, so that nobody need be told
    fields       cells by field name of run.git and run.ci
    events       cells of the event file by event name, stronger than fields
    is_change    the run is a change's by its nature, whatever its branch
    hints        change_id names a change of the branch, not of the run: not believed on the default branch
    head_unsaid  checkout_sha is not the change's head, and fields do not tell it
    head_of      the change's head, where the checked-out commit itself tells it
    repository   `owner/name`, to be compared with head_repository
    actors       where an actor may be found
    files        variables that name files a container must be given: (name, `ro` or `rw`)
    notes        (test, code, text) of warnings
    unverified   what no vendor's page and no published log confirms, for the page of docs/
    """

    name: str
    title: str
    docs: str = ""
    marks: tuple[str, ...]
    marked: Cell = nothing
    companions: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    fields: Mapping[str, Cell] = {}
    mimics: tuple[str, ...] = ()
    beside: bool = False
    event_path: str | None = None
    event_name: Cell = nothing
    common: Mapping[str, Cell] = {}
    events: Mapping[str, Mapping[str, Cell]] = {}
    environment: Cell = nothing
    is_change: Test = never
    hints: bool = False
    head_unsaid: Test = never
    head_of: HeadOf = no_head
    repository: Cell = nothing
    actors: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[Test, str, str], ...] = ()
    unverified: tuple[str, ...] = ()


class OrchestratorRow(Value, frozen=True, kw_only=True):
    """What started the job, beside the CI or instead of one."""

    name: str
    docs: str = ""
    marks: tuple[str, ...]
    fields: Mapping[str, Cell]
    unverified: tuple[str, ...] = ()


def second_parent(test: Test) -> HeadOf:
    """A test merge of the change into its base, made by the forge: the change's head comes second."""

    def head_of(scope: Scope, commit: Commit) -> str | None:
        return commit.parents[1] if len(commit.parents) == 2 and test(scope) else None

    return head_of
