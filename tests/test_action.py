"""The Action and its image: what the files promise, and what entrypoint.py does in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from qalita_action import report
from qalita_action.errors import ExitCode
from qalita_action.model import ReportOptions, Verdict

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "examples/airquality/sample-target"


def start(*args: str, cwd: Path, env: dict[str, str] | None = None):
    """entrypoint.py as the image starts it, in an environment that holds nothing else."""
    return subprocess.run(
        [sys.executable, "-EBu", str(ROOT / "entrypoint.py"), *args],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), "LC_ALL": "C.UTF-8", **(env or {})},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.fixture
def workspace(tmp_path):
    shutil.copytree(SAMPLE, tmp_path / "target")
    return tmp_path


@pytest.fixture(scope="module")
def dockerfile():
    text = (ROOT / "Dockerfile").read_text("utf-8")
    joined = re.sub(r"\\\n(?:#.*\n)*", " ", text)
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(None, 1)) for line in lines]


# ---------------------------------------------------------------- action.yml


def test_the_action_runs_the_image_without_arguments():
    """`args:` would quote inputs a second time, and a shell would lose INPUT_FAIL-ON."""
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    assert action["runs"] == {"using": "docker", "image": "Dockerfile"}
    assert action.keys() == {"name", "description", "author", "branding", "inputs", "outputs", "runs"}


def test_the_outputs_are_those_that_a_run_writes(tmp_path):
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    nothing = Verdict(state="nothing-tested", blocks=False, reasons=())
    rendered = report.render((), nothing, (), ReportOptions(workspace=str(tmp_path)))
    assert action["outputs"].keys() == rendered.outputs.keys()
    assert all(entry["description"] for entry in action["outputs"].values())


# ---------------------------------------------------------------- entrypoint.py


def test_without_inputs_and_arguments_it_is_the_help(tmp_path):
    done = start(cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Usage: qalita-ingest" in done.stdout
    assert not list(tmp_path.iterdir())


def test_an_input_alone_makes_it_run(workspace):
    done = start(cwd=workspace, env={"INPUT_PUBLISH": "never"})
    assert done.returncode == ExitCode.GATE, done.stderr
    assert (workspace / "qalita-report/report.html").stat().st_size > 1000


def test_a_hyphen_in_an_input_survives(workspace):
    """`fail-on` reaches a container as INPUT_FAIL-ON, a name that a POSIX shell drops."""
    done = start(cwd=workspace, env={"INPUT_PUBLISH": "never", "INPUT_FAIL-ON": "never"})
    assert done.returncode == ExitCode.OK, done.stdout + done.stderr
    assert "4 of 51 checks failed" in done.stdout


def test_inputs_that_are_not_set_are_no_settings(workspace):
    """The runner hands over every input of action.yml, empty where the workflow says nothing."""
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    unset = {f"INPUT_{name.upper()}": "" for name in action["inputs"]}
    (workspace / "qalita.yml").write_text("fail-on: never\nenv: nightly\n")
    done = start(cwd=workspace, env={**unset, "INPUT_PUBLISH": "never"})
    assert done.returncode == ExitCode.OK, done.stdout + done.stderr
    assert "nightly" in done.stdout


@pytest.mark.parametrize("words", [["ingest", "dbt"], ["dbt"]])
def test_the_documented_command_works_to_the_letter(words, workspace):
    typed = (
        "--manifest target/manifest.json --results target/run_results.json --project opendata_dbt --env dev"
    )
    done = start(*words, *typed.split(), "--dry-run", "--output", "json", cwd=workspace)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["source"]["project"] == "opendata_dbt"
    assert len(document["checks"]) == len(document["results"]) > 40


def test_a_path_of_the_job_brings_no_code(workspace):
    """-E: PYTHONPATH is the job's, and the checkout may be a stranger's."""
    (workspace / "typer").mkdir()
    (workspace / "typer/__init__.py").write_text("raise SystemExit('code of the checkout ran')")
    done = start("--version", cwd=workspace, env={"PYTHONPATH": str(workspace)})
    assert done.returncode == 0, done.stderr


def test_it_can_be_a_command_by_itself():
    assert (ROOT / "entrypoint.py").stat().st_mode & 0o111 == 0o111
    assert (ROOT / "entrypoint.py").read_text("utf-8").startswith("#!/usr/local/bin/python -EBu\n")


# ---------------------------------------------------------------- the image


def test_the_image_has_no_shell_between_its_caller_and_python(dockerfile):
    entrypoint = [arguments for word, arguments in dockerfile if word == "ENTRYPOINT"]
    assert [json.loads(e) for e in entrypoint] == [["python", "-EBu", "/app/entrypoint.py"]]


def test_the_image_is_what_github_asks_of_an_action(dockerfile):
    """https://docs.github.com/en/actions/reference/dockerfile-support: no USER, no WORKDIR in what a plain build
    makes; and nothing that an older builder does not know.
    """
    words = {word for word, _ in dockerfile}
    assert words == {"ARG", "FROM", "COPY", "RUN", "LABEL", "ENV", "ENTRYPOINT", "USER"}
    stages = [a for w, a in dockerfile if w == "FROM"]
    assert stages == [
        "${BASE_IMAGE} AS builder",
        "${BASE_IMAGE} AS image",
        "image AS nonroot",
        "image AS action",
    ]
    stage = ""
    for word, arguments in dockerfile:
        stage = arguments.split()[-1] if word == "FROM" else stage
        assert word != "USER" or stage == "nonroot"


def test_the_base_is_pinned_by_digest(dockerfile):
    pinned = next(a for w, a in dockerfile if w == "ARG" and a.startswith("BASE_IMAGE="))
    assert re.fullmatch(r"BASE_IMAGE=python:3\.12-slim@sha256:[0-9a-f]{64}", pinned)


def test_the_image_installs_nothing_that_is_not_locked(dockerfile):
    installs = [a for w, a in dockerfile if (w == "RUN" and '"pip", "install"' in a) or "pip install" in a]
    assert len(installs) == 1
    for option in ("--require-hashes", "--no-deps", "--only-binary=:all:"):
        assert option in installs[0]
    assert not any("apt-get" in a or "apk " in a for _, a in dockerfile)


def test_the_lock_names_hashes_and_no_place():
    lock = (ROOT / "requirements/runtime.txt").read_text("utf-8")
    body = [line for line in lock.splitlines() if not line.startswith("#")]
    packages = [line for line in body if not line.startswith(" ")]
    assert all(
        re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; [a-z_0-9.<>='\" ]+)? \\", line) for line in packages
    )
    assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in body if line[0] == " ")
    assert "://" not in lock
    assert "index-url" not in "\n".join(body)


def test_the_lock_holds_what_the_package_needs():
    lock = (ROOT / "requirements/runtime.txt").read_text("utf-8")
    locked = dict(re.findall(r"^([a-z0-9-]+)==([0-9.]+)", lock, re.MULTILINE))
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    needed = project[project.index("\ndependencies = [") :].split("]", 1)[0]
    wanted = re.findall(r'"([a-z.-]+)>=([0-9.]+)(?:;[^"]*)?"', needed)
    assert len(wanted) == needed.count('"') / 2
    for name, least in wanted:
        found = tuple(int(part) for part in locked[name.replace(".", "-")].split("."))
        assert found >= tuple(int(part) for part in least.split(".")), name


def test_the_build_sees_only_what_the_image_is_made_of():
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {r for r in rules if r.startswith("!")} == {
        "!entrypoint.py",
        "!packs",
        "!qalita_action",
        "!requirements",
    }


# ---------------------------------------------------------------- our own workflows


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_a_workflow_has_no_more_than_it_needs(path):
    workflow = yaml.safe_load(path.read_text("utf-8"))
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"]
        assert job["timeout-minutes"] <= 30


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_a_workflow_pins_what_it_uses_and_pastes_nothing_into_a_shell(path):
    workflow = yaml.safe_load(path.read_text("utf-8"))
    for step in steps(workflow):
        assert "${{" not in step.get("run", "")
        used = step.get("uses", "./")
        assert used.startswith("./") or re.fullmatch(r"[\w-]+/[\w./-]+@[0-9a-f]{40}", used)


def test_the_action_is_tried_by_our_own_ci():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    used = [step for step in steps(workflow) if step.get("uses", "").startswith("./")]
    assert used
    assert all((ROOT / step["with"]["path"] / "manifest.json").is_file() for step in used)
    assert all(step["with"]["publish"] == "never" for step in used)


def test_every_promised_python_is_tested():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    tested = set(workflow["jobs"]["test"]["strategy"]["matrix"]["python"])
    promised = re.findall(
        r"Programming Language :: Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text("utf-8")
    )
    assert tested == set(promised)


# ---------------------------------------------------------------- what the contexts of GitHub tell


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        ("failure", ExitCode.OK, "::notice title=qalita-ingest::dbt left no artifacts"),
        ("cancelled", ExitCode.OK, "::notice title=qalita-ingest::dbt left no artifacts"),
        ("success", ExitCode.ARTIFACTS, "::error title=qalita-ingest::"),
        ("", ExitCode.ARTIFACTS, "::error title=qalita-ingest::"),
    ],
)
def test_nothing_found_after_an_earlier_failure_is_no_second_red(status, code, said, tmp_path):
    env = {"INPUT_PUBLISH": "never", "INPUT_JOB-STATUS": status, "GITHUB_ACTIONS": "true"}
    done = start(cwd=tmp_path, env=env)
    assert done.returncode == code, done.stderr
    assert said in done.stderr


def test_a_missing_token_is_told_after_an_earlier_failure_too(tmp_path):
    done = start(cwd=tmp_path, env={"INPUT_JOB-STATUS": "failure", "INPUT_FAIL-ON": "fail"})
    assert done.returncode == ExitCode.SETTINGS, done.stderr


def test_red_results_stay_red_after_an_earlier_failure(workspace):
    done = start(cwd=workspace, env={"INPUT_PUBLISH": "never", "INPUT_JOB-STATUS": "failure"})
    assert done.returncode == ExitCode.GATE, done.stderr


@pytest.mark.parametrize(
    ("matrix", "name"),
    [
        ('{"dbt": "1.10", "db": {"name": "duckdb"}}', 'build (1.10, {"name": "duckdb"})'),
        ("null", "build"),
        ("{}", "build"),
        ("", "build"),
    ],
)
def test_the_legs_of_a_matrix_are_told_apart(matrix, name, tmp_path):
    github = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1", "GITHUB_JOB": "build"}
    done = start("context", "--output", "json", cwd=tmp_path, env={**github, "INPUT_MATRIX": matrix})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fields"]["job_name"]["value"] == name


def test_a_matrix_that_is_none_is_told(tmp_path):
    done = start("context", "--matrix", "[1]", cwd=tmp_path)
    assert done.returncode == ExitCode.SETTINGS
    assert "toJSON(matrix)" in done.stderr


# ---------------------------------------------------------------- the composite action


@pytest.fixture(scope="module")
def both():
    return [
        yaml.safe_load((ROOT / name).read_text("utf-8")) for name in ("action.yml", "composite/action.yml")
    ]


def test_the_two_actions_take_and_give_the_same(both):
    docker, composite = both
    assert composite["inputs"] == docker["inputs"]
    assert composite["outputs"].keys() == docker["outputs"].keys()
    for name, entry in composite["outputs"].items():
        assert entry["value"] == f"${{{{ steps.ingest.outputs.{name} }}}}"


def test_the_composite_action_hands_every_input_over_and_pastes_none_into_a_shell(both):
    (step,) = both[1]["runs"]["steps"]
    assert "${{" not in step["run"]
    assert set(step["env"].values()) == {f"${{{{ inputs.{name} }}}}" for name in both[0]["inputs"]}
    for variable, value in step["env"].items():
        assert f"inputs.{variable.removeprefix('INPUT_').lower().replace('_', '-')} " in value
