"""Rows of the systems that people run themselves: Jenkins, TeamCity, Woodpecker, Drone, Harness. Must hold
data, not flow; why a cell is as it is stands beside it."""

from __future__ import annotations

import re

from qalita_action.ci.fields import (
    Cell,
    Found,
    Scope,
    both,
    either,
    first,
    is_set,
    match,
    neither,
    number_after,
    one_of,
    path_of,
    says,
    tag,
    unless,
    var,
    when,
)
from qalita_action.ci.row import Commit, Provider

_FULL_SHA = r"[0-9a-f]{40}"

# ---------------------------------------------------------------- Jenkins

_JENKINS_CHANGE = is_set("CHANGE_ID", "ghprbPullId", "gitlabMergeRequestIid")
_JENKINS_HEAD = var("ghprbActualCommit", "gitlabMergeRequestLastCommit")


def _before_local_merge(_: Scope, commit: Commit) -> str | None:
    """Jenkins merges the target into the change on the agent, so the change's head comes first; a merge that
    somebody made is the head itself. Jenkins' own carries its made-up address, or the message that git
    writes where there is no branch."""
    is_own = "nobody@nowhere" in commit.committer or re.fullmatch(
        rf"Merge commit '{_FULL_SHA}' into HEAD", commit.subject
    )
    return commit.parents[0] if len(commit.parents) == 2 and is_own else commit.sha


def _job_without_branch(scope: Scope) -> Found | None:
    """`folder/job/feature%2Fx` of a multibranch project is `folder/job`; `job/OS=linux,PY=3` of a matrix
    project is `job`."""
    found, name = scope.look("JOB_NAME"), scope.look("BRANCH_NAME")
    if found is None:
        return None
    head, _, last = found.value.rpartition("/")
    is_branch = name is not None and last.lower() == name.value.replace("/", "%2F").lower()
    is_matrix = re.fullmatch(r"[^=/,]+=[^=/,]*(,[^=/,]+=[^=/,]*)*", last)
    return Found(head, found.source) if head and (is_branch or is_matrix) else found


JENKINS = Provider(
    name="jenkins",
    title="Jenkins",
    docs="https://www.jenkins.io/doc/book/pipeline/jenkinsfile/#using-environment-variables",
    marks=("JENKINS_URL", "BUILD_TAG"),
    # Without a root address in its settings Jenkins sets none of its addresses.
    marked=first(var("JENKINS_URL"), match(r"(jenkins-.+)", var("BUILD_TAG"))),
    companions=("BUILD_NUMBER", "BUILD_ID", "BUILD_TAG"),
    fields={
        "sha": first(_JENKINS_HEAD, unless(_JENKINS_CHANGE, var("GIT_COMMIT"))),
        "checkout_sha": var("GIT_COMMIT"),
        # BRANCH_NAME is `PR-24` on a pull request and the tag's name on a tag. GIT_BRANCH of freestyle jobs
        # has the remote before it.
        "branch": first(
            var("CHANGE_BRANCH", "ghprbSourceBranch", "gitlabSourceBranch"),
            unless(
                either(_JENKINS_CHANGE, is_set("TAG_NAME")),
                first(
                    var("BRANCH_NAME"),
                    match(r"(?!detached$)(.+)", var("GIT_LOCAL_BRANCH")),
                    match(
                        r"(?!detached$)(?:refs/heads/|refs/remotes/[^/]+/|origin/)?(.+)", var("GIT_BRANCH")
                    ),
                ),
            ),
        ),
        "tag": var("TAG_NAME"),
        "default_branch": when(one_of("BRANCH_IS_PRIMARY", {"true"}), var("BRANCH_NAME")),
        "base_branch": var("CHANGE_TARGET", "ghprbTargetBranch", "gitlabTargetBranch"),
        "repository_url": var("GIT_URL", "GIT_URL_1"),
        "head_repository": match(r"([^/]+/[^/]+)", var("CHANGE_FORK")),
        "change_id": var("CHANGE_ID", "ghprbPullId", "gitlabMergeRequestIid"),
        "pipeline_id": var("BUILD_NUMBER", "BUILD_ID"),
        "pipeline_name": _job_without_branch,
        "pipeline_url": var("BUILD_URL"),
        "job_id": var("BUILD_TAG"),
        "job_name": var("JOB_NAME"),
        "job_url": var("RUN_DISPLAY_URL", "BUILD_URL"),
        # GIT_AUTHOR_NAME and GIT_COMMITTER_NAME are of commits to come.
        "actor": var("BUILD_USER_ID", "CHANGE_AUTHOR"),
    },
    is_change=_JENKINS_CHANGE,
    head_unsaid=both(_JENKINS_CHANGE, neither(says(_JENKINS_HEAD))),
    head_of=_before_local_merge,
    repository=path_of(var("GIT_URL", "GIT_URL_1")),
    unverified=("gitlabMergeRequestLastCommit", "BUILD_USER_ID", "RUN_DISPLAY_URL"),
)

TEAMCITY = Provider(
    name="teamcity",
    title="TeamCity",
    docs="https://www.jetbrains.com/help/teamcity/predefined-build-parameters.html",
    marks=("TEAMCITY_VERSION",),
    companions=("BUILD_NUMBER",),
    # TeamCity hands over no branch and no change: map them, env.QALITA_BRANCH=%teamcity.build.branch%.
    fields={
        "sha": var("BUILD_VCS_NUMBER"),
        "checkout_sha": var("BUILD_VCS_NUMBER"),
        "base_branch": match(r"(?:refs/heads/)?(.+)", var("TEAMCITY_PULLREQUEST_TARGET_BRANCH")),
        "change_id": var("TEAMCITY_PULLREQUEST_NUMBER"),
        "pipeline_id": var("BUILD_NUMBER"),
        "pipeline_name": var("TEAMCITY_PROJECT_NAME"),
        "pipeline_url": var("BUILD_URL"),
        "job_name": var("TEAMCITY_BUILDCONF_NAME"),
    },
    unverified=("BUILD_URL", "TEAMCITY_PULLREQUEST_NUMBER", "TEAMCITY_PULLREQUEST_TARGET_BRANCH"),
)

# ---------------------------------------------------------------- Woodpecker, Drone, Harness

_WOODPECKER_CHANGE = either(
    is_set("CI_COMMIT_PULL_REQUEST"),
    one_of("CI_PIPELINE_EVENT", {"pull_request", "pull_request_closed"}),
    one_of("CI_BUILD_EVENT", {"pull_request"}),
)

WOODPECKER = Provider(
    name="woodpecker",
    title="Woodpecker CI",
    docs="https://woodpecker-ci.org/docs/usage/environment",
    marks=("CI",),
    marked=match(r"(woodpecker)", var("CI")),
    companions=("CI_PIPELINE_NUMBER", "CI_BUILD_NUMBER"),
    fields={
        "sha": var("CI_COMMIT_SHA"),
        "checkout_sha": unless(_WOODPECKER_CHANGE, var("CI_COMMIT_SHA")),
        # CI_COMMIT_BRANCH is the base on a pull request.
        "branch": first(var("CI_COMMIT_SOURCE_BRANCH"), unless(_WOODPECKER_CHANGE, var("CI_COMMIT_BRANCH"))),
        "tag": var("CI_COMMIT_TAG"),
        "default_branch": var("CI_REPO_DEFAULT_BRANCH"),
        "base_branch": var("CI_COMMIT_TARGET_BRANCH"),
        "repository_url": var("CI_REPO_URL", "CI_REPO_LINK"),
        "event": var("CI_PIPELINE_EVENT", "CI_BUILD_EVENT"),
        "change_id": var("CI_COMMIT_PULL_REQUEST"),
        "pipeline_id": var("CI_PIPELINE_NUMBER", "CI_BUILD_NUMBER"),
        "pipeline_name": var("CI_WORKFLOW_NAME"),
        "pipeline_url": var("CI_PIPELINE_URL", "CI_BUILD_LINK"),
        "job_id": var("CI_STEP_NUMBER", "CI_JOB_NUMBER"),
        "job_name": var("CI_STEP_NAME"),
        "job_url": var("CI_STEP_URL"),
        "attempt": number_after(var("CI_PIPELINE_RERUNS")),
        "actor": var("CI_PIPELINE_AUTHOR"),
        "started_at": var("CI_PIPELINE_STARTED", "CI_PIPELINE_CREATED"),
    },
    environment=var("CI_PIPELINE_DEPLOY_TARGET"),
    is_change=_WOODPECKER_CHANGE,
    repository=var("CI_REPO"),
    unverified=("CI_BUILD_* and CI_JOB_NUMBER of old versions", "CI_REPO_LINK"),
)

_DRONE_CHANGE = either(is_set("DRONE_PULL_REQUEST"), one_of("DRONE_BUILD_EVENT", {"pull_request"}))
_NO_TAG = r"(?!refs/tags/)(?:refs/heads/)?(.+)"  # Harness writes a tag's full ref into the branch
_DRONE_FIELDS: dict[str, Cell] = {
    "sha": var("DRONE_COMMIT_SHA", "DRONE_COMMIT"),
    # The clone merges the change into its target.
    "checkout_sha": unless(_DRONE_CHANGE, var("DRONE_COMMIT_SHA", "DRONE_COMMIT")),
    # DRONE_COMMIT_BRANCH is the base on a pull request.
    "branch": first(
        when(_DRONE_CHANGE, match(_NO_TAG, var("DRONE_SOURCE_BRANCH"))),
        unless(_DRONE_CHANGE, match(_NO_TAG, var("DRONE_COMMIT_BRANCH", "DRONE_BRANCH"))),
    ),
    "tag": first(var("DRONE_TAG"), tag("DRONE_COMMIT_REF", "DRONE_COMMIT_BRANCH")),
    "default_branch": var("DRONE_REPO_BRANCH"),
    "base_branch": when(_DRONE_CHANGE, var("DRONE_TARGET_BRANCH", "DRONE_COMMIT_BRANCH")),
    "repository_url": var("DRONE_REPO_LINK", "DRONE_GIT_HTTP_URL", "DRONE_REMOTE_URL"),
    "event": var("DRONE_BUILD_EVENT"),
    "change_id": var("DRONE_PULL_REQUEST"),
    "pipeline_id": var("DRONE_BUILD_NUMBER"),
    "pipeline_name": var("DRONE_STAGE_NAME"),
    "pipeline_url": var("DRONE_BUILD_LINK"),
    "job_id": var("DRONE_STEP_NUMBER"),
    "job_name": var("DRONE_STEP_NAME"),
    "actor": var("DRONE_BUILD_TRIGGER"),
    "started_at": var("DRONE_BUILD_STARTED", "DRONE_BUILD_CREATED"),
}

DRONE = Provider(
    name="drone",
    title="Drone",
    docs="https://docs.drone.io/pipeline/environment/reference/",
    marks=("DRONE",),
    companions=("DRONE_BUILD_NUMBER",),
    fields=_DRONE_FIELDS,
    environment=var("DRONE_DEPLOY_TO"),
    is_change=_DRONE_CHANGE,
    repository=var("DRONE_REPO"),
)

HARNESS = Provider(
    name="harness",
    title="Harness",
    docs="https://developer.harness.io/docs/continuous-integration/troubleshoot-ci/ci-env-var/",
    marks=("HARNESS_BUILD_ID",),
    mimics=("drone",),
    fields={
        **_DRONE_FIELDS,
        "repository_url": var("DRONE_REPO_LINK", "CI_REPO_LINK", "DRONE_GIT_HTTP_URL", "CI_REPO_REMOTE"),
        "pipeline_id": var("HARNESS_EXECUTION_ID", "HARNESS_BUILD_ID"),
        "pipeline_name": var("HARNESS_PIPELINE_ID"),
        "pipeline_url": var("DRONE_BUILD_LINK", "CI_BUILD_LINK"),
        "job_id": var("HARNESS_STAGE_ID"),
    },
    is_change=_DRONE_CHANGE,
    repository=var("DRONE_REPO", "CI_REPO"),
)
