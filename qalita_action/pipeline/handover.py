"""Files that a change's own job made, and that a trusted `workflow_run` job publishes: they are data, never
identity. What the run is comes from GitHub's event and our own settings; a file that says otherwise is
refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from qalita_action.errors import ArtifactError, SettingsError, raise_all

if TYPE_CHECKING:
    from pathlib import Path

    from qalita_action.dbt import Evidence
    from qalita_action.errors import IngestError
    from qalita_action.model import CIContext, Ingest
    from qalita_action.settings import Settings

EVENT = "workflow_run"


def settled(context: CIContext) -> CIContext:
    """GITHUB_SHA of this event is the tip of the default branch: it is not what dbt ran on, whatever is
    checked out here."""
    if context.ci.event != EVENT:
        return context
    return msgspec.structs.replace(context, git=msgspec.structs.replace(context.git, checkout_sha=None))


def is_handed_over(context: CIContext) -> bool:
    return context.ci.event == EVENT and context.is_change


def check_settings(settings: Settings, context: CIContext) -> None:
    """Raises SettingsError handover-unsafe where a file could choose what it is taken for."""
    if not is_handed_over(context):
        return
    errors: list[IngestError] = []
    if not settings.project:
        errors.append(
            _unsafe("the project is not named, so the change's own files would choose it", "--project NAME")
        )
    if settings.change_env == "same":
        errors.append(_unsafe("--change-env same lets a change write into --env", "--change-env ci"))
    if context.git.sha is None:
        errors.append(_unsafe("the event does not tell the change's commit", "mount the event file"))
    raise_all(errors)


def _unsafe(why: str, todo: str) -> SettingsError:
    return SettingsError(
        "handover-unsafe",
        f"A change's files cannot be published from workflow_run: {why}.",
        expected="project and change environment from your settings, the commit from GitHub's event",
        todo=[todo],
    )


def hold_artifacts(evidence: Evidence, settings: Settings, context: CIContext) -> None:
    """Dbt's files. Raises ArtifactError handover-differs."""
    if is_handed_over(context):
        _hold(
            str(evidence.directory),
            {
                "project": (evidence.project_name, settings.project),
                "commit": (evidence.stamped_sha, context.git.sha),
            },
        )


def hold_document(ingest: Ingest, settings: Settings, context: CIContext, path: Path) -> None:
    """A waiting run. Raises ArtifactError handover-differs."""
    if is_handed_over(context):
        git, ours = ingest.run.git, context.git
        _hold(
            str(path),
            {
                "project": (ingest.source.project, settings.project),
                "environment": (ingest.source.environment, settings.change_env),
                "suite": (ingest.source.suite or "none", settings.suite or "none"),
                "commit": (git.sha or "none", ours.sha),
                "branch": (git.branch or "none", ours.branch),
                "repository": (git.repository_url or "none", ours.repository_url),
                "change": (ingest.run.ci.change_id, context.ci.change_id),
            },
        )


def _hold(where: str, claims: dict[str, tuple[str | None, str | None]]) -> None:
    """claims: what the file says and what is known; where either is unknown, there is nothing to compare."""
    wrong = [
        f"{name}: the file says {said}, the event and the settings say {known}"
        for name, (said, known) in claims.items()
        if said is not None and known is not None and not _agree(name, said, known)
    ]
    if wrong:
        raise ArtifactError(
            "handover-differs",
            "A change's files say that they are another run's.",
            expected="what GitHub's workflow_run event and your settings say",
            looked=[where, *wrong],
            todo=["look at the change's workflow: which files does it upload, and who wrote it"],
        )


def _agree(name: str, said: str, known: str) -> bool:
    return known.startswith(said) if name == "commit" else said == known
