"""A real Docker engine and the unmodified Dockerfile. `make image` asks for these; where no base image can be
pulled, QALITA_BASE_IMAGE names one that is there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The settings of the session are read once: the tests' own environment is emptied for each test.
ENGINE = {k: v for k, v in os.environ.items() if k.startswith("DOCKER_")} | {"DOCKER_BUILDKIT": "1"}
BASE = os.environ.get("QALITA_BASE_IMAGE")
RUNNER = 1001  # the user of GitHub's hosted runners, and of many others


def _client() -> str:
    """A client without the buildx plugin falls back to the old builder; Debian's own has BuildKit built in."""
    plain = shutil.which("docker") or "docker"
    has_buildx = (
        subprocess.run([plain, "buildx", "version"], capture_output=True, check=False).returncode == 0
    )
    return plain if has_buildx or not Path("/usr/bin/docker").exists() else "/usr/bin/docker"


def docker(*words: str, stdin: str | None = None, timeout: float = 300, env: dict[str, str] | None = None):
    """Finished process, stdout and stderr as text."""
    return subprocess.run(
        [_client(), *words],
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/tmp", **ENGINE, **(env or {})},
    )


def built(tag: str, *words: str) -> str:
    base = ["--build-arg", f"BASE_IMAGE={BASE}"] if BASE else []
    done = docker("build", "--quiet", "--tag", tag, *base, *words, str(ROOT), timeout=900)
    assert done.returncode == 0, done.stderr[-4000:]
    return tag
