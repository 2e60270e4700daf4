"""Rows of what starts a job, beside the CI or without one. Must hold data, not flow."""

from __future__ import annotations

from qalita_action.ci.fields import fmt, match, var
from qalita_action.ci.row import OrchestratorRow

ORCHESTRATORS: tuple[OrchestratorRow, ...] = (
    OrchestratorRow(
        name="airflow",
        docs="https://github.com/apache/airflow/blob/2.10.0/airflow/utils/operator_helpers.py",
        marks=("AIRFLOW_CTX_DAG_ID",),
        fields={
            "job": var("AIRFLOW_CTX_DAG_ID"),
            "task": var("AIRFLOW_CTX_TASK_ID"),
            "run_id": var("AIRFLOW_CTX_DAG_RUN_ID"),
            "attempt": var("AIRFLOW_CTX_TRY_NUMBER"),
        },
    ),
    OrchestratorRow(
        name="dagster",
        docs="https://docs.dagster.io/deployment/dagster-plus/environment-variables/built-in",
        marks=("DAGSTER_CLOUD_DEPLOYMENT_NAME", "DAGSTER_RUN_JOB_NAME"),
        fields={"job": var("DAGSTER_RUN_JOB_NAME"), "run_id": var("DAGSTER_RUN_ID")},
        unverified=("DAGSTER_RUN_JOB_NAME", "DAGSTER_RUN_ID"),
    ),
    OrchestratorRow(
        name="prefect",
        docs="https://github.com/PrefectHQ/prefect/blob/main/src/prefect/workers/base.py",
        marks=("PREFECT__FLOW_RUN_ID",),
        fields={
            "job": var("PREFECT__FLOW_NAME", "PREFECT__DEPLOYMENT_NAME"),
            "run_id": var("PREFECT__FLOW_RUN_ID"),
            "url": fmt(
                "{base}/runs/flow-run/{PREFECT__FLOW_RUN_ID}",
                base=match(r"(.+?)/*", var("PREFECT_UI_URL")),
            ),
        },
        unverified=("url",),
    ),
    OrchestratorRow(
        name="argo",
        docs="https://argo-workflows.readthedocs.io/en/latest/environment-variables/",
        marks=("ARGO_WORKFLOW_NAME",),
        fields={"run_id": var("ARGO_WORKFLOW_NAME"), "task": var("ARGO_NODE_ID")},
    ),
    OrchestratorRow(
        name="dbt-cloud",
        docs="https://docs.getdbt.com/docs/build/environment-variables",
        marks=("DBT_CLOUD_RUN_ID",),
        fields={"job": var("DBT_CLOUD_JOB_ID"), "run_id": var("DBT_CLOUD_RUN_ID")},
    ),
)
