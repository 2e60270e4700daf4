"""What the templates of other systems write for a shell, run by bash as each system would: dbt is red, the step after it
runs all the same, is told dbt's exit code, and its own is the job's. The systems themselves are not here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from command import run

from qalita_action.errors import ExitCode
from qalita_action.knobs import KNOBS
from qalita_action.settings import ENV_NAMES

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "examples/airquality/sample-target"
OURS = Path(sys.executable).parent / "qalita-ingest"
NOTHING = "#!/bin/sh\nexit 0\n"


def read(name: str):
    return yaml.safe_load((ROOT / "templates" / name).read_text("utf-8"))


def azure() -> str:
    """A shell a step, without -e; a variable is set by a line of the log."""
    steps = [step["script"] for step in read("azure/azure-pipelines.yml")["steps"] if "script" in step]
    told = r"sed -n 's/^##vso\[task.setvariable variable=\(.*\)\]\(.*\)$/export \1=\2/p'"
    return (
        "".join(
            f'cat > step.sh <<"END"\n{s}\nEND\neval "$(bash step.sh | tee /dev/stderr | {told})"\n'
            for s in steps[:-1]
        )
        + steps[-1]
    )


def bitbucket() -> str:
    """One shell with -e."""
    (entry,) = read("bitbucket/bitbucket-pipelines.yml")["definitions"]["steps"]
    return "set -e\n" + "\n".join(entry["step"]["script"])


def circleci() -> str:
    """A shell a step, with -eo pipefail, each of which reads $BASH_ENV."""
    steps = [s["run"] for s in read("circleci/config.yml")["jobs"]["dbt"]["steps"] if "run" in s]
    texts = [step if isinstance(step, str) else step["command"] for step in steps]
    one = 'export BASH_ENV="$PWD/bash.env"; touch "$BASH_ENV"; set -e\n'
    return one + "".join(f"bash -eo pipefail <<'END'\n{text}\nEND\n" for text in texts)


def buildkite() -> str:
    """Commands in one shell with -e; the upload makes `$` of `$$`."""
    (step,) = read("buildkite/pipeline.yml")["steps"]
    return "set -e\n" + "\n".join(step["commands"]).replace("$$", "$")


@pytest.fixture
def machine(tmp_path):
    """A checkout, and a PATH whose dbt leaves the example's results and ends red; nothing is installed for real."""
    programs = tmp_path / "bin"
    programs.mkdir()
    shims = {
        "dbt": f"#!/bin/sh\nmkdir -p target && cp {SAMPLE}/*.json target/\nexit 1\n",
        "pip": NOTHING,
        "python": NOTHING,
        "pipx": f'#!/bin/sh\n[ "$1 $2 $3 $4" = "run --spec qalita-dbt-ingest qalita-ingest" ] || exit 99\nshift 4\nexec {OURS} "$@"\n',
    }
    for folder in ("opt/qalita/bin", "home/qalita/bin"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "qalita-ingest").symlink_to(OURS)
        (tmp_path / folder / "pip").write_text(NOTHING)
        (tmp_path / folder / "pip").chmod(0o755)
    for name, text in shims.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (tmp_path / "work").mkdir()
    return tmp_path


@pytest.mark.parametrize("script", [azure, bitbucket, circleci, buildkite], ids=lambda f: f.__name__)
def test_a_red_dbt_is_told_by_the_step_after_it(script, machine):
    text = script().replace("/opt/qalita", f"{machine}/opt/qalita")
    done = subprocess.run(
        ["bash", "-c", text],
        cwd=machine / "work",
        env={
            "PATH": f"{machine}/bin:{os.environ['PATH']}",
            "HOME": str(machine / "home"),
            "LC_ALL": "C.UTF-8",
            "QALITA_PUBLISH": "never",
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == ExitCode.GATE, done.stdout + done.stderr
    assert "4 of 51 checks failed" in done.stdout
    document = json.loads((machine / "work/qalita-report/ingest.json").read_text("utf-8"))
    assert document["run"]["dbt_exit_code"] == 1


# ---------------------------------------------------------------- dbt Cloud

CLOUD = sorted((ROOT / "templates/dbt-cloud").glob("*.yml"))
WORKFLOWS = [path for path in CLOUD if path.name != "gitlab.yml"]


def steps(path: Path) -> list[dict]:
    return [step for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values() for step in job["steps"]]


def bash(script: str, folder: Path, **env: str):
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env={"PATH": f"{folder}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", **env},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_a_workflow_may_do_little_and_pastes_nothing_into_a_shell(path):
    workflow = yaml.safe_load(path.read_text("utf-8"))
    assert workflow["permissions"] == {}
    rights = [job.get("permissions", {}) for job in workflow["jobs"].values()]
    assert all(right.items() <= {"contents": "read", "pull-requests": "write"}.items() for right in rights)
    assert not any("${{" in step.get("run", "") for step in steps(path))
    foreign = [s["uses"] for s in steps(path) if "uses" in s and "qalita/dbt-ingest" not in s["uses"]]
    assert all(re.search(r"@[0-9a-f]{40}$", action) for action in foreign)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_a_workflow_gives_the_action_inputs_that_exist_and_tokens_from_secrets(path):
    names = {name.replace("_", "-") for name in KNOBS}
    for step in steps(path):
        given = step.get("with", {}) if step.get("uses", "").startswith("qalita/") else {}
        assert given.keys() <= names
        for name, value in {**given, **step.get("env", {})}.items():
            if "TOKEN" in name.upper():
                assert re.fullmatch(r"\$\{\{ (secrets\.[A-Z_]+|github\.token) \}\}", value)


def status_step(folder: Path, url: str, account: str = "12345"):
    (step,) = [s for s in steps(ROOT / "templates/dbt-cloud/on-status.yml") if "run" in s]
    assert set(step["env"]) == {"ACCOUNT", "TARGET_URL"}
    output = folder / "output"
    output.write_text("")
    done = bash(step["run"], folder, ACCOUNT=account, TARGET_URL=url, GITHUB_OUTPUT=str(output))
    return done.returncode, output.read_text(), done.stdout + done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "https://cloud.getdbt.com/deploy/12345/projects/6/runs/789",
        "https://cloud.getdbt.com/deploy/12345/projects/6/runs/789/",
        "https://cloud.getdbt.com/#/accounts/12345/projects/6/runs/789/",
    ],
)
def test_the_run_is_taken_from_the_address_of_the_status(url, tmp_path):
    assert status_step(tmp_path, url)[:2] == (0, "path=dbtcloud://12345/runs/789\n")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://cloud.getdbt.com/deploy/12345/projects/6/runs/",
        "https://cloud.getdbt.com/runs/$(touch owned)",
        "https://cloud.getdbt.com/runs/1`touch owned`",
        "https://cloud.getdbt.com/runs/1; touch owned",
        "https://cloud.getdbt.com/runs/1\npath=s3://elsewhere/",
        "https://cloud.getdbt.com/\n/runs/1",
        "https://cloud.getdbt.com/x?/runs/1",
        "https://cloud.getdbt.com/runs/1/../../jobs/2",
        "https://cloud.getdbt.com/runs/" + "9" * 21,
    ],
)
def test_a_forged_status_reaches_no_shell_and_no_other_place(url, tmp_path):
    code, output, told = status_step(tmp_path, url)
    assert (code, output) == (1, "")
    assert "::error::the status names no run" in told
    assert not (tmp_path / "owned").exists()


def test_an_account_that_is_no_number_is_told(tmp_path):
    code, output, told = status_step(tmp_path, "https://cloud.getdbt.com/runs/1", account="")
    assert (code, output) == (1, "")
    assert "DBT_CLOUD_ACCOUNT" in told


def test_only_a_finished_status_of_dbt_clouds_own_host_is_looked_at():
    (job,) = read("dbt-cloud/on-status.yml")["jobs"].values()
    said = " ".join(job["if"].split())
    assert "github.event.state != 'pending'" in said
    assert "startsWith(github.event.target_url, format('https://{0}/'," in said


def test_a_change_starts_the_job_with_its_commit_and_a_schema_of_its_own(tmp_path):
    (step,) = [s for s in steps(ROOT / "templates/dbt-cloud/trigger.yml") if "docker://" in s.get("uses", "")]
    known = {"vars.DBT_CLOUD_ACCOUNT": "12345", "vars.DBT_CLOUD_JOB": "678", "github.event.number": "7"}
    known["github.event.pull_request.head.sha"] = "a" * 40
    args = re.sub(r"\$\{\{ ([a-z._A-Z]+) \}\}", lambda m: known[m[1]], step["with"]["args"])
    known_names = {v for n in KNOBS for v in ENV_NAMES.get(n, ("QALITA_" + n.upper(),))}
    assert step["env"].keys() <= known_names
    env = {"DBT_CLOUD_API_TOKEN": "x" * 20, "QALITA_PUBLISH": "never"}
    done = run(*shlex.split(args), "--dry-run", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    path, body, _ = done.stdout.splitlines()
    assert path == "POST /api/v2/accounts/12345/jobs/678/run/"
    order = json.loads(body)
    assert (order["git_sha"], order["schema_override"]) == ("a" * 40, "qalita_pr_7")
    assert "--wait" in shlex.split(args)


def test_gitlab_asks_for_the_jobs_newest_runs(tmp_path):
    (job,) = read("dbt-cloud/gitlab.yml").values()
    ours = tmp_path / "qalita-ingest"
    ours.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    ours.chmod(0o755)
    done = bash("\n".join(job["script"]), tmp_path, DBT_CLOUD_ACCOUNT="12345", DBT_CLOUD_JOB="678")
    assert done.stdout.splitlines() == ["dbt", "dbtcloud://12345/jobs/678"]
    assert job["image"]["entrypoint"] == [""], "else GitLab passes without a script"
    assert job["allow_failure"] == {"exit_codes": [4]}
