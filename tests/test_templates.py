"""What the templates of other systems write for a shell, run by bash as each system would: dbt is red, the step after it
runs all the same, is told dbt's exit code, and its own is the job's. The systems themselves are not here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from qalita_action.errors import ExitCode

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
