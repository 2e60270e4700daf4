"""The table of CI providers and of orchestrators: one row each, in the order of detection. A row whose
fields are empty is recognised by name only. Must hold data, not flow: `detect` walks it.

Sources: https://docs.github.com/en/actions/reference/workflows-and-actions/variables and
https://docs.gitlab.com/ci/variables/predefined_variables/
"""

from __future__ import annotations

from collections.abc import Mapping

from qalita_action.ci import event
from qalita_action.ci.fields import (
    Cell,
    Test,
    both,
    branch,
    first,
    fmt,
    is_set,
    match,
    never,
    nothing,
    one_of,
    said,
    tag,
    unless,
    var,
    when,
)
from qalita_action.model import Value


class Provider(Value, frozen=True, kw_only=True):
    """marks        variables of which one set means: this provider
    companions   variables of which one must be set as well, else the marks are a leftover of an image
    leftovers    variables that people bake into images; without this provider they are reported, not used
    mimics       names of rows whose marks this provider sets on purpose
    fields       cells by field name of run.git and run.ci
    events       cells of the event file by event name, stronger than fields
    is_change    the run is a change's by its nature, whatever its branch
    head_unsaid  checkout_sha is not the change's head, and fields do not tell it
    merge_ref    HEAD, where it is checkout_sha, is a merge whose second parent is the change's head
    repository   `owner/name`, to be compared with head_repository
    actors       where an actor may be found
    notes        (test, code, text) of warnings
    """

    name: str
    title: str
    marks: tuple[str, ...]
    companions: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    fields: Mapping[str, Cell] = {}
    mimics: tuple[str, ...] = ()
    event_path: str | None = None
    event_name: Cell = nothing
    common: Mapping[str, Cell] = {}
    events: Mapping[str, Mapping[str, Cell]] = {}
    environment: Cell = nothing
    is_change: Test = never
    head_unsaid: Test = never
    merge_ref: Test = never
    repository: Cell = nothing
    actors: tuple[str, ...] = ()
    notes: tuple[tuple[Test, str, str], ...] = ()


class OrchestratorRow(Value, frozen=True, kw_only=True):
    name: str
    marks: tuple[str, ...]
    fields: Mapping[str, Cell]


_GITHUB_RUN = "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}"
_GITHUB_JOB_ID = first(said("job_id"), match(r"([0-9]+)", var("JOB_CHECK_RUN_ID")))

GITHUB = Provider(
    name="github",
    title="GitHub Actions",
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
    merge_ref=both(
        one_of("GITHUB_EVENT_NAME", event.PULL_REQUEST),
        lambda scope: match(r"(refs/pull/[0-9]+/merge)", var("GITHUB_REF"))(scope) is not None,
    ),
    repository=var("GITHUB_REPOSITORY"),
    actors=("GITHUB_ACTOR", "/sender/login", "/workflow_run/actor/login"),
    notes=(
        (
            is_set("ACT"),
            "act",
            "This runs under nektos/act (ACT is set): ids and addresses of the run are not real.",
        ),
    ),
)


# A merged-results pipeline checks out a merge that is in no branch.
_merged = one_of("CI_MERGE_REQUEST_EVENT_TYPE", {"merged_result", "merge_train"})

GITLAB = Provider(
    name="gitlab",
    title="GitLab CI",
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


def _by_name(name: str, title: str, *marks: str, mimics: tuple[str, ...] = ()) -> Provider:
    return Provider(name=name, title=title, marks=marks, mimics=mimics)


# In the order of detection. Forges that also set GITHUB_ACTIONS stand before GitHub; GitHub stands before
# the systems that host its runners and leak their own variables into them.
PROVIDERS: tuple[Provider, ...] = (
    _by_name("forgejo", "Forgejo Actions", "FORGEJO_ACTIONS", mimics=("gitea", "github")),
    _by_name("gitea", "Gitea Actions", "GITEA_ACTIONS", mimics=("github",)),
    GITHUB,
    GITLAB,
    _by_name("azure", "Azure Pipelines", "TF_BUILD"),
    _by_name("bitbucket", "Bitbucket Pipelines", "BITBUCKET_BUILD_NUMBER"),
    _by_name("circleci", "CircleCI", "CIRCLECI"),
    _by_name("buildkite", "Buildkite", "BUILDKITE"),
    _by_name("harness", "Harness", "HARNESS_BUILD_ID", mimics=("drone",)),
    _by_name("drone", "Drone", "DRONE"),
    _by_name("teamcity", "TeamCity", "TEAMCITY_VERSION"),
    _by_name("travis", "Travis CI", "TRAVIS"),
    _by_name("appveyor", "AppVeyor", "APPVEYOR"),
    _by_name("bitrise", "Bitrise", "BITRISE_BUILD_SLUG"),
    _by_name("buddy", "Buddy", "BUDDY", "BUDDY_WORKSPACE_ID"),
    _by_name("codefresh", "Codefresh", "CF_BUILD_ID"),
    _by_name("semaphore", "Semaphore", "SEMAPHORE"),
    _by_name("cirrus", "Cirrus CI", "CIRRUS_CI"),
    _by_name("codebuild", "AWS CodeBuild", "CODEBUILD_BUILD_ID"),
    _by_name("jenkins", "Jenkins", "JENKINS_URL"),
)

# The last resort: something says that it is a CI.
GENERIC = Provider(name="generic", title="a CI", marks=("CI",))

NO_CI = Provider(name="", title="no CI", marks=())

ORCHESTRATORS: tuple[OrchestratorRow, ...] = (
    OrchestratorRow(
        name="airflow",
        marks=("AIRFLOW_CTX_DAG_ID",),
        fields={
            "job": var("AIRFLOW_CTX_DAG_ID"),
            "task": var("AIRFLOW_CTX_TASK_ID"),
            "run_id": var("AIRFLOW_CTX_DAG_RUN_ID"),
            "attempt": var("AIRFLOW_CTX_TRY_NUMBER"),
        },
    ),
    OrchestratorRow(
        name="dagster",
        marks=("DAGSTER_CLOUD_DEPLOYMENT_NAME",),
        fields={"job": var("DAGSTER_RUN_JOB_NAME")},
    ),
    OrchestratorRow(
        name="prefect",
        marks=("PREFECT__FLOW_RUN_ID",),
        fields={"job": var("PREFECT__FLOW_NAME"), "run_id": var("PREFECT__FLOW_RUN_ID")},
    ),
    OrchestratorRow(
        name="argo",
        marks=("ARGO_WORKFLOW_NAME",),
        fields={"run_id": var("ARGO_WORKFLOW_NAME"), "task": var("ARGO_NODE_ID")},
    ),
    OrchestratorRow(
        name="dbt-cloud",
        marks=("DBT_CLOUD_RUN_ID",),
        fields={"job": var("DBT_CLOUD_JOB_ID"), "run_id": var("DBT_CLOUD_RUN_ID")},
    ),
)
