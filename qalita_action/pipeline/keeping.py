"""What becomes of a run that waits on disk once the job is over, where that can be known. Must not move a
file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qalita_action.model import Receipt

KEEP = "keep the folder as an artifact or in a cache, and send it later with `qalita-ingest replay`"
GONE = f"this runner is thrown away with the job, and the waiting run with it: {KEEP}"
CLEANED = f"the next checkout on this runner cleans the workspace, and the waiting run with it: {KEEP}"
UNKNOWN = (
    f"the waiting run is lost with the workspace, unless the job's artifacts or its cache hold it: {KEEP}"
)
# By provider: what happens to a file in the workspace once the job is over.
WORKSPACE = {"github": CLEANED, "gitea": CLEANED, "forgejo": CLEANED}


def told(receipt: Receipt, provider: str | None, workspace: Path, env: Mapping[str, str]) -> Receipt:
    """The receipt of a run that waits, with what becomes of it, and the file's path as later steps know it: a
    container's /github/workspace means nothing to them."""
    if receipt.spool is None:
        return receipt
    path = (workspace / receipt.spool).absolute()
    warning = fate(path, provider, workspace.absolute(), env)
    is_inside = path.is_relative_to(workspace.absolute())
    return msgspec.structs.replace(
        receipt,
        spool=path.relative_to(workspace.absolute()).as_posix() if is_inside else str(path),
        notes=(*receipt.notes, warning) if warning else receipt.notes,
    )


def fate(path: Path, provider: str | None, workspace: Path, env: Mapping[str, str]) -> str | None:
    """A sentence of warning; None where the file is known to stay, or where no CI is. Paths are absolute."""
    if provider is None:
        return None
    if env.get("RUNNER_ENVIRONMENT") == "github-hosted":
        return GONE
    if path.is_relative_to(workspace):
        return WORKSPACE.get(provider, UNKNOWN)
    if env.get("RUNNER_ENVIRONMENT") == "self-hosted" or _is_on_a_volume(path, workspace):
        return None
    return UNKNOWN


def _is_on_a_volume(path: Path, workspace: Path) -> bool:
    """Whether something is mounted above the file that is neither the root nor the workspace's own mount."""
    above = {Path(path.anchor), workspace, *workspace.parents}
    return any(os.path.ismount(parent) for parent in path.parents if parent not in above)
