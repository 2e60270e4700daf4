"""The settings' names and words, without their types: light enough for `--help` to read.

settings/ gives each its type and default and takes its description from here; the command line, action.yml,
the reference page and the JSON Schema of qalita.yml take theirs from here too. Must import nothing heavy.
"""

from __future__ import annotations

from typing import NamedTuple


class Knob(NamedTuple):
    """help: what it does; shown: the values it takes, for people; default: the effective one, in words."""

    help: str
    shown: str = "TEXT"
    default: str = ""


KNOBS: dict[str, Knob] = {
    "path": Knob(
        "A dbt project, its target folder, one of its artifacts, a zip or tar of them, or an address:"
        " dbtcloud://, s3://, gs://, az://, https://.",
        "PATH, or URL",
        "the current folder",
    ),
    "config": Knob("Settings file.", "FILE", "qalita.yml beside dbt_project.yml"),
    "manifest": Knob("manifest.json.", "FILE, or URL", "found as dbt would"),
    "results": Knob("run_results.json; several make one run.", "FILE, or URL", "beside the manifest"),
    "sources": Knob("sources.json of `dbt source freshness`.", "FILE, or URL", "beside the manifest"),
    "catalog": Knob(
        "catalog.json of `dbt docs generate`, for column types.", "FILE, or URL", "beside the manifest"
    ),
    "target_path": Knob("dbt's target folder, relative to the project.", "DIR", "as dbt decides"),
    "max_artifact_size": Knob(
        "The most that one artifact may have, packed and unpacked: 500MiB, 4GiB.", "SIZE", "1GiB"
    ),
    "since": Knob(
        "Backfill: publish each run behind PATH that completed since then, oldest first; `all` takes every"
        " one. Needs the ingestion API.",
        "TIME, or all",
        "off",
    ),
    "shard": Knob("Backfill the i-th of n parts of the runs: 0/4 to 3/4.", "I/N", "0/1"),
    "dbt_cloud_host": Knob("dbt Cloud's access URL, for dbtcloud:// addresses.", "HOST", "cloud.getdbt.com"),
    "dbt_cloud_token": Knob("A dbt Cloud API token that may read jobs and runs.", "TOKEN", "none"),
    "wait": Knob("Wait for a dbt Cloud run that has not finished.", "", "off"),
    "wait_timeout": Knob("Seconds to wait for it.", "SECONDS", "3600"),
    "project": Knob("The project's name on QALITA.", "NAME", "dbt's project name"),
    "env": Knob(
        "The environment.",
        "NAME",
        "the CI's deployment environment, or the dbt Cloud run's, else dbt's target, else `default`",
    ),
    "change_env": Knob(
        "The environment of change requests and of branches that are not the default; `same` writes where"
        " env says.",
        "NAME",
        "ci",
    ),
    "suite": Knob("A name for a schedule that runs part of the project.", "NAME", "none"),
    "run_id": Knob("What tells this run from others.", "TEXT", "dbt's invocation ids"),
    "endpoint": Knob("QALITA's API: scheme://host[:port].", "URL", "$QALITA_WORKER_ENDPOINT"),
    "token": Knob("An API token of a QALITA data engineer.", "TOKEN", "$QALITA_WORKER_TOKEN"),
    "api": Knob(
        "Which of QALITA's APIs; folder writes the platform's files instead of sending them.",
        "auto|results|ingestion|folder",
        "auto",
    ),
    "publish": Knob(
        "auto: change runs send nothing over the results API; never: needs no account.",
        "auto|always|never",
        "auto",
    ),
    "publish_timeout": Knob("Seconds to publish one run, retries included.", "SECONDS", "120"),
    "on_publish_failure": Knob(
        "When the platform is down: exit 4, or a warning.", "fail|warn", "warn on change runs, else fail"
    ),
    "dry_run": Knob("Print what would be published and send nothing.", "", "off"),
    "output": Knob("json: stdout holds the document alone.", "text|json", "text"),
    "fail_on": Knob(
        "What makes the step fail; new: failures that the base run did not have.",
        "fail|warn|new|never",
        "fail",
    ),
    "min_score": Knob("The least score of a run, in percent; no score is below any.", "NUMBER", "none"),
    "max_score_drop": Knob(
        "The most that the score may fall against the base, in points of a hundred.", "NUMBER", "none"
    ),
    "allow_failures": Knob(
        "The allowlist: failures that do not block until a day; `qalita-ingest accept` writes it.",
        "FILE",
        ".qalita/allow-failures.yml",
    ),
    "mention_owners": Knob("Comments name the owners of what broke with an @: they are notified.", "", "off"),
    "on_empty": Knob(
        "When dbt's selection matched nothing: pass with a notice, or exit 3.",
        "pass|fail",
        "pass on change runs, else fail",
    ),
    "baseline": Knob(
        "The run to compare with: its ingest.json, or dbt's run_results.json with the manifest beside it.",
        "FILE, or URL",
        "the newest run of the base branch on QALITA, else dbt's --state folder, else .qalita/base.json",
    ),
    "baseline_env": Knob(
        "The environment of the run to compare with, on QALITA.", "NAME", "env; on change runs any"
    ),
    "require_run": Knob(
        "Checks that must have run: tag:NAME, path:FOLDER, source:NAME.TABLE, or a model's or test's name,"
        " with * and ?.",
        "SELECTOR",
        "none",
    ),
    "artifacts_since": Knob(
        "Artifacts that were found (not named) and are older than this are another run's; `any` takes them"
        " as they are.",
        "TIME, or any",
        "the pipeline's start",
    ),
    "max_age": Knob("Artifacts older than this are refused, named ones too: 90m, 12h, 7d.", "AGE", "off"),
    "dbt_outcome": Knob(
        "How the dbt step ended, in GitHub's words: ${{ steps.dbt.outcome }}.",
        "success|failure|cancelled|skipped",
        "unknown",
    ),
    "dbt_exit_code": Knob("dbt's own exit code.", "INTEGER", "unknown"),
    "dimensions": Knob(
        "The quality dimension of a test type: my_test=accuracy or package.my_test=accuracy.",
        "TYPE=DIMENSION",
        "the built-in table",
    ),
    "warn_score": Knob("What a warned check counts, 0 to 1.", "NUMBER", "0.5"),
    "max_undecided": Knob(
        "Above this share of errored and skipped tests there is no overall score.", "NUMBER", "0.1"
    ),
    "comment": Knob(
        "A comment on the pull or merge request, kept up to date. changes: once something is failing, new or"
        " fixed; failures: once something is failing; always: from the first run on.",
        "off|changes|failures|always",
        "changes on GitHub, and on GitLab with a gitlab-token; else off",
    ),
    "github_token": Knob("What the comment on GitHub is written with.", "TOKEN", "none"),
    "gitlab_token": Knob(
        "What the comment on GitLab is written with: a project access token with the scope `api`. The job's"
        " own token cannot.",
        "TOKEN",
        "none",
    ),
    "metrics_detail": Knob(
        "How fine the metrics of the results API are.", "source|table|column|check", "column"
    ),
    "pack": Knob("The QALITA pack that the results API files them under.", "NAME", "dbt_ingest"),
    "pack_per_dimension": Knob(
        "Each dimension's score under a pack of its own too, `<pack>_<dimension>` (results API); setup"
        " --per-dimension makes them.",
        "",
        "off",
    ),
    "source_id": Knob(
        "A source that the platform has already (results API).", "ID", "found or made by its name"
    ),
    "visibility": Knob("Visibility of a source that is created.", "private|internal|public", "internal"),
    "send_messages": Knob("Send dbt's error messages: they may hold data.", "", "off"),
    "send_sql": Knob("Send where clauses: they may hold data.", "", "off"),
    "ca_bundle": Knob(
        "A CA bundle: file, folder or PEM text.", "TEXT", "$QALITA_CA_BUNDLE, else the system's"
    ),
    "client_cert": Knob("A client certificate: PEM file or text.", "TEXT", "none"),
    "client_key": Knob("The client certificate's key: PEM file or text, unencrypted.", "TEXT", "none"),
    "skip_ssl_verify": Knob("Do not verify certificates. Loudly discouraged.", "", "off"),
    "verbose": Knob("Say also what was ignored and why.", "", "off"),
    "report_dir": Knob("Where report files go.", "DIR", "qalita-report"),
    "spool_dir": Knob("Where a run waits until it is published.", "DIR", "qalita-spool"),
    "sha": Knob("The commit that dbt's code is of, where the CI cannot tell.", "SHA", "the CI's, else HEAD"),
    "branch": Knob("The branch of this run, where the CI cannot tell.", "NAME", "the CI's, else HEAD's"),
    "default_branch": Knob(
        "The repository's default branch; runs of other branches are change runs.",
        "NAME",
        "the CI's, else origin/HEAD",
    ),
    "change_id": Knob("The number of the change request, where the CI cannot tell.", "TEXT", "the CI's"),
    "job_id": Knob("The CI's numeric job id, where the environment has none.", "TEXT", "the CI's"),
    "matrix": Knob(
        "The job's matrix as JSON: its values join the job's name, which tells its legs apart.",
        "JSON",
        "none",
    ),
    "job_status": Knob(
        "How the job stands before this step: after an earlier failure, missing artifacts are a notice and no"
        " second failure.",
        "success|failure|cancelled",
        "unknown",
    ),
}
# Flags without a value.
SWITCHES = frozenset(
    {
        "dry_run",
        "mention_owners",
        "pack_per_dimension",
        "send_messages",
        "send_sql",
        "skip_ssl_verify",
        "verbose",
        "wait",
    }
)
# May be given several times.
LISTS = frozenset({"results", "require_run", "dimensions"})
# Never from a file inside the workspace: a pull request could change it and send the token elsewhere.
NOT_FROM_FILE = frozenset(
    {
        "endpoint",
        "token",
        "github_token",
        "gitlab_token",
        "dbt_cloud_host",
        "dbt_cloud_token",
        "ca_bundle",
        "client_cert",
        "client_key",
        "skip_ssl_verify",
        "config",
    }
)
# Facts of one run: meaningless in a committed file.
ONE_RUN = frozenset(
    {"dry_run", "output", "run_id", "dbt_outcome", "dbt_exit_code", "sha", "branch", "change_id", "job_id"}
    | {"matrix", "job_status", "since", "shard"}
)
# May hold an address, but not one from a file in the repository: a pull request could make the job fetch from
# anywhere with the job's own credentials.
ADDRESSES = frozenset({"path", "manifest", "results", "sources", "catalog"})
