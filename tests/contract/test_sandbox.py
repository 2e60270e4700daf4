"""The stand-in keeps its own OpenAPI document: schemathesis sends what the document allows and what it forbids."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from qalita_action import sandbox

HERE = Path(__file__).parent


def test_schemathesis_finds_nothing(tmp_path):
    program = Path(sys.executable).with_name("schemathesis")
    assert program.exists(), "`make contract` installs it"
    with sandbox.running(tmp_path / "platform.db") as platform:
        command = [
            program,
            "--config-file",
            HERE / "schemathesis.toml",
            "run",
            f"{platform.url}/openapi.json",
        ]
        command += [
            "--header",
            f"Authorization: Bearer {platform.token}",
            "--phases",
            "examples,coverage,fuzzing",
        ]
        command += ["--max-examples", "10", "--seed", "1", "--generation-database", "none"]
        done = subprocess.run(
            [*command, "--continue-on-failure"],
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    selected, known, tested = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", done.stdout).groups()
    assert selected == known == tested, "every operation"
