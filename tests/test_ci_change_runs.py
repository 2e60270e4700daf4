"""Which environment, and so which source of the platform, each kind of run writes to: the contexts are detected
from the runs under fixtures/ci, the evidence is a real dbt run."""

import json
from pathlib import Path

import msgspec
import pytest

from qalita_action import ci, dbt, mapping
from qalita_action.mapping.ingest import environment_of
from qalita_action.model import Policy, Tool

HERE = Path(__file__).parent / "fixtures"
PROD = Policy(project="shop", environment="prod", tool=Tool(name="t", version="0"))
UNSAID = msgspec.structs.replace(PROD, environment=None)

# The run, where it writes under `env: prod`, and where without a word from the user.
MATRIX = [
    ("github/pull-request", "ci", "ci"),
    ("github/pull-request-from-fork", "ci", "ci"),
    ("github/pull-request-from-fork-named-main", "ci", "ci"),
    ("github/pull-request-target", "ci", "ci"),
    ("github/pull-request-merged", "ci", "ci"),
    ("github/pull-request-without-payload", "ci", "ci"),
    ("github/merge-group-base-with-slash", "ci", "ci"),
    ("github/merge-group-without-payload", "ci", "ci"),
    ("github/workflow-run-after-fork", "ci", "ci"),
    ("github/push-feature-branch", "ci", "ci"),
    ("github/push-tag", "prod", "dev"),
    ("github/push-default-branch", "prod", "dev"),
    ("github/schedule", "prod", "dev"),
    ("github/workflow-run-after-push", "prod", "dev"),
    ("github/deployment", "prod", "production"),
    ("gitlab/feature-branch", "ci", "ci"),
    ("gitlab/branch-with-open-merge-request", "prod", "dev"),
    ("gitlab/merge-request-detached", "ci", "ci"),
    ("gitlab/merge-request-from-fork", "ci", "ci"),
    ("gitlab/merge-train", "ci", "ci"),
    ("gitlab/external-pull-request", "ci", "ci"),
    ("gitlab/tag", "prod", "dev"),
    ("gitlab/default-branch", "prod", "dev"),
    ("gitlab/environment", "prod", "production"),
    ("gitlab/default-branch-unknown", "prod", "dev"),
    ("gitea/pull-request-of-a-fork", "ci", "ci"),
    ("azure/log-of-a-pull-request", "ci", "ci"),
    ("azure/tag", "prod", "dev"),
    ("azure/deployment-job", "prod", "prod"),
    ("bitbucket/log-of-a-pull-request", "ci", "ci"),
    ("bitbucket/feature-branch-user-says-default", "ci", "ci"),
    ("bitbucket/default-branch-user-says-default", "prod", "dev"),
    ("circleci/pull-request-of-a-fork-by-its-branch-alone", "ci", "ci"),
    ("circleci/default-branch-that-has-a-pull-request-open", "prod", "dev"),
    ("jenkins/multibranch-pull-request-without-checkout", "ci", "ci"),
    ("jenkins/multibranch-default-branch", "prod", "dev"),
    ("jenkins/multibranch-tag", "prod", "dev"),
    ("buildkite/merge-queue", "ci", "ci"),
    ("buildkite/merge-queue-on-the-default-branchs-name", "ci", "ci"),
    ("buildkite/feature-branch", "ci", "ci"),
    ("buildkite/documented-values", "prod", "dev"),
    ("woodpecker/documented-pull-request", "ci", "ci"),
    ("dbt-cloud/pull-request", "ci", "ci"),
    ("other/dagster-branch-deployment", "ci", "ci"),
    ("other/nothing", "prod", "dev"),
]


@pytest.fixture(scope="module")
def evidence():
    (found,) = dbt.locate(dbt.Places(path=str(HERE / "dbt" / "1.10" / "build")), HERE, {})
    return msgspec.structs.replace(dbt.read(found, dbt.Vetting()), dbt_target="dev")


def context_of(name: str, tmp_path: Path):
    case = json.loads((HERE / "ci" / f"{name}.json").read_text(encoding="utf-8"))
    env = dict(case["env"])
    if "event" in case:
        env["GITHUB_EVENT_PATH"] = str(tmp_path / "event.json")
        (tmp_path / "event.json").write_text(json.dumps(case["event"]), encoding="utf-8")
    (workspace := tmp_path / "workspace").mkdir()
    return ci.detect(env, workspace, {k: tuple(v) for k, v in case.get("overrides", {}).items()})


@pytest.mark.parametrize(("name", "under_prod", "unsaid"), MATRIX, ids=[row[0] for row in MATRIX])
def test_where_it_writes(name, under_prod, unsaid, evidence, tmp_path):
    context = context_of(name, tmp_path)
    assert environment_of(evidence.dbt_target, context, PROD) == under_prod
    assert environment_of(evidence.dbt_target, context, UNSAID) == unsaid
    source = mapping.to_ingest(evidence, context, PROD).source
    assert (source.name, source.environment) == (f"shop-{under_prod}", under_prod)


def test_whoever_opts_out_writes_where_env_says(evidence, tmp_path):
    same = msgspec.structs.replace(PROD, change_environment="same")
    assert environment_of(evidence.dbt_target, context_of("github/pull-request", tmp_path), same) == "prod"


def test_the_users_own_word_on_the_default_branch_makes_a_change_of_another_branch(evidence, tmp_path):
    env = json.loads((HERE / "ci" / "bitbucket" / "default-branch.json").read_text(encoding="utf-8"))["env"]
    words = {"default_branch": ("trunk", "flag")}
    assert environment_of(evidence.dbt_target, ci.detect(env, tmp_path, words), PROD) == "ci"
