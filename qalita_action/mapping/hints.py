"""Where a person looks on after a bad check: dbt's compiled SQL, and the relation that holds the failing
rows. For reports on the spot: the document has neither. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qalita_action.model import Hint

if TYPE_CHECKING:
    from qalita_action.dbt import Evidence
    from qalita_action.dbt.shapes import Node
    from qalita_action.model import Ingest

_BAD = frozenset({"failed", "errored", "warned", "unknown"})
_BROKEN = frozenset({"errored", "partial"})


def hints(evidence: Evidence, ingest: Ingest, folder: str, workspace: str) -> dict[str, Hint]:
    """By key of the check or dataset, of what is bad alone."""
    bad = [r.check for r in ingest.results if r.status in _BAD]
    bad += [d.key for d in ingest.datasets if d.run and d.run.status in _BROKEN]
    found: dict[str, Hint] = {}
    for key in bad:
        node = evidence.manifest.nodes.get(key)
        if node is None:
            continue
        hint = Hint(compiled=_compiled(node, folder, workspace), stored=_stored(key, node))
        if hint.compiled or hint.stored:
            found[key] = hint
    return found


def _compiled(node: Node, folder: str, workspace: str) -> str | None:
    """From the repository's root, as the other paths of a report. One outside means nothing there."""
    if not node.compiled_path:
        return None
    path, root = _slashed(node.compiled_path), f"{_slashed(workspace).rstrip('/')}/"
    if not (path.startswith("/") or path[1:3] == ":/"):
        return f"{folder.strip('/')}/{path}".lstrip("/")
    return path.removeprefix(root) if path.startswith(root) else None


def _slashed(path: str) -> str:
    return path.replace("\\", "/")


def _stored(key: str, node: Node) -> str | None:
    """Dbt names a relation for a test only where it stores the failures."""
    return node.relation_name if key.startswith("test.") else None
