"""What files of results say about their run: what it was asked, whether it finished, which commit. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from qalita_action.dbt.shapes import Metadata

if TYPE_CHECKING:
    from qalita_action.dbt import vet
    from qalita_action.dbt.shapes import Manifest

_TEN_YEARS_S = 10 * 366 * 86_400
Selection = Literal["all", "some", "unknown"]

# Names that people give to `DBT_ENV_CUSTOM_ENV_<NAME>` for the commit, and dbt Cloud's own.
SHA_NAMES = ("DBT_CLOUD_GIT_SHA", "GIT_SHA", "GIT_COMMIT", "COMMIT_SHA", "GITHUB_SHA", "CI_COMMIT_SHA")
_SHA = re.compile(r"[0-9a-f]{7,64}")
_SELECTING = ("select", "models", "exclude", "selector", "selector_name")
_SELECTING_KINDS = ("resource_types", "resource_type", "exclude_resource_types")


def selection(manifest: Manifest, used: list[vet.File]) -> Selection:
    """What dbt was asked to run. 2.x records no selection."""
    args = [f.args for f in used if f.args]
    if not args or any(all(getattr(a, k) is msgspec.UNSET for k in _SELECTING) for a in args):
        return "unknown"
    by_default = any(isinstance(s, dict) and s.get("default") for s in manifest.selectors.values())
    some = by_default or all(any(_given(a, k) for k in (*_SELECTING, *_SELECTING_KINDS)) for a in args)
    return "some" if some else "all"


def _given(args: Any, name: str) -> bool:
    value = getattr(args, name)
    return value is not msgspec.UNSET and bool(value)


def partial(used: list[vet.File]) -> str | None:
    """Why the run did not finish what it selected, where a file says so."""
    executed = [f for f in used if f.args]
    if any(f.command == "retry" for f in executed) and all(f.command == "retry" for f in executed):
        return "retry without the results of its first run"
    if any(f.args.sample not in (None, False) for f in executed if f.args):
        return "sample"
    for f in used:
        if any(r.message and r.message.startswith("Skipping due to fail_fast") for r in f.results.results):
            return "fail_fast"
        if any(not r.unique_id for r in f.results.results):
            return "rows lost"
    return None


def project_name(manifest: Manifest, configured: str | None) -> str | None:
    """metadata.project_name (1.6 on); before that the package whose md5 is metadata.project_id."""
    meta = manifest.metadata or Metadata()
    if meta.project_name:
        return meta.project_name
    if meta.project_id:
        packages = {n.package_name for n in manifest.nodes.values() if n.package_name}
        packages |= {n.package_name for n in manifest.sources.values() if n.package_name}
        for name in sorted(packages | ({configured} if configured else set())):
            if hashlib.md5(name.encode(), usedforsecurity=False).hexdigest() == meta.project_id:
                return name
    return configured


def stamped_sha(metas: list[Metadata | None]) -> str | None:
    """The commit that the artifacts themselves name. Read from results, never from the manifest, where
    partial parsing keeps the value of another day.
    """
    for meta in reversed(metas):
        for name in SHA_NAMES:
            value = str((meta.env or {}).get(name, "") if meta else "").strip().lower()
            if _SHA.fullmatch(value):
                return value
    return None


def seconds(value: Any) -> float | None:
    """An elapsed time that a run of dbt can have had; None for no number, below zero, or over ten years."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if 0 <= found < _TEN_YEARS_S else None
