"""The table of CI providers, in the order of detection. A row is written once, in one of the `rows_*`
modules; here stands who comes before whom. Must hold data, not flow: `detect` walks it."""

from __future__ import annotations

from qalita_action.ci.fields import one_of, var
from qalita_action.ci.row import Provider
from qalita_action.ci.rows_actions import FORGEJO, GITEA, GITHUB
from qalita_action.ci.rows_builders import BITRISE, BUDDY, CLOUD_BUILD, CODEBUILD, CODEFRESH, DBT_CLOUD
from qalita_action.ci.rows_clouds import APPVEYOR, BUILDKITE, CIRCLECI, CIRRUS, SEMAPHORE, TRAVIS
from qalita_action.ci.rows_forges import AZURE, BITBUCKET, GITLAB
from qalita_action.ci.rows_servers import DRONE, HARNESS, JENKINS, TEAMCITY, WOODPECKER

# Forges that also set GITHUB_ACTIONS stand before GitHub; GitHub before CodeBuild and Jenkins, which host its
# runners and leak their own variables into them; Harness before Drone, whose variables it sets; Jenkins
# before Cloud Build, which shares BUILD_ID with it.
PROVIDERS: tuple[Provider, ...] = (
    FORGEJO,
    GITEA,
    GITHUB,
    GITLAB,
    AZURE,
    BITBUCKET,
    CIRCLECI,
    BUILDKITE,
    WOODPECKER,
    HARNESS,
    DRONE,
    TEAMCITY,
    TRAVIS,
    APPVEYOR,
    BITRISE,
    BUDDY,
    CODEFRESH,
    SEMAPHORE,
    CIRRUS,
    CODEBUILD,
    JENKINS,
    CLOUD_BUILD,
    DBT_CLOUD,
)

# The last resort: something says that it is a CI.
GENERIC = Provider(name="generic", title="a CI", marks=("CI",))

# A laptop, or an orchestrator. Dagster+ tells the commit of a branch deployment, which is a change's.
NO_CI = Provider(
    name="",
    title="no CI",
    marks=(),
    fields={
        "sha": var("DAGSTER_CLOUD_GIT_SHA"),
        "branch": var("DAGSTER_CLOUD_GIT_BRANCH"),
        "change_id": var("DAGSTER_CLOUD_PULL_REQUEST_ID"),
    },
    is_change=one_of("DAGSTER_CLOUD_IS_BRANCH_DEPLOYMENT", {"1", "true"}),
)
