"""The commands of the page for machines without a container: pipx and uv build this checkout and run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qalita_action.errors import ExitCode

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / ".demo/local-ci/venv/bin"
# How this machine reaches a package index; read once, since a test's own environment is emptied.
INDEX = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}


@pytest.mark.parametrize(
    "words",
    [
        ("pipx", "run", "--spec", str(ROOT), "qalita-ingest"),
        ("uvx", "--python", sys.executable, "--from", str(ROOT), "qalita-ingest"),
    ],
    ids=["pipx", "uvx"],
)
def test_it_runs_without_being_installed(words, tmp_path):
    shutil.copytree(ROOT / "examples/airquality/sample-target", tmp_path / "work/target")
    program, *arguments = words
    done = subprocess.run(
        [str(PROGRAMS / program), *arguments, "dbt", "--publish", "never"],
        cwd=tmp_path / "work",
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", **INDEX},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == ExitCode.GATE, done.stdout + done.stderr
    assert "4 of 51 checks failed" in done.stdout
