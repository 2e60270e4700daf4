"""Rows of the hosted services: CircleCI, Buildkite, Travis, AppVeyor, Semaphore, Cirrus. Must hold data, not
flow; why a cell is as it is stands beside it."""

from __future__ import annotations

from qalita_action.ci.event import QUEUE_REF
from qalita_action.ci.fields import (
    both,
    either,
    first,
    fmt,
    is_set,
    looked_up,
    match,
    neither,
    number_after,
    one_of,
    only,
    path_of,
    says,
    unless,
    var,
    when,
)
from qalita_action.ci.row import Provider, second_parent

_HOSTS = {"github": "github.com", "gitlab": "gitlab.com", "bitbucket": "bitbucket.org"}

CIRCLECI = Provider(
    name="circleci",
    title="CircleCI",
    docs="https://circleci.com/docs/reference/variables/",
    marks=("CIRCLECI",),
    companions=("CIRCLE_WORKFLOW_ID", "CIRCLE_BUILD_NUM"),
    leftovers=("CIRCLE_SHA1",),
    fields={
        "sha": var("CIRCLE_SHA1"),
        "checkout_sha": var("CIRCLE_SHA1"),
        # `pull/12` on a fork's pull request: no branch at all.
        "branch": match(r"(?!pull/[0-9]+(?:/|$))(.+)", var("CIRCLE_BRANCH")),
        "tag": var("CIRCLE_TAG"),
        "repository_url": var("CIRCLE_REPOSITORY_URL"),
        "head_repository": fmt("{CIRCLE_PR_USERNAME}/{CIRCLE_PR_REPONAME}"),
        "change_id": first(
            var("CIRCLE_PR_NUMBER"),
            match(r".*/([0-9]+)/?", var("CIRCLE_PULL_REQUEST")),
            match(r"[^,]*/([0-9]+)/?(?:,.*)?", var("CIRCLE_PULL_REQUESTS", "CI_PULL_REQUESTS")),
            match(r"pull/([0-9]+)(?:/.*)?", var("CIRCLE_BRANCH")),
        ),
        # A run again is a new workflow, so there are no attempts.
        "pipeline_id": var("CIRCLE_WORKFLOW_ID"),
        "pipeline_url": fmt(
            "https://{host}/pipelines/workflows/{CIRCLE_WORKFLOW_ID}",
            # A server of one's own shows it under its own name.
            host=first(
                match(r"https?://(?!(?:[a-z]+\.)?circleci\.com/)([^/@]+)/.*", var("CIRCLE_BUILD_URL")),
                only("app.circleci.com"),
            ),
        ),
        "job_id": var("CIRCLE_WORKFLOW_JOB_ID", "CIRCLE_BUILD_NUM"),
        "job_name": var("CIRCLE_JOB"),
        "job_url": var("CIRCLE_BUILD_URL"),
        "actor": var("CIRCLE_USERNAME"),
    },
    # Every branch with an open pull request carries its number, the default branch included.
    hints=True,
    repository=fmt("{CIRCLE_PROJECT_USERNAME}/{CIRCLE_PROJECT_REPONAME}"),
)

BUILDKITE = Provider(
    name="buildkite",
    title="Buildkite",
    docs="https://buildkite.com/docs/pipelines/configure/environment-variables",
    marks=("BUILDKITE",),
    companions=("BUILDKITE_BUILD_ID", "BUILDKITE_JOB_ID"),
    leftovers=("BUILDKITE_COMMIT",),
    fields={
        # `HEAD` on builds that somebody started by hand: the checkout tells then.
        "sha": var("BUILDKITE_COMMIT"),
        "checkout_sha": var("BUILDKITE_COMMIT"),
        # A fork's may be `owner:branch`; a tag's build has the tag here as well.
        "branch": match(r"(?:[^:]+:)?(.+)", var("BUILDKITE_BRANCH")),
        "tag": var("BUILDKITE_TAG"),
        "default_branch": var("BUILDKITE_PIPELINE_DEFAULT_BRANCH"),
        "base_branch": var("BUILDKITE_PULL_REQUEST_BASE_BRANCH", "BUILDKITE_MERGE_QUEUE_BASE_BRANCH"),
        "base_sha": var("BUILDKITE_MERGE_QUEUE_BASE_COMMIT"),
        "repository_url": var("BUILDKITE_REPO"),
        "head_repository": path_of(var("BUILDKITE_PULL_REQUEST_REPO")),
        "event": var("BUILDKITE_SOURCE"),
        "change_id": first(var("BUILDKITE_PULL_REQUEST"), match(QUEUE_REF, var("BUILDKITE_BRANCH"))),
        "pipeline_id": var("BUILDKITE_BUILD_ID"),
        "pipeline_name": var("BUILDKITE_PIPELINE_SLUG"),
        "pipeline_url": var("BUILDKITE_BUILD_URL"),
        "job_id": var("BUILDKITE_JOB_ID"),
        "job_name": var("BUILDKITE_LABEL", "BUILDKITE_STEP_KEY"),
        "job_url": fmt("{BUILDKITE_BUILD_URL}#{BUILDKITE_JOB_ID}"),
        "attempt": number_after(var("BUILDKITE_RETRY_COUNT")),
        "actor": var("BUILDKITE_BUILD_CREATOR"),
    },
    environment=var("BUILDKITE_GITHUB_DEPLOYMENT_ENVIRONMENT"),
    is_change=is_set("BUILDKITE_MERGE_QUEUE_BASE_BRANCH"),
    repository=path_of(var("BUILDKITE_REPO")),
    unverified=("`owner:branch` in BUILDKITE_BRANCH",),
)

# A pull request is never a build of a tag, whatever TRAVIS_TAG says.
_TRAVIS_CHANGE = is_set("TRAVIS_PULL_REQUEST")

TRAVIS = Provider(
    name="travis",
    title="Travis CI",
    docs="https://docs.travis-ci.com/user/environment-variables/",
    marks=("TRAVIS",),
    companions=("TRAVIS_BUILD_ID", "TRAVIS_JOB_ID"),
    leftovers=("TRAVIS_COMMIT",),
    fields={
        "sha": first(var("TRAVIS_PULL_REQUEST_SHA"), unless(_TRAVIS_CHANGE, var("TRAVIS_COMMIT"))),
        "checkout_sha": var("TRAVIS_COMMIT"),
        # TRAVIS_BRANCH is the base on a pull request.
        "branch": first(var("TRAVIS_PULL_REQUEST_BRANCH"), unless(_TRAVIS_CHANGE, var("TRAVIS_BRANCH"))),
        "tag": unless(_TRAVIS_CHANGE, var("TRAVIS_TAG")),
        "base_branch": when(_TRAVIS_CHANGE, var("TRAVIS_BRANCH")),
        "head_repository": var("TRAVIS_PULL_REQUEST_SLUG"),
        "event": var("TRAVIS_EVENT_TYPE"),
        "change_id": var("TRAVIS_PULL_REQUEST"),
        "pipeline_id": var("TRAVIS_BUILD_ID"),
        "pipeline_url": var("TRAVIS_BUILD_WEB_URL"),
        "job_id": var("TRAVIS_JOB_ID"),
        "job_name": var("TRAVIS_JOB_NAME", "TRAVIS_JOB_NUMBER"),
        "job_url": var("TRAVIS_JOB_WEB_URL"),
    },
    head_unsaid=both(_TRAVIS_CHANGE, neither(is_set("TRAVIS_PULL_REQUEST_SHA"))),
    head_of=second_parent(_TRAVIS_CHANGE),
    repository=var("TRAVIS_REPO_SLUG"),
)

_APPVEYOR_CHANGE = is_set("APPVEYOR_PULL_REQUEST_NUMBER")
_APPVEYOR_RUN = (
    "{APPVEYOR_URL}/project/{APPVEYOR_ACCOUNT_NAME}/{APPVEYOR_PROJECT_SLUG}/builds/{APPVEYOR_BUILD_ID}"
)

APPVEYOR = Provider(
    name="appveyor",
    title="AppVeyor",
    docs="https://www.appveyor.com/docs/environment-variables/",
    marks=("APPVEYOR",),
    companions=("APPVEYOR_BUILD_ID",),
    fields={
        "sha": first(
            var("APPVEYOR_PULL_REQUEST_HEAD_COMMIT"),
            unless(_APPVEYOR_CHANGE, var("APPVEYOR_REPO_COMMIT")),
        ),
        "checkout_sha": var("APPVEYOR_REPO_COMMIT"),
        # APPVEYOR_REPO_BRANCH is the base on a pull request.
        "branch": first(
            var("APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH"),
            unless(_APPVEYOR_CHANGE, var("APPVEYOR_REPO_BRANCH")),
        ),
        "tag": var("APPVEYOR_REPO_TAG_NAME"),
        "base_branch": when(_APPVEYOR_CHANGE, var("APPVEYOR_REPO_BRANCH")),
        "repository_url": fmt(
            "https://{host}/{APPVEYOR_REPO_NAME}", host=looked_up(_HOSTS, var("APPVEYOR_REPO_PROVIDER"))
        ),
        "head_repository": var("APPVEYOR_PULL_REQUEST_HEAD_REPO_NAME"),
        "change_id": var("APPVEYOR_PULL_REQUEST_NUMBER"),
        "pipeline_id": var("APPVEYOR_BUILD_ID"),
        "pipeline_name": var("APPVEYOR_PROJECT_SLUG"),
        "pipeline_url": fmt(_APPVEYOR_RUN),
        "job_id": var("APPVEYOR_JOB_ID"),
        "job_name": var("APPVEYOR_JOB_NAME"),
        "job_url": fmt(_APPVEYOR_RUN + "/job/{APPVEYOR_JOB_ID}"),
    },
    repository=var("APPVEYOR_REPO_NAME"),
    head_unsaid=both(_APPVEYOR_CHANGE, neither(is_set("APPVEYOR_PULL_REQUEST_HEAD_COMMIT"))),
)

_SEMAPHORE_CHANGE = either(
    is_set("SEMAPHORE_GIT_PR_NUMBER"), one_of("SEMAPHORE_GIT_REF_TYPE", {"pull-request"})
)

SEMAPHORE = Provider(
    name="semaphore",
    title="Semaphore",
    docs="https://docs.semaphoreci.com/reference/env-vars",
    marks=("SEMAPHORE",),
    companions=("SEMAPHORE_JOB_ID", "SEMAPHORE_WORKFLOW_ID"),
    leftovers=("SEMAPHORE_GIT_SHA",),
    fields={
        # SEMAPHORE_GIT_SHA may be `HEAD`; on a pull request it is the merge.
        "sha": first(var("SEMAPHORE_GIT_PR_SHA"), unless(_SEMAPHORE_CHANGE, var("SEMAPHORE_GIT_SHA"))),
        "checkout_sha": var("SEMAPHORE_GIT_SHA"),
        # SEMAPHORE_GIT_BRANCH is the base on a pull request.
        "branch": first(
            when(_SEMAPHORE_CHANGE, var("SEMAPHORE_GIT_PR_BRANCH", "SEMAPHORE_GIT_WORKING_BRANCH")),
            unless(_SEMAPHORE_CHANGE, var("SEMAPHORE_GIT_BRANCH")),
        ),
        "tag": var("SEMAPHORE_GIT_TAG_NAME"),
        "base_branch": when(_SEMAPHORE_CHANGE, var("SEMAPHORE_GIT_BRANCH")),
        # `http://git@github.com:owner/name.git`: the scp form with a scheme before it.
        "repository_url": first(
            match(r"https?://(git@[^/:]+:(?![0-9]+/).+)", var("SEMAPHORE_GIT_URL")),
            var("SEMAPHORE_GIT_URL"),
        ),
        "head_repository": var("SEMAPHORE_GIT_PR_SLUG"),
        "event": var("SEMAPHORE_GIT_REF_TYPE"),
        "change_id": var("SEMAPHORE_GIT_PR_NUMBER"),
        "pipeline_id": var("SEMAPHORE_WORKFLOW_ID"),
        "pipeline_name": var("SEMAPHORE_PROJECT_NAME"),
        "pipeline_url": fmt("{SEMAPHORE_ORGANIZATION_URL}/workflows/{SEMAPHORE_WORKFLOW_ID}"),
        "job_id": var("SEMAPHORE_JOB_ID"),
        "job_name": var("SEMAPHORE_JOB_NAME"),
        "job_url": fmt("{SEMAPHORE_ORGANIZATION_URL}/jobs/{SEMAPHORE_JOB_ID}"),
        "actor": var("SEMAPHORE_WORKFLOW_TRIGGERED_BY"),
    },
    is_change=_SEMAPHORE_CHANGE,
    head_unsaid=both(_SEMAPHORE_CHANGE, neither(is_set("SEMAPHORE_GIT_PR_SHA"))),
    repository=var("SEMAPHORE_GIT_REPO_SLUG"),
    unverified=("SEMAPHORE_WORKFLOW_TRIGGERED_BY", "pipeline_url", "job_url"),
)

_CIRRUS_PULL = match(r"pull/([0-9]+)", var("CIRRUS_BRANCH"))

CIRRUS = Provider(
    name="cirrus",
    title="Cirrus CI",
    docs="https://cirrus-ci.org/guide/writing-tasks/#environment-variables",
    marks=("CIRRUS_CI",),
    companions=("CIRRUS_BUILD_ID", "CIRRUS_TASK_ID"),
    leftovers=("CIRRUS_CHANGE_IN_REPO",),
    fields={
        "sha": var("CIRRUS_CHANGE_IN_REPO"),
        "checkout_sha": var("CIRRUS_CHANGE_IN_REPO"),
        # `pull/12` on a pull request.
        "branch": unless(says(_CIRRUS_PULL), var("CIRRUS_BRANCH")),
        "tag": var("CIRRUS_TAG"),
        "default_branch": var("CIRRUS_DEFAULT_BRANCH"),
        "base_branch": var("CIRRUS_BASE_BRANCH"),
        "base_sha": var("CIRRUS_BASE_SHA"),
        "repository_url": var("CIRRUS_REPO_CLONE_URL"),
        "change_id": first(var("CIRRUS_PR"), _CIRRUS_PULL),
        "pipeline_id": var("CIRRUS_BUILD_ID"),
        "pipeline_url": fmt("https://cirrus-ci.com/build/{CIRRUS_BUILD_ID}"),
        "job_id": var("CIRRUS_TASK_ID"),
        "job_name": var("CIRRUS_TASK_NAME"),
        "job_url": fmt("https://cirrus-ci.com/task/{CIRRUS_TASK_ID}"),
    },
    repository=var("CIRRUS_REPO_FULL_NAME"),
    unverified=("pipeline_url", "job_url", "`pull/N` in CIRRUS_BRANCH"),
)
