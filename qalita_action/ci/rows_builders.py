"""Rows of the builders: Bitrise, Buddy, Codefresh, CodeBuild, Cloud Build, dbt Cloud. Must hold data, not
flow; why a cell is as it is stands beside it."""

from __future__ import annotations

from qalita_action.ci.fields import (
    Found,
    Scope,
    both,
    branch,
    either,
    first,
    fmt,
    is_set,
    match,
    neither,
    one_of,
    path_of,
    tag,
    unless,
    var,
    when,
)
from qalita_action.ci.row import Provider

_MILLISECONDS = r"([0-9]{10})(?:[0-9]{3})?"  # Unix time, its thousandths cut

_BITRISE_CHANGE = is_set("BITRISE_PULL_REQUEST")

BITRISE = Provider(
    name="bitrise",
    title="Bitrise",
    docs="https://devcenter.bitrise.io/en/references/available-environment-variables.html",
    marks=("BITRISE_BUILD_SLUG", "BITRISE_IO"),
    companions=("BITRISE_BUILD_SLUG", "BITRISE_BUILD_NUMBER"),
    fields={
        # GIT_CLONE_COMMIT_HASH is what the clone step checked out: a merge on a pull request.
        "sha": first(var("BITRISE_GIT_COMMIT"), unless(_BITRISE_CHANGE, var("GIT_CLONE_COMMIT_HASH"))),
        "checkout_sha": first(
            var("GIT_CLONE_COMMIT_HASH"), unless(_BITRISE_CHANGE, var("BITRISE_GIT_COMMIT"))
        ),
        # BITRISEIO_PULL_REQUEST_HEAD_BRANCH is a ref of the forge (`pull/12/head`), not a branch.
        "branch": var("BITRISE_GIT_BRANCH"),
        "tag": var("BITRISE_GIT_TAG"),
        "base_branch": var("BITRISEIO_GIT_BRANCH_DEST"),
        "repository_url": var("GIT_REPOSITORY_URL"),
        "head_repository": path_of(var("BITRISEIO_PULL_REQUEST_REPOSITORY_URL")),
        "change_id": var("BITRISE_PULL_REQUEST"),
        "pipeline_id": var("BITRISE_BUILD_SLUG"),
        "pipeline_name": var("BITRISE_TRIGGERED_WORKFLOW_ID"),
        "pipeline_url": var("BITRISE_BUILD_URL"),
        "job_name": var("BITRISE_TRIGGERED_WORKFLOW_TITLE"),
        "started_at": match(_MILLISECONDS, var("BITRISE_BUILD_TRIGGER_TIMESTAMP")),
    },
    head_unsaid=both(_BITRISE_CHANGE, neither(is_set("BITRISE_GIT_COMMIT"))),
    repository=path_of(var("GIT_REPOSITORY_URL")),
    unverified=("GIT_CLONE_COMMIT_HASH", "format of BITRISE_BUILD_TRIGGER_TIMESTAMP"),
)

_BUDDY_CHANGE = is_set("BUDDY_RUN_PR_NO", "BUDDY_EXECUTION_PULL_REQUEST_NO")

BUDDY = Provider(
    name="buddy",
    title="Buddy",
    docs="https://buddy.works/docs/pipelines/environment-variables",
    marks=("BUDDY", "BUDDY_WORKSPACE_ID"),
    companions=("BUDDY_EXECUTION_ID",),
    fields={
        "sha": var("BUDDY_EXECUTION_REVISION"),
        "checkout_sha": unless(_BUDDY_CHANGE, var("BUDDY_EXECUTION_REVISION")),
        "branch": first(
            var("BUDDY_RUN_PR_HEAD_BRANCH", "BUDDY_EXECUTION_PULL_REQUEST_HEAD_BRANCH"),
            unless(_BUDDY_CHANGE, var("BUDDY_EXECUTION_BRANCH")),
        ),
        # Set on runs of a branch too: the last tag there.
        "tag": unless(either(_BUDDY_CHANGE, is_set("BUDDY_EXECUTION_BRANCH")), var("BUDDY_EXECUTION_TAG")),
        "base_branch": var("BUDDY_RUN_PR_BASE_BRANCH", "BUDDY_EXECUTION_PULL_REQUEST_BASE_BRANCH"),
        "repository_url": var("BUDDY_SCM_URL"),
        "event": var("BUDDY_PIPELINE_TRIGGER_MODE", "BUDDY_EXECUTION_MODE"),
        "change_id": var("BUDDY_RUN_PR_NO", "BUDDY_EXECUTION_PULL_REQUEST_NO"),
        "pipeline_id": var("BUDDY_EXECUTION_ID"),
        "pipeline_name": var("BUDDY_PIPELINE_NAME"),
        "pipeline_url": var("BUDDY_EXECUTION_URL"),
        "actor": var("BUDDY_INVOKER_NAME"),
        "started_at": var("BUDDY_EXECUTION_START_DATE"),
    },
    unverified=("BUDDY_RUN_PR_HEAD_BRANCH", "BUDDY_RUN_PR_NO", "BUDDY_RUN_PR_BASE_BRANCH"),
)

# CF_BRANCH is the tag when a tag was pushed; the branch that the tag was made on is told then alone.
_CODEFRESH_TAG = is_set("CF_BASE_BRANCH")

CODEFRESH = Provider(
    name="codefresh",
    title="Codefresh",
    docs="https://codefresh.io/docs/docs/pipelines/variables/",
    marks=("CF_BUILD_ID",),
    leftovers=("CF_REVISION",),
    fields={
        "sha": var("CF_REVISION"),
        "checkout_sha": var("CF_REVISION"),
        "branch": unless(_CODEFRESH_TAG, var("CF_BRANCH")),
        "tag": when(_CODEFRESH_TAG, var("CF_BRANCH")),
        "base_branch": var("CF_PULL_REQUEST_TARGET"),
        "repository_url": match(r"(.+?)(?:/-)?/commits?/[0-9a-f]+", var("CF_COMMIT_URL")),
        "event": var("CF_BUILD_TRIGGER"),
        "change_id": var("CF_PULL_REQUEST_NUMBER", "CF_PULL_REQUEST_ID"),
        "pipeline_id": var("CF_BUILD_ID"),
        "pipeline_name": var("CF_PIPELINE_NAME"),
        "pipeline_url": var("CF_BUILD_URL"),
        "job_name": var("CF_STEP_NAME"),
        "actor": var("CF_BUILD_INITIATOR"),
        "started_at": match(_MILLISECONDS, var("CF_BUILD_TIMESTAMP")),
    },
    repository=fmt("{CF_REPO_OWNER}/{CF_REPO_NAME}"),
    unverified=("CF_STEP_NAME", "format of CF_BUILD_TIMESTAMP", "tag by CF_BASE_BRANCH"),
)

CODEBUILD = Provider(
    name="codebuild",
    title="AWS CodeBuild",
    docs="https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html",
    marks=("CODEBUILD_BUILD_ID", "CODEBUILD_INITIATOR"),
    companions=("CODEBUILD_BUILD_ID",),
    fields={
        # Of S3 and of CodePipeline's archives the version is no commit.
        "sha": var("CODEBUILD_RESOLVED_SOURCE_VERSION"),
        "checkout_sha": var("CODEBUILD_RESOLVED_SOURCE_VERSION"),
        "branch": first(
            branch("CODEBUILD_WEBHOOK_HEAD_REF"),
            match(r"branch/(.+)", var("CODEBUILD_WEBHOOK_TRIGGER")),
            match(r"refs/heads/([^\^]+)(?:\^\{.*\})?", var("CODEBUILD_SOURCE_VERSION")),
            match(r"(?!(?:pr|refs|tag)/|arn:|[0-9a-f]{7,40}$)([^\^]+)", var("CODEBUILD_SOURCE_VERSION")),
        ),
        "tag": first(
            tag("CODEBUILD_WEBHOOK_HEAD_REF"),
            match(r"tag/(.+)", var("CODEBUILD_WEBHOOK_TRIGGER")),
            match(r"refs/tags/([^\^]+)(?:\^\{.*\})?", var("CODEBUILD_SOURCE_VERSION")),
        ),
        "base_branch": branch("CODEBUILD_WEBHOOK_BASE_REF"),
        "repository_url": var("CODEBUILD_SOURCE_REPO_URL"),
        "event": var("CODEBUILD_WEBHOOK_EVENT"),
        "change_id": first(
            match(r"pr/([0-9]+)", var("CODEBUILD_WEBHOOK_TRIGGER")),
            match(r"pr/([0-9]+)", var("CODEBUILD_SOURCE_VERSION")),
        ),
        "pipeline_id": var("CODEBUILD_BUILD_ID"),
        "pipeline_name": first(
            match(r"codepipeline/(.+)", var("CODEBUILD_INITIATOR")),
            match(r"([^:]+):.+", var("CODEBUILD_BUILD_ID")),
        ),
        "pipeline_url": var("CODEBUILD_BUILD_URL", "CODEBUILD_PUBLIC_BUILD_URL"),
        "job_name": var("CODEBUILD_BATCH_BUILD_IDENTIFIER"),
        "actor": match(r"(?!codepipeline/)(.+)", var("CODEBUILD_INITIATOR")),
        "started_at": match(r"([0-9]{10})[0-9]{3}", var("CODEBUILD_START_TIME")),
    },
)


def _substitutions(scope: Scope) -> Found | None:
    names = ("PROJECT_ID", "PROJECT_NUMBER", "LOCATION", "BUILD_ID")
    found = [scope.look(name) for name in names]
    return found[-1] if all(found) else None


CLOUD_BUILD = Provider(
    name="cloud-build",
    title="Google Cloud Build",
    docs="https://cloud.google.com/build/docs/configuring-builds/substitute-variable-values",
    # Only what the build maps arrives; BUILD_ID alone is Jenkins' name too.
    marks=("BUILDER_OUTPUT", "BUILD_ID"),
    marked=first(var("BUILDER_OUTPUT"), _substitutions),
    fields={
        "sha": var("COMMIT_SHA", "REVISION_ID"),
        "checkout_sha": unless(is_set("_PR_NUMBER"), var("COMMIT_SHA", "REVISION_ID")),
        "branch": first(var("_HEAD_BRANCH"), unless(is_set("_PR_NUMBER"), var("BRANCH_NAME"))),
        "tag": var("TAG_NAME"),
        "base_branch": var("_BASE_BRANCH"),
        "repository_url": var("_REPO_URL"),
        "head_repository": path_of(var("_HEAD_REPO_URL")),
        "change_id": var("_PR_NUMBER"),
        "pipeline_id": var("BUILD_ID"),
        "pipeline_name": var("TRIGGER_NAME"),
        "pipeline_url": fmt(
            "https://console.cloud.google.com/cloud-build/builds;region={LOCATION}/{BUILD_ID}"
            "?project={PROJECT_ID}"
        ),
    },
    repository=var("REPO_FULL_NAME"),
    unverified=("BUILDER_OUTPUT", "_REPO_URL", "pipeline_url"),
)

DBT_CLOUD = Provider(
    name="dbt-cloud",
    title="dbt Cloud",
    docs="https://docs.getdbt.com/docs/build/environment-variables",
    marks=("DBT_CLOUD_RUN_ID",),
    beside=True,
    fields={
        "sha": var("DBT_CLOUD_GIT_SHA"),
        "branch": var("DBT_CLOUD_GIT_BRANCH"),
        # Never DBT_CLOUD_RUN_REASON: it may hold an e-mail address. The host of the run's page is not told.
        "event": var("DBT_CLOUD_RUN_REASON_CATEGORY"),
        "change_id": var("DBT_CLOUD_PR_ID"),
        "pipeline_id": var("DBT_CLOUD_RUN_ID"),
        "job_id": var("DBT_CLOUD_JOB_ID"),
    },
    environment=var("DBT_CLOUD_ENVIRONMENT_NAME"),
    is_change=one_of(
        "DBT_CLOUD_RUN_REASON_CATEGORY",
        {"github_pull_request", "gitlab_merge_request", "azure_pull_request"},
    ),
    unverified=("DBT_CLOUD_GIT_BRANCH",),
)
