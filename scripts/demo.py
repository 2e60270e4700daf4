"""What `make demo` runs once dbt has built the example: a sandbox on a free loopback port, and our command.

Nothing is left running. The sandbox's database stays, so that `make sandbox` shows what was published.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from qalita_action import sandbox

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "examples" / "airquality"
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TERM", "NO_COLOR", "SSL_CERT_FILE")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, required=True, help="dbt's target folder")
    parser.add_argument("--database", type=Path, required=True, help="the sandbox's SQLite file")
    args = parser.parse_args()
    state = args.database.resolve().parent
    with sandbox.running(args.database) as platform:
        env = {k: os.environ[k] for k in PASSED_ON if k in os.environ}
        env |= {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
        command = [
            sys.executable, "-m", "qalita_action", "dbt",
            "--target-path", str(args.target.resolve()),
            "--env", "demo", "--change-env", "same",
            "--report-dir", str(state / "report"), "--spool-dir", str(state / "spool"),
            "--fail-on", "never",
        ]  # fmt: skip
        code = subprocess.run(command, cwd=PROJECT, env=env, check=False).returncode
    if code == 0:
        print("\nSee it: make sandbox    (the sandbox's pages, on the same database)")
        print("Again:  make demo       (the same run is already recorded)   make demo FRESH=1   (a new one)")
    return code


if __name__ == "__main__":
    sys.exit(main())
