"""A dbt Cloud job: ordered in the name of the CI that asks for it, and its run published like any other. Must
not choose a commit or a branch: the job has its own, unless a flag says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from qalita_action import report
from qalita_action.dbt.sources import cloud_trigger
from qalita_action.errors import IngestError, raise_all
from qalita_action.pipeline.running import outputs_path, ready
from qalita_action.redact import mask_url

if TYPE_CHECKING:
    from qalita_action.dbt.sources.cloud_trigger import Order, Started
    from qalita_action.model import CIContext
    from qalita_action.pipeline.world import World
    from qalita_action.settings import Resolved

US = "qalita-ingest"
# What speaks of artifacts that lie here, or of a dbt that ran here: none of it is about a run at dbt Cloud.
NOT_OF_THE_RUN = (
    *("manifest", "results", "sources", "catalog", "target_path", "since", "shard", "artifacts_since"),
    *("max_age", "dbt_outcome", "dbt_exit_code", "job_status"),
)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says of the run. job: an address, or ACCOUNT/JOB."""

    job: str
    cause: str | None = None
    git_sha: str | None = None
    git_branch: str | None = None
    schema_override: str | None = None
    steps_override: tuple[str, ...] = ()


def order(asked: Asked, resolved: Resolved, context: CIContext, world: World) -> Order:
    """Everything that can be wrong is told before a run begins that would have cost money for nothing."""
    errors: list[IngestError] = []
    if resolved.settings.wait:
        try:
            ready(resolved.settings, context, world)
        except IngestError as e:
            errors.append(e)
    try:
        cloud_trigger.check(resolved.settings.places(world.env).reach)
    except IngestError as e:
        errors.append(e)
    made: Order | None = None
    try:
        made = cloud_trigger.order(
            asked.job,
            cause=asked.cause or cause(context),
            is_change=context.is_change,
            change_id=context.ci.change_id,
            git_sha=asked.git_sha,
            git_branch=asked.git_branch,
            schema_override=asked.schema_override,
            steps_override=asked.steps_override,
        )
    except IngestError as e:
        errors.append(e)
    raise_all(errors)
    assert made is not None
    return made


def cause(context: CIContext) -> str:
    """`qalita-ingest: pull request 12 of acme/shop, https://...`, for those who look at dbt Cloud."""
    git, ci = context.git, context.ci
    request = "merge request" if ci.provider == "gitlab" else "pull request"
    whats = ((request, ci.change_id), ("branch", git.branch), ("tag", git.tag))
    what = next((f"{word} {value}" for word, value in whats if value), "")
    repository = urlsplit(git.repository_url or "").path.strip("/").removesuffix(".git")
    link = mask_url(ci.job_url or ci.pipeline_url or "")
    told = ", ".join(filter(None, (" of ".join(filter(None, (what, repository))), link)))
    return f"{US}: {told}" if ci.provider and told else US


def started(order: Order, resolved: Resolved, context: CIContext, world: World) -> Started:
    """Later steps get its address, also where nobody waits for it."""
    run = cloud_trigger.start(order, resolved.settings.places(world.env).reach)
    outputs = {"dbt-cloud-run": run.address, "dbt-cloud-url": run.url or ""}
    report.add_outputs(outputs_path(context, world), outputs)
    return run


def of_run(resolved: Resolved, run: Started) -> Resolved:
    """The settings for the run that was started: it is waited for, and nothing that lies here is taken for
    it."""
    fields = type(resolved.settings).model_fields
    unset = {name: fields[name].default for name in NOT_OF_THE_RUN}
    said = {**unset, "path": run.address, "wait": True}
    return resolved.model_copy(update={"settings": resolved.settings.model_copy(update=said)})
