"""Views of the answers of dbt Cloud's Administrative API (v2), by shape.

Fields: https://docs.getdbt.com/dbt-cloud/api-v2 and its OpenAPI document. Whatever else an answer holds is
ignored, and whatever may be missing is None.
"""

from __future__ import annotations

import msgspec

SUCCESS, ERROR, CANCELLED = 10, 20, 30
FINISHED = frozenset({SUCCESS, ERROR})
STATUS_WORDS = {1: "queued", 2: "starting", 3: "running", 10: "success", 20: "error", 30: "cancelled"}


class StepCommand(msgspec.Struct):
    dbt_command: str | None = None


class Step(msgspec.Struct):
    index: int | None = None
    name: str | None = None
    status: int | None = None
    run_step_command: StepCommand | None = None


class Trigger(msgspec.Struct):
    cause: str | None = None
    cause_category: str | None = None
    git_branch: str | None = None
    git_sha: str | None = None
    github_pull_request_id: int | str | None = None
    gitlab_merge_request_id: int | str | None = None
    azure_pull_request_id: int | str | None = None
    non_native_pull_request_id: int | str | None = None


class Named(msgspec.Struct):
    name: str | None = None


class Repository(msgspec.Struct):
    remote_url: str | None = None


class CloudRun(msgspec.Struct):
    """`job`, `trigger`, `environment`, `repository` and `run_steps` only where they were asked for."""

    id: int
    status: int | None = None
    job_definition_id: int | None = None
    environment_id: int | None = None
    git_branch: str | None = None
    git_sha: str | None = None
    created_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    artifacts_saved: bool | None = None
    href: str | None = None
    trigger: Trigger | None = None
    job: Named | None = None
    environment: Named | None = None
    repository: Repository | None = None
    run_steps: list[Step] | None = None


class OneRun(msgspec.Struct):
    data: CloudRun


class ManyRuns(msgspec.Struct):
    data: list[CloudRun]


def status_word(status: int | None) -> str:
    return STATUS_WORDS.get(status or 0, f"status {status}")
