"""The context of a run, one file of tests/fixtures/ci per case. `expected.fields` names every field that is
known; all others must be null."""

import json
from pathlib import Path

import pytest

from qalita_action import ci
from qalita_action.ci.fields import branch, fmt, match, tag, var
from qalita_action.ci.orchestrators import ORCHESTRATORS
from qalita_action.ci.providers import PROVIDERS
from qalita_action.ci.row import Provider
from qalita_action.model import CIContext

FIXTURES = Path(__file__).parent / "fixtures" / "ci"
CASES = sorted(FIXTURES.glob("*/*.json"))


def fields(context: CIContext) -> dict[str, object]:
    git = {name: getattr(context.git, name) for name in context.git.__struct_fields__}
    return git | {name: getattr(context.ci, name) for name in context.ci.__struct_fields__}


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_case(path: Path, tmp_path: Path):
    check(path, tmp_path, PROVIDERS)


def check(path: Path, tmp_path: Path, table: tuple[Provider, ...]) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    env = dict(case["env"])
    if "event" in case:
        env["GITHUB_EVENT_PATH"] = str(tmp_path / "event.json")
        (tmp_path / "event.json").write_text(json.dumps(case["event"]), encoding="utf-8")
    overrides = {name: tuple(word) for name, word in case.get("overrides", {}).items()}
    (workspace := tmp_path / "workspace").mkdir()

    context = ci.detect(env, workspace, overrides, table)

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


OTHERS = "other"  # no provider, the generic one, and what must not be taken for one


@pytest.mark.parametrize("row", PROVIDERS, ids=lambda row: row.name)
def test_there_are_cases_enough(row):
    many = {"github", "gitlab", "azure", "bitbucket", "jenkins", "buildkite", "circleci"}
    assert sum(path.parent.name == row.name for path in CASES) >= (12 if row.name in many else 2)


@pytest.mark.parametrize("row", [*PROVIDERS, *ORCHESTRATORS], ids=lambda row: row.name)
def test_every_row_names_the_page_it_is_written_from(row):
    assert row.docs.startswith("https://")


def test_the_names_of_the_table_are_those_of_the_folders():
    names = [row.name for row in PROVIDERS]
    assert len(set(names)) == len(names)
    assert {path.parent.name for path in CASES} == {*names, OTHERS}


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_case_says_where_its_values_are_from(path):
    case = json.loads(path.read_text(encoding="utf-8"))
    assert case.keys() <= {"env", "event", "overrides", "expected", "source", "values"}
    assert case.get("values", "made") in {"made", "published"}
    if case.get("values") == "published":
        assert case["source"].startswith("https://")


# ---------------------------------------------------------------- one row and one data file

MADE_UP = Provider(
    name="acme-ci",
    title="Acme CI",
    docs="https://example.com/acme-ci/variables",
    marks=("ACME_CI",),
    companions=("ACME_RUN",),
    fields={
        "sha": var("ACME_COMMIT"),
        "branch": branch("ACME_REF"),
        "tag": tag("ACME_REF"),
        "default_branch": var("ACME_DEFAULT"),
        "change_id": match(r"change/([0-9]+)", var("ACME_CHANGE")),
        "pipeline_id": var("ACME_RUN"),
        "pipeline_url": fmt("https://ci.example.com/runs/{ACME_RUN}"),
    },
)


def test_a_made_up_provider_takes_one_row_and_one_data_file(tmp_path):
    (folder := tmp_path / "acme-ci").mkdir()
    case = {
        "env": {
            "ACME_CI": "yes",
            "ACME_RUN": "7",
            "ACME_COMMIT": "9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c",
            "ACME_REF": "refs/heads/feat",
            "ACME_DEFAULT": "main",
            "ACME_CHANGE": "change/12",
        },
        "expected": {
            "fields": {
                "provider": "acme-ci",
                "sha": "9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c",
                "branch": "feat",
                "default_branch": "main",
                "change_id": "12",
                "pipeline_id": "7",
                "pipeline_url": "https://ci.example.com/runs/7",
            },
            "environment": None,
            "is_change": True,
            "is_dependabot": False,
            "warnings": [],
        },
        "source": "made",
    }
    (folder / "change.json").write_text(json.dumps(case), encoding="utf-8")
    check(folder / "change.json", tmp_path, (MADE_UP, *PROVIDERS))
    line = ci.docker_args(case["env"], tmp_path, table=(MADE_UP, *PROVIDERS))
    assert line == "-e ACME_CHANGE -e ACME_CI -e ACME_COMMIT -e ACME_DEFAULT -e ACME_REF -e ACME_RUN"


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


def test_the_page_of_a_flow_run(tmp_path):
    env = {"PREFECT__FLOW_RUN_ID": "a1", "PREFECT_UI_URL": "https://u:p@prefect.example.com/"}
    assert ci.detect(env, tmp_path).orchestrator.url == "https://prefect.example.com/runs/flow-run/a1"


def test_without_a_checkout_gitpython_is_not_even_imported(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from qalita_action import ci;"
        f"ci.detect({{'CI': 'true'}}, Path({str(tmp_path)!r})); sys.exit('git' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_importing_the_package_does_not_import_gitpython():
    import subprocess
    import sys

    code = "import sys, qalita_action.ci; sys.exit('git' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
