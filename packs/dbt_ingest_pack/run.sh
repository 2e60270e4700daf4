#!/bin/sh
# What a QALITA worker starts, in the folder that holds the pack's files. PYTHON names another interpreter. One that
# has qalita-dbt-ingest already is used as it is, and nothing is installed: so workers without internet do.
set -eu

PYTHON="${PYTHON:-python3}"
if ! "$PYTHON" -c 'import qalita_action' 2>/dev/null; then
    venv="${QALITA_HOME:-$HOME/.qalita}/jobs/dbt_ingest_venv"
    # A folder that an interrupted job left behind is no environment.
    if ! "$venv/bin/python" -c '' 2>/dev/null; then
        rm -rf "$venv"
        "$PYTHON" -m venv "$venv"
    fi
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.txt
    PYTHON="$venv/bin/python"
fi
exec "$PYTHON" main.py
