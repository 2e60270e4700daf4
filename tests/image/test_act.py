"""The Action as a workflow uses it, read and run by act: the Docker one in the engine, the composite one on this
machine, both against a sandbox on loopback. `make image` brings act.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
import yaml

from qalita_action import sandbox
from tests.image.engine import BASE, ENGINE, ROOT

ACT = ROOT / ".demo/local-ci/venv/bin/act"
SAMPLE = "examples/airquality/sample-target"
# Each step's settings, and the exit code that a person would expect of them.
STEPS = {
    "recorded": ({"path": SAMPLE, "fail-on": "never"}, 0),
    "again": ({"path": SAMPLE, "fail-on": "never"}, 0),
    "gate": ({"path": SAMPLE}, 1),
    "settings": ({"path": SAMPLE, "fail-on": "sometimes"}, 2),
    "nothing": ({"path": "docs"}, 3),
    "down": (
        {"path": SAMPLE, "fail-on": "never", "endpoint": "http://127.0.0.1:9", "publish-timeout": "1"},
        4,
    ),
}
OUTPUTS = ("verdict", "failed", "receipt", "report-html", "spool", "run-key")


def step(uses: str, name: str, platform) -> dict:
    given = {"endpoint": platform.url, "token": "${{ secrets.QALITA_WORKER_TOKEN }}", **STEPS[name][0]}
    return {"id": name, "uses": uses, "with": given}


def workflow(uses: str, platform) -> dict:
    steps: list[dict] = [{"uses": "actions/checkout@v4"}]
    for name in STEPS:
        steps.append({**step(uses, name, platform), "continue-on-error": True})
        told = {f"OUT_{o.replace('-', '_').upper()}": f"${{{{ steps.{name}.outputs.{o} }}}}" for o in OUTPUTS}
        told["OUTCOME"] = f"${{{{ steps.{name}.outcome }}}}"
        line = " ".join(f"{key}=<${key}>" for key in told)
        steps.append({"run": f'echo "TOLD {name} {line}"', "env": told})
    steps.append({"run": "ls -n qalita-report && test -s qalita-report/report.html"})
    return one_job(steps)


def one_job(steps: list[dict]) -> dict:
    return {"on": {"push": {}}, "jobs": {"dbt": {"runs-on": "ubuntu-latest", "steps": steps}}}


def started(repository: Path, content: dict, platform, home: Path, words: tuple[str, ...]) -> str:
    """The workflow's log, as people read it."""
    path = repository / ".github/workflows/try.yml"
    path.write_text(yaml.dump(content, sort_keys=False), "utf-8")
    commit(repository)
    log = act(repository, home, platform.token, *words)
    return "\n".join(line.get("msg", "") for line in log)


@pytest.fixture
def clone(tmp_path) -> Path:
    """A repository of its own that holds this checkout's files as they are now."""
    folder = tmp_path / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/fixtures", "docs/images")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    if BASE:  # what no registry brings here stands under another name
        text = (folder / "Dockerfile").read_text("utf-8")
        pinned = next(line for line in text.splitlines() if line.startswith("ARG BASE_IMAGE="))
        (folder / "Dockerfile").write_text(text.replace(pinned, f"ARG BASE_IMAGE={BASE}"), "utf-8")
    return folder


def commit(folder: Path) -> None:
    person = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    for words in (
        ["init", "--quiet", "--initial-branch=main"],
        ["remote", "add", "origin", "https://github.com/acme/shop-dbt.git"],
        ["add", "--all"],
        [*person, "commit", "--quiet", "--message=all of it"],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def act(folder: Path, home: Path, token: str, *words: str) -> list[dict]:
    """act's own log, a JSON object a line."""
    home.mkdir()
    done = subprocess.run(
        [
            str(ACT),
            "push",
            "--json",
            "-W",
            ".github/workflows/try.yml",
            "-s",
            f"QALITA_WORKER_TOKEN={token}",
            *words,
        ],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", **ENGINE},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=500,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines, done.stdout[-2000:] + done.stderr[-2000:]
    # act itself tells in its log which value a step asked it to mask
    said = [line for line in lines if line.get("command") != "add-mask"]
    assert token not in json.dumps(said) + done.stderr
    return lines


def runs_in(database: Path) -> list[tuple]:
    with sqlite3.connect(database) as connection:
        return connection.execute("select key, state from runs").fetchall()


DOCKER = ("./", ("-P", f"ubuntu-latest={BASE or 'python:3.12-slim'}", "--pull=false", "--rm"))
COMPOSITE = ("./composite", ("-P", "ubuntu-latest=-self-hosted"))


@pytest.mark.parametrize("way", [DOCKER, COMPOSITE], ids=["docker", "composite"])
def test_a_workflow_that_uses_it(way, clone, tmp_path):
    uses, words = way
    database = tmp_path / "platform.db"
    with sandbox.running(database) as platform:
        text = started(clone, workflow(uses, platform), platform, tmp_path / "home", words)
    told = {
        line.split()[1]: dict(part.split("=", 1) for part in line.split()[2:])
        for line in text.splitlines()
        if line.startswith("TOLD ")
    }
    assert told.keys() == STEPS.keys(), text[-6000:]
    for name, (_, code) in STEPS.items():
        assert told[name]["OUTCOME"] == ("<success>" if code == 0 else "<failure>"), (name, text[-6000:])
        if code and uses == COMPOSITE[0]:
            assert f"exit status {code}" in text, (name, text[-6000:])
    assert told["recorded"]["OUT_RECEIPT"] == "<recorded>"
    assert told["again"]["OUT_RECEIPT"] == "<already-recorded>"
    assert told["recorded"]["OUT_RUN_KEY"] == told["again"]["OUT_RUN_KEY"] != "<>"
    assert told["gate"]["OUT_VERDICT"] == "<failed>"
    assert told["gate"]["OUT_FAILED"] == "<4>"
    assert told["gate"]["OUT_REPORT_HTML"] == "<qalita-report/report.html>"
    assert told["nothing"]["OUT_VERDICT"] == "<>"
    assert told["down"]["OUT_RECEIPT"] == "<not-delivered>"
    assert told["down"]["OUT_SPOOL"].startswith("<qalita-spool/")
    assert [state for _, state in runs_in(database)] == ["complete"]


@pytest.mark.parametrize("name", ["gate", "settings", "nothing", "down"])
def test_the_exit_code_of_a_container(name, clone, tmp_path):
    """Of a step that may fail, act tells the outcome alone."""
    uses, words = DOCKER
    with sandbox.running(tmp_path / "platform.db") as platform:
        steps = [{"uses": "actions/checkout@v4"}, step(uses, name, platform)]
        text = started(clone, one_job(steps), platform, tmp_path / "home", words)
    assert "Job failed" in text
    assert f"exit with `FAILURE`: {STEPS[name][1]}" in text, text[-3000:]
