"""GitHub's event file: reading it whatever it is, and what each event says about the code and the change.

Source: https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows
(what GITHUB_SHA and GITHUB_REF are, by event) and
https://docs.github.com/en/webhooks/webhook-events-and-payloads (the payloads). Must not raise.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from qalita_action.ci.fields import (
    Cell,
    Found,
    Scope,
    at,
    both,
    branch,
    either,
    first,
    match,
    one_of,
    tag,
    unless,
    var,
    when,
)
from qalita_action.model import RunWarning

LARGEST = 25 * 1024 * 1024  # bytes; GitHub's own limit of a webhook payload

PULL_REQUEST = frozenset({"pull_request", "pull_request_review", "pull_request_review_comment"})
PULL_REQUEST_LIKE = PULL_REQUEST | {"pull_request_target"}

# GITHUB_SHA and GITHUB_REF of these are the default branch, whatever the event is about.
ON_DEFAULT_BRANCH = frozenset(
    {
        "branch_protection_rule",
        "check_run",
        "check_suite",
        "delete",
        "discussion",
        "discussion_comment",
        "fork",
        "gollum",
        "issue_comment",
        "issues",
        "label",
        "milestone",
        "page_build",
        "public",
        "repository_dispatch",
        "schedule",
        "status",
        "watch",
        "workflow_run",
    }
)

QUEUE_REF = r"(?:refs/heads/)?gh-readonly-queue/.+/pr-([0-9]+)-[0-9a-f]{40}"

_on_pull_request = one_of("GITHUB_EVENT_NAME", PULL_REQUEST_LIKE)
_is_comment = one_of("GITHUB_EVENT_NAME", {"issue_comment"})
_comment_on_pull_request = both(
    _is_comment, lambda scope: isinstance(at(scope.event, "/issue/pull_request"), dict)
)
_to_tag = both(one_of("GITHUB_EVENT_NAME", {"push"}), lambda scope: tag("/ref")(scope) is not None)
_run_of_a_change = one_of("/workflow_run/event", PULL_REQUEST_LIKE | {"merge_group"})

# The event is about a commit that GITHUB_SHA and GITHUB_REF do not name.
head_is_elsewhere = either(
    _on_pull_request,
    one_of("GITHUB_EVENT_NAME", {"workflow_run", "check_run", "check_suite", "status"}),
    _comment_on_pull_request,
    both(_is_comment, lambda scope: scope.event is None),
)

# The event is a change's by its nature, whether or not its number is known.
is_of_a_change = either(
    _on_pull_request,
    one_of("GITHUB_EVENT_NAME", {"merge_group"}),
    both(one_of("GITHUB_EVENT_NAME", {"workflow_run"}), _run_of_a_change),
    _comment_on_pull_request,
    lambda scope: match(QUEUE_REF, var("GITHUB_REF"))(scope) is not None,
)


def _deleted(scope: Scope) -> bool:
    return at(scope.event, "/deleted") is True


def read(path: str) -> tuple[Any, RunWarning | None]:
    """The payload at a path and, where it cannot be read, why. A payload is always an object."""
    try:
        about = Path(path).stat()
        # A FIFO would block for ever, a device would never end.
        if not stat.S_ISREG(about.st_mode):
            return None, _unreadable("it is not a file")
        if about.st_size > LARGEST:
            return None, _unreadable(f"it is larger than {LARGEST} bytes")
        with Path(path).open("rb") as file:
            payload = msgspec.json.decode(file.read(LARGEST))
    except OSError as error:
        return None, _unreadable(error.strerror or type(error).__name__)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None, _unreadable("it is not JSON")
    if not isinstance(payload, dict):
        return None, _unreadable("it is not a JSON object")
    return payload, None


def _unreadable(why: str) -> RunWarning:
    return RunWarning(
        code="event-unreadable",
        text=f"GitHub's event file (GITHUB_EVENT_PATH) was not read: {why}. Under `docker run` "
        "mount the file; until then the change's own commit and branch may be unknown.",
    )


def _on_other_branch(where: str, number: str) -> Cell:
    """A suite lists every pull request whose head it ran on, one from the default branch into a release
    branch included; a run on the default branch is nevertheless no change."""

    def same(scope: Scope) -> bool:
        head, default = scope.look(where), scope.look("/repository/default_branch")
        return bool(head and default and head.value == default.value)

    return unless(same, var(number))


def _status_branch(scope: Scope) -> Found | None:
    """A commit status names all the branches that hold its commit: the default branch if its tip is that
    commit, else the only branch whose tip it is."""
    sha, default = at(scope.event, "/sha"), at(scope.event, "/repository/default_branch")
    listed = at(scope.event, "/branches")
    tips = {
        name: index
        for index, entry in enumerate(listed if isinstance(listed, list) else [])
        if at(entry, "/commit/sha") == sha and isinstance(name := at(entry, "/name"), str)
    }
    name = default if default in tips else next(iter(tips), None) if len(tips) == 1 else None
    return Found(name, f"event:/branches/{tips[name]}/name") if isinstance(name, str) and name else None


def _pull_request(*times: str) -> Mapping[str, Cell]:
    return {
        "sha": var("/pull_request/head/sha"),
        "branch": var("/pull_request/head/ref"),
        "change_id": var("/pull_request/number", "/number"),
        "base_branch": var("/pull_request/base/ref"),
        "base_sha": var("/pull_request/base/sha"),
        "head_repository": var("/pull_request/head/repo/full_name"),
        "started_at": var(*times, "/pull_request/updated_at"),
    }


_of_workflow_run = {
    name: when(_run_of_a_change, var(f"/workflow_run/pull_requests/0/{member}"))
    for name, member in {"change_id": "number", "base_branch": "base/ref", "base_sha": "base/sha"}.items()
}

COMMON: Mapping[str, Cell] = {"default_branch": var("/repository/default_branch")}

# started_at: a time that GitHub's own clock wrote into the payload, hence before the run began, and close to
# it. Events without one (schedule, workflow_dispatch, repository_dispatch) have none: the last push of the
# repository may be days old. Times that a client of the API may choose (check_run.started_at, the author's
# clock in head_commit) are not used.
EVENTS: Mapping[str, Mapping[str, Cell]] = {
    "push": {
        # For an annotated tag `after` may be the tag object. After a deletion it is all zeroes and `ref` is
        # gone: GITHUB_SHA and GITHUB_REF are the default branch then.
        "sha": first(when(_to_tag, var("/head_commit/id")), unless(_to_tag, var("/after"))),
        "branch": unless(_deleted, branch("/ref")),
        "tag": unless(_deleted, tag("/ref")),
        "started_at": var("/repository/pushed_at"),
    },
    "create": {"started_at": var("/repository/pushed_at")},
    "pull_request": _pull_request(),
    "pull_request_target": _pull_request(),
    "pull_request_review": _pull_request("/review/submitted_at"),
    "pull_request_review_comment": _pull_request("/comment/updated_at"),
    "merge_group": {
        "sha": var("/merge_group/head_sha"),
        "branch": branch("/merge_group/head_ref"),
        "change_id": match(QUEUE_REF, var("/merge_group/head_ref")),
        "base_branch": first(branch("/merge_group/base_ref"), var("/merge_group/base_ref")),
        "base_sha": var("/merge_group/base_sha"),
        # The queue's commit is made by GitHub, by its own clock.
        "started_at": var("/merge_group/head_commit/timestamp"),
    },
    "workflow_run": {
        "sha": var("/workflow_run/head_sha"),
        "branch": unless(one_of("/workflow_run/event", {"release"}), var("/workflow_run/head_branch")),
        "tag": when(one_of("/workflow_run/event", {"release"}), var("/workflow_run/head_branch")),
        "head_repository": var("/workflow_run/head_repository/full_name"),
        # The run that triggered this one: what it wrote is what this one reads.
        "started_at": var("/workflow_run/created_at"),
        **_of_workflow_run,
    },
    "check_run": {
        "sha": var("/check_run/head_sha"),
        "branch": var("/check_run/check_suite/head_branch"),
        "change_id": _on_other_branch(
            "/check_run/check_suite/head_branch", "/check_run/pull_requests/0/number"
        ),
        "started_at": var("/check_run/check_suite/created_at"),
    },
    "check_suite": {
        "sha": var("/check_suite/head_sha"),
        "branch": var("/check_suite/head_branch"),
        "change_id": _on_other_branch("/check_suite/head_branch", "/check_suite/pull_requests/0/number"),
        "started_at": var("/check_suite/created_at"),
    },
    "status": {"sha": var("/sha"), "branch": _status_branch, "started_at": var("/created_at")},
    "issue_comment": {
        "change_id": when(_comment_on_pull_request, var("/issue/number")),
        "started_at": var("/comment/updated_at"),
    },
    "release": {"tag": var("/release/tag_name"), "started_at": var("/release/published_at")},
    "deployment": {"sha": var("/deployment/sha"), "started_at": var("/deployment/created_at")},
    "deployment_status": {
        "sha": var("/deployment/sha"),
        "started_at": var("/deployment_status/created_at"),
    },
}

ENVIRONMENT: Cell = when(
    one_of("GITHUB_EVENT_NAME", {"deployment", "deployment_status"}), var("/deployment/environment")
)
