"""The real command, in a process of its own, with nothing in its environment but what a test gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run(*args: str, cwd: Path, env: dict[str, str] | None = None, timeout: float = 60):
    """Finished process with stdout and stderr as text."""
    base = {"PATH": os.environ["PATH"], "HOME": str(cwd), "PYTHONWARNINGS": "error", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [sys.executable, "-m", "qalita_action", *args],
        cwd=cwd,
        env={**base, **(env or {})},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )
