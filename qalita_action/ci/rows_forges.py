"""Rows of the forges' own pipelines: GitLab, Azure, Bitbucket. Must hold data, not flow."""

from __future__ import annotations

from qalita_action.ci.fields import (
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
    quoted,
    says,
    tag,
    unless,
    var,
    when,
)
from qalita_action.ci.row import Provider, second_parent

# A merged-results pipeline checks out a merge that is in no branch.
_merged = one_of("CI_MERGE_REQUEST_EVENT_TYPE", {"merged_result", "merge_train"})

GITLAB = Provider(
    name="gitlab",
    title="GitLab CI",
    docs="https://docs.gitlab.com/ci/variables/predefined_variables/",
    marks=("GITLAB_CI",),
    companions=("CI_JOB_ID", "CI_PIPELINE_ID"),
    fields={
        "sha": first(
            var("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_SHA"),
            unless(_merged, var("CI_COMMIT_SHA")),
        ),
        "checkout_sha": var("CI_COMMIT_SHA"),
        # CI_COMMIT_BRANCH is absent from merge request and tag pipelines.
        "branch": first(
            var(
                "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME",
                "CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME",
                "CI_COMMIT_BRANCH",
            ),
            unless(is_set("CI_COMMIT_TAG", "CI_MERGE_REQUEST_IID"), var("CI_COMMIT_REF_NAME")),
        ),
        "tag": var("CI_COMMIT_TAG"),
        "default_branch": var("CI_DEFAULT_BRANCH"),
        "base_branch": var(
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME"
        ),
        # The target's tip where GitLab tells it (merged results), else the merge base.
        "base_sha": var(
            "CI_MERGE_REQUEST_TARGET_BRANCH_SHA",
            "CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_SHA",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA",
        ),
        # Never CI_REPOSITORY_URL: it carries the job's token.
        "repository_url": var("CI_PROJECT_URL"),
        "head_repository": var(
            "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH", "CI_EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY"
        ),
        "event": var("CI_PIPELINE_SOURCE"),
        # Never CI_MERGE_REQUEST_ID, which counts over the whole instance. CI_OPEN_MERGE_REQUESTS is a hint of
        # branch pipelines; on the default branch it may name a merge request into a release branch.
        "change_id": var("CI_MERGE_REQUEST_IID", "CI_EXTERNAL_PULL_REQUEST_IID"),
        "pipeline_id": var("CI_PIPELINE_ID"),
        "pipeline_name": var("CI_PIPELINE_NAME", "CI_CONFIG_PATH"),
        "pipeline_url": var("CI_PIPELINE_URL"),
        "job_id": var("CI_JOB_ID"),
        "job_name": var("CI_JOB_NAME"),
        "job_url": var("CI_JOB_URL"),
        "actor": var("GITLAB_USER_LOGIN"),
        "started_at": var("CI_PIPELINE_CREATED_AT"),
    },
    environment=var("CI_ENVIRONMENT_NAME"),
    is_change=one_of("CI_PIPELINE_SOURCE", {"merge_request_event", "external_pull_request_event"}),
    head_unsaid=both(_merged, lambda scope: scope.look("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") is None),
    repository=var("CI_MERGE_REQUEST_PROJECT_PATH", "CI_PROJECT_PATH"),
    actors=("GITLAB_USER_LOGIN",),
)


_AZURE_PULL = match(r"refs/pull/([0-9]+)/(?:merge|head)", var("BUILD_SOURCEBRANCH"))
# IsFork is set on every run, so it tells nothing.
_azure_change = either(
    is_set("SYSTEM_PULLREQUEST_PULLREQUESTID", "SYSTEM_PULLREQUEST_PULLREQUESTNUMBER"),
    one_of("BUILD_REASON", {"PullRequest"}),
    says(_AZURE_PULL),
)
_AZURE_HEAD = first(
    var("SYSTEM_PULLREQUEST_SOURCECOMMITID"),
    # The message of GitHub's test merge.
    match(r"Merge ([0-9a-f]{40}) into [0-9a-f]{40}", var("BUILD_SOURCEVERSIONMESSAGE")),
)
_AZURE_RUN = "{base}/{project}/_build/results?buildId={BUILD_BUILDID}"
_AZURE_PLACE = {
    "base": match(r"(.+?)/*", var("SYSTEM_COLLECTIONURI", "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI")),
    "project": quoted(var("SYSTEM_TEAMPROJECT", "SYSTEM_TEAMPROJECTID")),
}
_SHORT = r"(?:refs/heads/)?(.+)"

AZURE = Provider(
    name="azure",
    title="Azure Pipelines",
    docs="https://learn.microsoft.com/en-us/azure/devops/pipelines/build/variables",
    marks=("TF_BUILD",),
    companions=("BUILD_BUILDID",),
    leftovers=("BUILD_SOURCEVERSION",),
    fields={
        "sha": first(_AZURE_HEAD, unless(_azure_change, var("BUILD_SOURCEVERSION"))),
        "checkout_sha": var("BUILD_SOURCEVERSION"),
        # Never BUILD_SOURCEBRANCHNAME: the last segment of the ref, `one` of `feature/one`, `merge` on a
        # pull request. The source branch is short on GitHub and a full ref on Azure Repos.
        "branch": first(
            match(_SHORT, var("SYSTEM_PULLREQUEST_SOURCEBRANCH")),
            branch("BUILD_SOURCEBRANCH"),
        ),
        "tag": tag("BUILD_SOURCEBRANCH"),
        "base_branch": match(_SHORT, var("SYSTEM_PULLREQUEST_TARGETBRANCH")),
        "repository_url": var("BUILD_REPOSITORY_URI"),
        "head_repository": path_of(var("SYSTEM_PULLREQUEST_SOURCEREPOSITORYURI")),
        "event": var("BUILD_REASON"),
        # On GitHub the id is Azure's own (540266026), the number is what people know (89).
        "change_id": first(
            var("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER"),
            when(
                one_of("BUILD_REPOSITORY_PROVIDER", {"TfsGit"}),
                var("SYSTEM_PULLREQUEST_PULLREQUESTID"),
            ),
            _AZURE_PULL,
        ),
        "pipeline_id": var("BUILD_BUILDID"),
        "pipeline_name": var("BUILD_DEFINITIONNAME"),
        "pipeline_url": fmt(_AZURE_RUN, **_AZURE_PLACE),
        "job_id": var("SYSTEM_JOBID"),
        "job_name": var("SYSTEM_JOBDISPLAYNAME", "AGENT_JOBNAME"),
        "job_url": first(
            fmt(
                _AZURE_RUN + "&view=logs&j={SYSTEM_JOBID}&t={SYSTEM_TASKINSTANCEID}",
                **_AZURE_PLACE,
            ),
            fmt(_AZURE_RUN + "&view=logs&j={SYSTEM_JOBID}", **_AZURE_PLACE),
        ),
        "attempt": var("SYSTEM_JOBATTEMPT"),
        "actor": var("BUILD_REQUESTEDFOR"),
        "started_at": var("SYSTEM_PIPELINESTARTTIME"),
    },
    environment=var("ENVIRONMENT_NAME"),
    is_change=_azure_change,
    head_unsaid=both(_azure_change, neither(says(_AZURE_HEAD))),
    head_of=second_parent(says(match(r"(refs/pull/[0-9]+/merge)", var("BUILD_SOURCEBRANCH")))),
    # ENVIRONMENT_NAME of deployment jobs; the order of the parents in the merges of Azure Repos.
    unverified=("ENVIRONMENT_NAME", "sha from a merge's parents"),
)


_BITBUCKET_CHANGE = is_set("BITBUCKET_PR_ID")
_UUID = r"\{?([^{}]+)\}?"  # Bitbucket's wear braces

BITBUCKET = Provider(
    name="bitbucket",
    title="Bitbucket Pipelines",
    docs="https://support.atlassian.com/bitbucket-cloud/docs/variables-and-secrets/",
    marks=("BITBUCKET_BUILD_NUMBER",),
    leftovers=("BITBUCKET_COMMIT",),
    fields={
        # Twelve digits on pull requests, where HEAD is a merge made on the spot that has it as a parent: the
        # checkout completes it.
        "sha": var("BITBUCKET_COMMIT"),
        "checkout_sha": unless(_BITBUCKET_CHANGE, var("BITBUCKET_COMMIT")),
        "branch": var("BITBUCKET_BRANCH"),
        "tag": var("BITBUCKET_TAG"),
        "base_branch": var("BITBUCKET_PR_DESTINATION_BRANCH"),
        "base_sha": var("BITBUCKET_PR_DESTINATION_COMMIT"),
        # Pipelines are of bitbucket.org alone.
        "repository_url": first(
            fmt("https://bitbucket.org/{BITBUCKET_REPO_FULL_NAME}"),
            var("BITBUCKET_GIT_HTTP_ORIGIN", "BITBUCKET_GIT_SSH_ORIGIN"),
        ),
        "change_id": var("BITBUCKET_PR_ID"),
        "pipeline_id": first(match(_UUID, var("BITBUCKET_PIPELINE_UUID")), var("BITBUCKET_BUILD_NUMBER")),
        "pipeline_url": fmt(
            "https://bitbucket.org/{BITBUCKET_REPO_FULL_NAME}/pipelines/results/{BITBUCKET_BUILD_NUMBER}"
        ),
        "job_id": match(_UUID, var("BITBUCKET_STEP_UUID")),
        "attempt": var("BITBUCKET_STEP_RUN_NUMBER"),
        "actor": match(_UUID, var("BITBUCKET_STEP_TRIGGERER_UUID")),
    },
    environment=var("BITBUCKET_DEPLOYMENT_ENVIRONMENT"),
    head_unsaid=_BITBUCKET_CHANGE,
    unverified=("pipeline_url",),
)
