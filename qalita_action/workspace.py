"""Files of the workspace and of the package that the stages want as values: read here, judged elsewhere."""

from __future__ import annotations

from datetime import datetime, timezone
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec

from qalita_action import mapping
from qalita_action.errors import ArtifactError
from qalita_action.model import Ingest

if TYPE_CHECKING:
    from pathlib import Path

    from qalita_action.dbt import Found

# https://docs.github.com/articles/about-code-owners and https://docs.gitlab.com/user/project/codeowners/
CODEOWNERS = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
MAX_CODEOWNERS_BYTES = 3_000_000


def baseline(path: Path) -> tuple[Ingest, ...]:
    """The documents of an ingest.json, one a line."""
    try:
        lines = path.read_bytes().splitlines()
        return tuple(msgspec.json.decode(line, type=Ingest) for line in lines if line.strip())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as e:
        raise ArtifactError(
            "baseline-unreadable",
            f"{path} cannot be compared with: {e}",
            expected="the ingest.json that an earlier run of this command wrote",
            looked=[str(path)],
            todo=["check --baseline, or leave it out"],
        ) from None


def known_dimensions() -> dict[str, str]:
    return mapping.dimension_table(files(mapping).joinpath(mapping.DIMENSIONS_FILE).read_bytes())


def _root(workspace: Path) -> Path:
    """The repository's root, or the workspace where there is none."""
    here = workspace.resolve()
    return next((p for p in (here, *here.parents) if (p / ".git").exists()), here)


def codeowners(workspace: Path) -> str | None:
    """GitHub's and GitLab's places, in their order."""
    for place in CODEOWNERS:
        path = _root(workspace) / place
        if path.is_file() and path.stat().st_size < MAX_CODEOWNERS_BYTES:
            return path.read_text(encoding="utf-8", errors="replace")
    return None


def checked_out_at(workspace: Path) -> datetime | None:
    """When the CI moved HEAD here: what is older came from a cache or an earlier run."""
    head = _root(workspace) / ".git" / "HEAD"
    return datetime.fromtimestamp(head.stat().st_mtime, timezone.utc) if head.is_file() else None


def folder(found: Found, workspace: Path) -> str:
    """The project's folder as the repository sees it, "" for its root or where no project file tells."""
    if found.project_file is None:
        return ""
    project = found.project_file.parent.resolve()
    root = _root(workspace)
    return project.relative_to(root).as_posix().removeprefix(".") if project.is_relative_to(root) else ""
