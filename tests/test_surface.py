"""One setting, one name, everywhere: the command line, the Action, the README, the reference, the schema and the
GitLab template are held to the settings, by reading each of them as its own users do.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from command import run

from qalita_action.knobs import KNOBS, NOT_FROM_FILE, ONE_RUN, SWITCHES
from qalita_action.report.files import DOTENV, JUNIT, LINKS, QUALITY
from qalita_action.settings import ENV_NAMES, Settings

ROOT = Path(__file__).resolve().parent.parent
NAMES = tuple(name.replace("_", "-") for name in KNOBS)
FLAGS = frozenset(NAMES) - {"path"}  # path is the argument


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.fixture(scope="module")
def action():
    return yaml.safe_load(text("action.yml"))


@pytest.fixture(scope="module")
def schema():
    return json.loads(text("docs/qalita.schema.json"))


def test_words_and_types_speak_of_the_same_settings():
    assert list(KNOBS) == list(Settings.model_fields)


def test_every_word_names_a_setting():
    assert set(KNOBS) >= SWITCHES | NOT_FROM_FILE | ONE_RUN | ENV_NAMES.keys()


def test_a_switch_is_what_is_true_or_false():
    assert {n for n, f in Settings.model_fields.items() if f.annotation is bool} == SWITCHES


@pytest.mark.parametrize("name", [n for n, k in KNOBS.items() if "|" in k.shown])
def test_the_words_of_a_choice_are_those_that_are_accepted(name):
    shown = KNOBS[name].shown.split("|")
    for word in shown:
        assert getattr(Settings(**{name: word}), name) == word
    with pytest.raises(ValueError, match=name):
        Settings(**{name: "no-such-word"})


@pytest.mark.parametrize("command", ["dbt", "check"])
def test_the_help_names_every_flag(command, tmp_path):
    done = run(command, "--help", cwd=tmp_path, env={"COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    flags = set(re.findall(r"^\s+--([a-z-]+)", done.stdout, re.MULTILINE)) - {"help"}
    missing = {"dry-run", "output"} if command == "check" else set()
    assert flags == FLAGS - missing


# ---------------------------------------------------------------- the Action


def test_every_setting_is_an_input_and_no_input_is_anything_else(action):
    assert tuple(action["inputs"]) == NAMES


def test_no_input_takes_a_name_that_the_runner_keeps_for_itself(action):
    assert not {"args", "entrypoint"} & action["inputs"].keys()


def test_an_input_has_a_default_only_where_a_context_knows_it(action):
    """A default would reach the container as if it had been typed, and qalita.yml would never count."""
    defaults = {name: entry["default"] for name, entry in action["inputs"].items() if "default" in entry}
    assert defaults == {
        "github-token": "${{ github.token }}",
        "job-id": "${{ job.check_run_id }}",
        "matrix": "${{ toJSON(matrix) }}",
        "job-status": "${{ job.status }}",
    }


def test_an_input_is_described_with_its_effective_default(action):
    for name, knob in KNOBS.items():
        described = action["inputs"][name.replace("_", "-")]["description"]
        assert knob.default in described
        assert "${{" not in described


def test_an_input_is_required_nowhere(action):
    """`required` is not enforced by the runner, so it would promise what nobody holds."""
    assert all(entry["required"] is False for entry in action["inputs"].values())


# ---------------------------------------------------------------- what is written for people


def test_the_reference_has_an_entry_for_each_setting():
    reference = text("docs/reference.md")
    assert tuple(re.findall(r'^### <a id="([a-z-]+)"></a>', reference, re.MULTILINE)) == NAMES
    rows = re.findall(r"^\| `([^`]+)` \| (.*?) \| `([a-z-]+)` \| (.*) \| (\S+) \|$", reference, re.MULTILINE)
    assert tuple(row[2] for row in rows) == NAMES
    for (name, knob), (takes, default, _, variables, key) in zip(KNOBS.items(), rows, strict=True):
        expected = "true|false" if name in SWITCHES else knob.shown
        assert takes.replace("\\|", "|") == expected
        assert default == knob.default
        for variable in variables.replace("`", "").split(", "):
            assert variable in ENV_NAMES.get(name, ("QALITA_" + name.upper(),))
        assert (key == "–") == (name in NOT_FROM_FILE | ONE_RUN)


def test_the_readme_has_a_row_for_each_setting():
    rows = re.findall(r"^\| \[`([a-z-]+)`\]\(docs/reference\.md#\1\) \|", text("README.md"), re.MULTILINE)
    assert tuple(rows) == NAMES


def test_the_readme_names_no_flag_that_there_is_not():
    prose = re.sub(r"^```.*?^```$", "", text("README.md"), flags=re.DOTALL | re.MULTILINE)
    foreign = {"env", "vars", "docker-args", "yes"}  # docker's, dbt's, and those of context and setup
    named = {f for part in re.findall(r"`[^`]*`", prose) for f in re.findall(r"--([a-z-]+)", part)}
    assert named <= FLAGS | foreign
    assert len(named & FLAGS) > 5


def test_what_is_generated_is_up_to_date():
    """Renew it with `python scripts/make_reference.py`."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import make_reference
    finally:
        sys.path.remove(str(ROOT / "scripts"))
    stale = [name for name, write in make_reference.TARGETS.items() if write(text(name)) != text(name)]
    assert not stale, f"python scripts/make_reference.py renews {stale}"


# ---------------------------------------------------------------- qalita.yml


def test_the_schema_knows_the_keys_of_the_settings_file_and_no_others(schema):
    expected = {n.replace("_", "-") for n in KNOBS if n not in NOT_FROM_FILE | ONE_RUN}
    assert schema["properties"].keys() == expected
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("content", "fits"),
    [
        ({"fail-on": "warn", "env": "prod", "results": ["a.json", "b.json"]}, True),
        ({"results": "a.json"}, True),
        ({"fail-on": "sometimes"}, False),
        ({"token": "x"}, False),
        ({"endpoint": "https://example.com"}, False),
        ({"dry-run": True}, False),
    ],
)
def test_the_schema_accepts_what_the_settings_accept(schema, content, fits):
    jsonschema.Draft202012Validator.check_schema(schema)
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors(content))
    assert (not errors) == fits


# ---------------------------------------------------------------- GitLab


@pytest.fixture(scope="module")
def gitlab():
    return yaml.safe_load(text("gitlab-ci-template.yml"))


@pytest.fixture(scope="module")
def component():
    """spec.inputs, and the jobs."""
    head, jobs = yaml.safe_load_all(text("templates/dbt-ingest/template.yml"))
    return head["spec"]["inputs"], jobs


@pytest.fixture(params=["template", "component"])
def job(request, gitlab, component):
    return gitlab["qalita-ingest"] if request.param == "template" else component[1]["$[[ inputs.job-name ]]"]


def test_the_template_can_be_included_as_a_file(gitlab):
    """`spec:` would make it a component; a global keyword would change the jobs of whoever includes it."""
    assert gitlab.keys() == {"variables", ".qalita-dbt", "qalita-ingest"}


@pytest.mark.parametrize("name", ["gitlab-ci-template.yml", "templates/dbt-ingest/template.yml"])
def test_the_template_names_no_variable_that_nothing_reads(name):
    known = {v for n in KNOBS for v in ENV_NAMES.get(n, ("QALITA_" + n.upper(),))} | {"QALITA_IMAGE"}
    named = set(re.findall(r"\bQALITA_[A-Z_]+", text(name)))
    assert named
    assert {n for n in named - {"QALITA_"} if not n.startswith("QALITA_RESULT_")} <= known


def test_the_component_hands_every_setting_over_as_a_variable(component):
    """INPUT_X outranks QALITA_X, and an empty one leaves it its say: the variables of a pipeline still count."""
    inputs, jobs = component
    variables = jobs["$[[ inputs.job-name ]]"]["variables"]
    settings = inputs.keys() & set(NAMES)
    assert len(settings) > 5
    assert variables == {f"INPUT_{n.upper().replace('-', '_')}": f"$[[ inputs.{n} ]]" for n in settings}
    assert all(inputs[name]["default"] == "" for name in settings)
    for name in settings & {n.replace("_", "-") for n, k in KNOBS.items() if "|" in k.shown}:
        assert inputs[name]["options"] == ["", *KNOBS[name.replace("-", "_")].shown.split("|")]


def test_every_input_of_the_component_is_described_and_has_a_default(component):
    assert all(entry["description"] and "default" in entry for entry in component[0].values())


def test_the_job_runs_its_script_after_a_red_build_too(job, gitlab, component):
    assert job["image"]["entrypoint"] == [""], "else GitLab passes without a script"
    assert job["script"] == ["qalita-ingest dbt"]
    assert gitlab["qalita-ingest"]["rules"] == component[0]["rules"]["default"] == [{"when": "always"}]
    assert gitlab[".qalita-dbt"] == component[1][".qalita-dbt"]
    assert gitlab[".qalita-dbt"]["artifacts"]["when"] == "always"


def test_only_an_outage_is_allowed_to_fail(job):
    assert job["allow_failure"] == {"exit_codes": [4]}


def test_gitlab_reads_the_files_that_are_written(job):
    folder = Settings.model_fields["report_dir"].default
    assert job["artifacts"]["reports"] == {
        "junit": f"{folder}/{JUNIT}",
        "codequality": f"{folder}/{QUALITY}",
        "annotations": f"{folder}/{LINKS}",
        "dotenv": f"{folder}/{DOTENV}",
    }


def test_the_run_that_waits_is_kept(job):
    kept = job["artifacts"]
    assert kept["when"] == "always"
    folders = {Settings.model_fields[n].default + "/" for n in ("report_dir", "spool_dir")}
    assert set(kept["paths"]) == folders
