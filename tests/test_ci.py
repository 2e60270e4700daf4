"""The context of a run, one file of tests/fixtures/ci per case. `expected.fields` names every field that is
known; all others must be null."""

import json
from pathlib import Path

import pytest

from qalita_action import ci
from qalita_action.model import CIContext

FIXTURES = Path(__file__).parent / "fixtures" / "ci"
CASES = sorted(FIXTURES.glob("*/*.json"))


def fields(context: CIContext) -> dict[str, object]:
    git = {name: getattr(context.git, name) for name in context.git.__struct_fields__}
    return git | {name: getattr(context.ci, name) for name in context.ci.__struct_fields__}


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_case(path: Path, tmp_path: Path):
    case = json.loads(path.read_text(encoding="utf-8"))
    env = dict(case["env"])
    if "event" in case:
        env["GITHUB_EVENT_PATH"] = str(tmp_path / "event.json")
        (tmp_path / "event.json").write_text(json.dumps(case["event"]), encoding="utf-8")
    overrides = {name: tuple(word) for name, word in case.get("overrides", {}).items()}
    (workspace := tmp_path / "workspace").mkdir()

    context = ci.detect(env, workspace, overrides)

    expected = case["expected"]
    found = fields(context)
    assert {name: value for name, value in found.items() if value is not None} == expected["fields"]
    assert context.environment == expected["environment"]
    assert context.is_change is expected["is_change"]
    assert context.is_dependabot is expected["is_dependabot"]
    assert sorted(warning.code for warning in context.warnings) == expected["warnings"]
    for name, source in expected.get("sources", {}).items():
        assert context.sources[name] == source, name
    assert set(context.sources) == set(found)
    assert {name for name, source in context.sources.items() if source} == set(expected["fields"])
    assert case["source"] == "made" or case["source"].startswith("https://")


@pytest.mark.parametrize("provider", ["github", "gitlab"])
def test_there_are_cases_enough(provider):
    assert sum(path.parent.name == provider for path in CASES) >= 12


def gitlab(**more: str) -> dict[str, str]:
    return json.loads((FIXTURES / "gitlab" / "default-branch.json").read_text(encoding="utf-8"))["env"] | more


def test_the_table_for_people_has_a_source_for_every_known_field(tmp_path):
    table = ci.rows(ci.detect(gitlab(), tmp_path))
    assert table[0] == ("sha", "9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c", "env:CI_COMMIT_SHA")
    assert ("branch", "main", "env:CI_COMMIT_BRANCH") in table
    assert ("tag", "", "") in table
    assert table[-1] == ("is_change", "no", "")


def test_the_document_for_programs(tmp_path):
    document = ci.to_document(ci.detect(gitlab(AIRFLOW_CTX_DAG_ID="nightly"), tmp_path))
    assert set(document) == {"schemaVersion", "fields", "orchestrator", "warnings"}
    assert document["schemaVersion"] == "1"
    assert document["fields"]["pipeline_id"] == {"value": "4294967299", "source": "env:CI_PIPELINE_ID"}
    assert document["fields"]["attempt"] == {"value": None, "source": None}
    assert json.loads(json.dumps(document)) == document
    assert document["orchestrator"]["name"] == "airflow"


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        (
            {
                "AIRFLOW_CTX_DAG_ID": "nightly",
                "AIRFLOW_CTX_TASK_ID": "dbt",
                "AIRFLOW_CTX_DAG_RUN_ID": "scheduled__2026-11-23T00:00:00+00:00",
                "AIRFLOW_CTX_TRY_NUMBER": "2",
            },
            ("airflow", "nightly", "dbt", "scheduled__2026-11-23T00:00:00+00:00", 2),
        ),
        ({"PREFECT__FLOW_RUN_ID": "r", "PREFECT__FLOW_NAME": "f"}, ("prefect", "f", None, "r", None)),
        ({"DAGSTER_CLOUD_DEPLOYMENT_NAME": "prod"}, ("dagster", None, None, None, None)),
        ({"ARGO_WORKFLOW_NAME": "w-1", "ARGO_NODE_ID": "n"}, ("argo", None, "n", "w-1", None)),
        ({"DBT_CLOUD_RUN_ID": "7", "DBT_CLOUD_JOB_ID": "1"}, ("dbt-cloud", "1", None, "7", None)),
    ],
)
def test_an_orchestrator_is_a_block_of_its_own(env, expected, tmp_path):
    found = ci.detect(env, tmp_path).orchestrator
    assert (found.name, found.job, found.task, found.run_id, found.attempt) == expected


def test_importing_the_package_does_not_import_gitpython():
    import subprocess
    import sys

    code = "import sys, qalita_action.ci; sys.exit('git' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
