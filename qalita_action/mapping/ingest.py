"""Evidence and context to the canonical document. Pure: the same input gives the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from qalita_action.errors import SettingsError
from qalita_action.mapping import cause_rows, causes, checks, datasets, identity, routing, score
from qalita_action.mapping.owners import FileOwners, group_owners
from qalita_action.model import Extent, Git, Ingest, Run, RunWarning, Source

if TYPE_CHECKING:
    from datetime import datetime

    from qalita_action.dbt import Evidence
    from qalita_action.mapping.score import Pairs
    from qalita_action.model import CIContext, Dataset, Policy, Result

DEFAULT_ENVIRONMENT = "default"


def to_ingests(evidence: Evidence, context: CIContext, policy: Policy) -> tuple[Ingest, ...]:
    """One document, and one more for each source that the project's meta names.

    Error: those of to_ingest.
    """
    whole = to_ingest(evidence, context, policy)
    found = routing.routes(evidence.manifest)
    if not found.by_key and not found.unread:
        return (whole,)
    environment, sha, run = whole.source.environment, key_sha(evidence, context), run_id(evidence, policy)
    parts = routing.split(
        whole,
        found,
        policy,
        key_of=lambda name: identity.run_key(name, environment, policy.suite, sha, run),
        extent_of=lambda pairs: extent_of(evidence, pairs),
        is_change=context.is_change and policy.change_environment != "same",
    )
    return tuple(identity.sealed(part) for part in parts)


def to_ingest(evidence: Evidence, context: CIContext, policy: Policy) -> Ingest:
    """Everything as one document.

    Error: project-unknown, where neither the artifacts nor the user name the project.
    """
    project = policy.project or evidence.project_name
    if not project:
        raise SettingsError(
            "project-unknown",
            f"the project of {evidence.directory} has no name",
            expected="metadata.project_name in manifest.json (dbt 1.6 on), or a name from you",
            looked=["manifest.json: metadata.project_name, metadata.project_id", "dbt_project.yml: name"],
            todo=["say it: --project NAME"],
        )
    environment = environment_of(evidence.dbt_target, context, policy)
    source = Source.of(
        project=project,
        environment=environment,
        suite=policy.suite,
        adapter=evidence.adapter_type,
        visibility=policy.visibility,
    )
    groups = group_owners(evidence.manifest.groups)
    # CODEOWNERS is a file of the checkout: it speaks of the run only where the checkout is the run's.
    files = FileOwners(
        policy.codeowners if _is_ours(evidence, context) else None, policy.folder, evidence.project_name
    )
    tables = datasets.build(evidence, groups, files, send_messages=policy.send_messages)
    built = checks.build(evidence, groups, files, policy)
    pairs = built.pairs
    graph = datasets.graph(evidence.manifest)
    caused = causes.caused_by(tables, pairs, built.parents, graph)
    reached = causes.exposures_reached(graph, tables)
    if caused:
        pairs = tuple((c, _with_causes(r, caused.get(c.key))) for c, r in pairs)
    results = tuple(r for _, r in pairs)
    ledger = score.ledger(pairs)
    extent, extent_reason = extent_of(evidence, pairs)
    git, warnings = _commit(evidence, context)
    run = Run(
        key=identity.run_key(
            project, environment, policy.suite, key_sha(evidence, context), run_id(evidence, policy)
        ),
        content_digest="",
        verdict=evidence.verdict,
        extent=extent,
        extent_reason=extent_reason,
        invocation_ids=evidence.invocation_ids,
        commands=evidence.commands,
        dbt_version=evidence.dbt_version,
        adapter_type=evidence.adapter_type,
        dbt_exit_code=evidence.dbt_exit_code,
        started_at=_utc(evidence.started_at),
        completed_at=_utc(evidence.completed_at),
        elapsed_s=evidence.elapsed_s,
        git=git,
        ci=context.ci,
        orchestrator=context.orchestrator,
        warnings=(*context.warnings, *warnings, *_notes(evidence, results, tables, built.defaulted)),
        tool=policy.tool,
    )
    ingest = Ingest(
        source=source,
        run=run,
        datasets=tables,
        checks=tuple(c for c, _ in pairs),
        results=results,
        causes=cause_rows.build(project, environment, tables, pairs, caused, reached),
        scores=score.scores(tables, pairs, ledger, policy),
        ledger=ledger,
    )
    return identity.sealed(ingest)


def key_ahead(
    name: str, context: CIContext, policy: Policy, run_id: str, dbt_target: str | None
) -> str | None:
    """The key of a run before any of it is read, where the service that ran dbt tells its commit.

    name  of the project, or of a routed source
    """
    if context.git.sha is None:
        return None
    environment = environment_of(dbt_target, context, policy)
    return identity.run_key(name, environment, policy.suite, context.git.sha, policy.run_id or run_id)


def environment_of(dbt_target: str | None, context: CIContext, policy: Policy) -> str:
    """A change run never writes into the environment that it is compared with (`same` opts out)."""
    if context.is_change and policy.change_environment != "same":
        return policy.change_environment
    return policy.environment or context.environment or dbt_target or DEFAULT_ENVIRONMENT


def key_sha(evidence: Evidence, context: CIContext) -> str | None:
    """The commit of the code that dbt ran, or nothing: the commit of a job that only fetches never enters.
    Where a service ran dbt, its word comes first: it is known before anything is read."""
    if evidence.ran_by is not None:
        return context.git.sha or evidence.stamped_sha
    if evidence.stamped_sha:
        return evidence.stamped_sha
    return context.git.checkout_sha or context.git.sha if evidence.origin == "pipeline" else None


def run_id(evidence: Evidence, policy: Policy) -> str:
    return policy.run_id or ",".join(evidence.run_ids)


def extent_of(evidence: Evidence, pairs: Pairs) -> tuple[Extent, str | None]:
    """Decided on data tests: did it finish what it selected, and was that everything?"""
    if evidence.partial:
        return "partial", evidence.partial
    if evidence.dbt_exit_code is not None and evidence.dbt_exit_code >= 2:
        return "partial", f"dbt was interrupted: it exited with {evidence.dbt_exit_code}"
    idle = [r.reason for c, r in pairs if r.status == "not_run" and c.kind == "data_test"]
    if not idle:
        return "complete", None
    missing = idle.count(None)
    if not missing:
        return "selected", f"{len(idle)} data tests were compiled only, or saw no data"
    if evidence.selection == "all" and evidence.runs_tests:
        return "partial", f"nothing was deselected, and {missing} data tests have no row: dbt was interrupted"
    if not evidence.runs_tests and evidence.selection == "all":
        return "selected", f"dbt {', '.join(evidence.commands)} runs no data tests"
    if evidence.selection == "unknown":
        return "selected", "unknown"
    return "selected", f"{missing} data tests were not selected"


def _with_causes(result: Result, caused_by: tuple[str, ...] | None) -> Result:
    return msgspec.structs.replace(result, caused_by=caused_by) if caused_by else result


def _is_ours(evidence: Evidence, context: CIContext) -> bool:
    """Is the checkout that we stand in the one that dbt ran on?"""
    return evidence.origin == "pipeline" or (
        evidence.origin == "workspace" and context.ci.provider is not None
    )


def _commit(evidence: Evidence, context: CIContext) -> tuple[Git, list[RunWarning]]:
    """The commit that dbt ran on: the artifacts' own word, else this pipeline's if they were written in it.

    Elsewhere (a job that only fetches, a laptop whose checkout moved on) it is not known, and a guess would
    make another content of the same run.
    """
    git, stamped = context.git, evidence.stamped_sha
    if evidence.ran_by is not None:  # the context is that of the service which ran dbt
        return msgspec.structs.replace(git, sha=git.sha or stamped), []
    if not _is_ours(evidence, context):
        return Git(sha=stamped, default_branch=git.default_branch, repository_url=git.repository_url), []
    if not stamped or any(sha and sha.startswith(stamped) for sha in (git.sha, git.checkout_sha)):
        return git, []
    replaced = msgspec.structs.replace(git, sha=stamped)
    if not git.sha:
        return replaced, []
    text = f"the artifacts say commit {stamped[:12]}, the checkout is at {git.sha[:12]}"
    return replaced, [RunWarning(code="other-commit", text=text)]


def _notes(
    evidence: Evidence,
    results: tuple[Result, ...],
    tables: tuple[Dataset, ...],
    defaulted: dict[str, int],
) -> list[RunWarning]:
    notes = [RunWarning(code=code, text=text) for code, text in evidence.notes]
    words = sorted({r.reason or "" for r in results if r.status == "unknown" and r.reason != "vanished"})
    notes += [RunWarning(code="unknown-status", text=f"{w}: no known status of a check") for w in words]
    odd = sorted(d.key for d in tables if d.run and "no known status" in (d.run.message or ""))
    notes += [RunWarning(code="unknown-status", text=f"{key}: no known status") for key in odd]
    if defaulted:
        names = ", ".join(f"{name} ({count})" for name, count in sorted(defaulted.items())[:20])
        notes.append(RunWarning(code="dimension-defaulted", text=f"counted as validity: {names}"))
    return notes


def _utc(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None
