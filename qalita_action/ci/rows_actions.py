"""Rows of the systems that speak GitHub Actions: GitHub, Gitea, Forgejo. Must hold data, not flow.

What GITHUB_SHA and GITHUB_REF are on Gitea and Forgejo is read from the code that sets them:
https://github.com/go-gitea/gitea/blob/main/services/actions/context.go
"""

from __future__ import annotations

import msgspec

from qalita_action.ci import event
from qalita_action.ci.fields import (
    both,
    branch,
    first,
    fmt,
    is_set,
    match,
    neither,
    one_of,
    said,
    says,
    tag,
    unless,
    var,
    when,
)
from qalita_action.ci.row import Provider, no_head, second_parent

_GITHUB_RUN = "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}"
_GITHUB_JOB_ID = first(said("job_id"), match(r"([0-9]+)", var("JOB_CHECK_RUN_ID")))

GITHUB = Provider(
    name="github",
    title="GitHub Actions",
    docs="https://docs.github.com/en/actions/reference/workflows-and-actions/variables",
    marks=("GITHUB_ACTIONS", "GITHUB_ACTION"),
    companions=("GITHUB_RUN_ID",),
    leftovers=("GITHUB_SHA",),
    fields={
        # On a pull request GITHUB_SHA is a merge that nobody wrote; on the events of others it is the
        # default branch's tip.
        "sha": unless(event.head_is_elsewhere, var("GITHUB_SHA")),
        "checkout_sha": var("GITHUB_SHA"),
        # Never GITHUB_REF_NAME: `12/merge` on a pull request.
        "branch": first(var("GITHUB_HEAD_REF"), unless(event.head_is_elsewhere, branch("GITHUB_REF"))),
        "tag": unless(event.head_is_elsewhere, tag("GITHUB_REF")),
        "default_branch": when(one_of("GITHUB_EVENT_NAME", event.ON_DEFAULT_BRANCH), branch("GITHUB_REF")),
        "base_branch": var("GITHUB_BASE_REF"),
        "repository_url": fmt("{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}"),
        "event": var("GITHUB_EVENT_NAME"),
        "change_id": first(
            match(r"refs/pull/([0-9]+)/(?:merge|head)", var("GITHUB_REF")),
            match(event.QUEUE_REF, var("GITHUB_REF")),
        ),
        "pipeline_id": var("GITHUB_RUN_ID"),
        "pipeline_name": var("GITHUB_WORKFLOW"),
        # Old GitHub Enterprise Servers have no attempts.
        "pipeline_url": first(fmt(_GITHUB_RUN + "/attempts/{GITHUB_RUN_ATTEMPT}"), fmt(_GITHUB_RUN)),
        # The runner exports no id of the job; GITHUB_JOB is the key in the YAML, the same for every leg of a
        # matrix. The Action passes `job.check_run_id` as an input.
        "job_id": _GITHUB_JOB_ID,
        "job_name": var("GITHUB_JOB"),
        "job_url": fmt(_GITHUB_RUN + "/job/{job}", job=match(r"([0-9]+)", _GITHUB_JOB_ID)),
        "attempt": var("GITHUB_RUN_ATTEMPT"),
        "actor": var("GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR"),
    },
    event_path="GITHUB_EVENT_PATH",
    event_name=var("GITHUB_EVENT_NAME"),
    common=event.COMMON,
    events=event.EVENTS,
    environment=event.ENVIRONMENT,
    is_change=event.is_of_a_change,
    head_unsaid=event.head_is_elsewhere,
    head_of=second_parent(
        both(
            is_set("GITHUB_SHA"),
            one_of("GITHUB_EVENT_NAME", event.PULL_REQUEST),
            says(match(r"(refs/pull/[0-9]+/merge)", var("GITHUB_REF"))),
        )
    ),
    repository=var("GITHUB_REPOSITORY"),
    actors=("GITHUB_ACTOR", "/sender/login", "/workflow_run/actor/login"),
    files=(("GITHUB_EVENT_PATH", "ro"), ("GITHUB_OUTPUT", "rw"), ("GITHUB_STEP_SUMMARY", "rw")),
    notes=(
        (
            is_set("ACT"),
            "act",
            "This runs under nektos/act (ACT is set): ids and addresses of the run are not real.",
        ),
    ),
)


# The forge's own link counts the runs of a repository, not GITHUB_RUN_ID, and its address ends with a slash.
_FORGE = {"server": match(r"(.+?)/*", var("GITHUB_SERVER_URL"))}
# Their GITHUB_SHA is the head of the pull request, and GITHUB_REF refs/pull/N/head: no merge is made.
_elsewhere = both(event.head_is_elsewhere, neither(one_of("GITHUB_EVENT_NAME", event.PULL_REQUEST)))

GITEA = msgspec.structs.replace(
    GITHUB,
    name="gitea",
    title="Gitea Actions",
    docs="https://docs.gitea.com/usage/actions/actions-variables",
    marks=("GITEA_ACTIONS",),
    mimics=("github",),
    leftovers=(),
    fields={
        **{name: cell for name, cell in GITHUB.fields.items() if name not in ("job_id", "job_url")},
        "sha": unless(_elsewhere, var("GITHUB_SHA")),
        "branch": first(var("GITHUB_HEAD_REF"), unless(_elsewhere, branch("GITHUB_REF"))),
        "tag": unless(_elsewhere, tag("GITHUB_REF")),
        "repository_url": fmt("{server}/{GITHUB_REPOSITORY}", **_FORGE),
        "pipeline_url": fmt("{server}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_NUMBER}", **_FORGE),
    },
    head_unsaid=_elsewhere,
    head_of=no_head,
    notes=(),
    # Newer versions may count by GITHUB_RUN_ID in their links.
    unverified=("pipeline_url",),
)

FORGEJO = msgspec.structs.replace(
    GITEA,
    name="forgejo",
    title="Forgejo Actions",
    docs="https://forgejo.org/docs/latest/user/actions/reference/",
    marks=("FORGEJO_ACTIONS",),
    mimics=("gitea", "github"),
    # No page tells that the attempt counts here.
    fields={name: cell for name, cell in GITEA.fields.items() if name != "attempt"},
    unverified=("pipeline_url", "sha"),
)
