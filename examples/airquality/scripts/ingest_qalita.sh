#!/bin/sh
# Publishes what dbt left in target/ to QALITA. Runs no dbt, so that it can be the last step of any job, red or green.
#
#   scripts/ingest_qalita.sh [more options of qalita-ingest dbt]
#
# DBT_TARGET_PATH  where dbt wrote its artifacts (default: target)
# QALITA_ENV       the environment that these results speak of (default: dev)
set -eu

cd "$(dirname "$0")/.."
target=${DBT_TARGET_PATH:-target}

# Freshness is a run of its own (`dbt source freshness`), so its file is not always there.
if [ -f "$target/sources.json" ]; then
  set -- --sources "$target/sources.json" "$@"
fi

exec qalita-ingest dbt \
  --manifest "$target/manifest.json" \
  --results "$target/run_results.json" \
  --project opendata_dbt \
  --env "${QALITA_ENV:-dev}" \
  "$@"
