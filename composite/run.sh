#!/usr/bin/env bash
# The Action without Docker: this checkout's own code, on the runner's Python, with the wheels that the lock names
# by hash. Everything that a person typed arrives as INPUT_*, and no line here reads one of them.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="${RUNNER_TEMP:-${TMPDIR:-/tmp}}/qalita-dbt-ingest"

python=
for candidate in python3 python; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then python=$candidate && break; fi
done
if [ -z "$python" ]; then
  echo "::error title=qalita-ingest::No Python 3.10 or newer is on this runner: add actions/setup-python before this step"
  exit 2
fi

if [ ! -e "$venv/.ready" ]; then
  "$python" -m venv "$venv"
fi
bin="$venv/bin"
if [ -d "$venv/Scripts" ]; then bin="$venv/Scripts"; fi
if [ ! -e "$venv/.ready" ]; then
  "$bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    --requirement "$root/requirements/runtime.txt"
  touch "$venv/.ready"
fi

# -E: a PYTHONPATH of the job must not bring modules of the checked out code into a process that holds a token.
export GIT_PYTHON_REFRESH=quiet
exec "$bin/python" -EBu "$root/entrypoint.py" dbt
