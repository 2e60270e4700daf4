"""Where dbt left its artifacts, by dbt's own precedence. Reads listings and dbt_project.yml, no artifact.

--target-path > DBT_ENGINE_TARGET_PATH > DBT_TARGET_PATH > `target-path:` of dbt_project.yml > `target`; a
relative path is relative to the project (https://docs.getdbt.com/reference/project-configs/target-path).
One run is the files of one directory, or all files that were named; other directories are other runs.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from qalita_action.dbt import sources
from qalita_action.dbt.found import Found, Places
from qalita_action.dbt.packed import SUFFIXES
from qalita_action.dbt.sources import listing
from qalita_action.errors import ArtifactError
from qalita_action.redact import mask_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from qalita_action.dbt.found import Artifact

PROJECT_FILE = "dbt_project.yml"
MAX_DEPTH = 5
# A target folder is looked into where a project names it, and nowhere else.
NOT_SEARCHED = listing.NOT_OURS | {"target"}
_ENV_VAR = re.compile(r"""\{\{\s*env_var\(\s*['"]([^'"]+)['"]\s*(?:,\s*['"]([^'"]*)['"]\s*)?\)\s*\}\}""")


def locate(places: Places, workspace: Path, env: Mapping[str, str]) -> tuple[Found, ...]:
    """One Found per dbt project, sorted by directory.

    Errors: artifacts-not-found with every place looked at; manifest-not-found; results-not-found.
    """
    if places.manifest or places.results or places.sources:
        return (_named(places, workspace),)
    if places.path and sources.is_address(places.path):
        found = sources.found_at(places.path, places)
    else:
        found = _discovered(places, workspace, env)
    if places.catalog and len(found) == 1:
        return (msgspec.structs.replace(found[0], catalog=_one(places.catalog, places, workspace)),)
    return found


def _discovered(places: Places, workspace: Path, env: Mapping[str, str]) -> tuple[Found, ...]:
    start = workspace / (places.path or env.get("DBT_PROJECT_DIR") or ".")
    if start.is_file():
        from qalita_action.dbt.sources import archives

        if archives.holds_archive(start) or archives.is_archive(start.name):
            shown, limit = places.path or str(start), places.reach.max_bytes
            return archives.runs(start, shown, limit=limit, is_elsewhere=False)
        return (_beside(start),)
    if not start.is_dir():
        raise ArtifactError(
            "artifacts-not-found",
            f"{places.path or start} does not exist",
            expected="a dbt project, its target folder, or one of its artifacts",
            looked=[str(start.absolute())],
            todo=["check PATH; it is relative to the folder that this step runs in"],
        )
    if _file(start, "manifest.json"):
        return (_directory(start, places, named=places.path is not None, project=None),)
    looked: list[str] = []
    found: list[Found] = []
    for project in _projects(start):
        name, configured = _read_project(project)
        target = project.parent / _target_path(places, configured, env)
        looked.append(str(target))
        if _file(target, "manifest.json"):
            found.append(_directory(target, places, named=False, project=project, project_name=name))
    if not looked:
        target = start / _target_path(places, None, env)
        looked.append(str(target))
        if _file(target, "manifest.json"):
            found.append(_directory(target, places, named=False, project=None))
    if not found:
        raise _not_found(start, looked)
    return tuple(found)


def _not_found(start: Path, looked: list[str]) -> ArtifactError:
    return ArtifactError(
        "artifacts-not-found",
        "no dbt artifacts were found",
        expected=f"manifest.json and run_results.json in a dbt target folder below {start}",
        looked=[f"{place}/manifest.json" for place in looked[:20]]
        + ([f"and {len(looked) - 20} more folders"] if len(looked) > 20 else []),
        todo=[
            "run `dbt build` before this step, in the same job",
            "dbt ran in another job: hand over its target/*.json"
            " (GitLab: `artifacts: {when: always, paths: [target/*.json]}`; GitHub: upload-artifact)",
            "elsewhere: --target-path DIR, or --manifest FILE --results FILE",
        ],
    )


def _named(places: Places, workspace: Path) -> Found:
    results = tuple(artifact for r in places.results for artifact in _all(r, places, workspace))
    checked = _one(places.sources, places, workspace) if places.sources else None
    if places.manifest:
        manifest = _one(places.manifest, places, workspace)
    else:
        beside = (*results, *((checked,) if checked else ()))[0]
        manifest = _beside_of(beside, places)
    if not results and checked is None and places.manifest and not isinstance(manifest, Path):
        found = sources.found_at(places.manifest, places)[0]  # its results lie beside it, as on a disk
        results, checked = found.results, found.sources
    if not results and checked is None and isinstance(manifest, Path):
        results = _results_in(manifest.parent)
        checked = _file(manifest.parent, "sources.json")
        if not results and checked is None and manifest.exists():
            raise _no_results(manifest.parent)
    used = [a for a in (manifest, *results, checked) if a is not None]
    return Found(
        directory=manifest.parent if isinstance(manifest, Path) else manifest.where.rpartition("/")[0],
        manifest=manifest,
        results=results,
        sources=checked,
        catalog=_one(places.catalog, places, workspace) if places.catalog else None,
        named=True,
        is_elsewhere=not all(isinstance(a, Path) for a in used),
    )


def _one(said: str, places: Places, workspace: Path) -> Artifact:
    _no_archive(said, workspace)
    return sources.blobs_at(said, places)[0] if sources.is_address(said) else workspace / said


def _all(said: str, places: Places, workspace: Path) -> tuple[Artifact, ...]:
    """A path as it is, or what a pattern matches, sorted."""
    _no_archive(said, workspace)
    return sources.blobs_at(said, places) if sources.is_address(said) else tuple(_expanded(workspace, said))


def _no_archive(said: str, workspace: Path) -> None:
    """A flag names one artifact; which one of an archive is not said."""
    from qalita_action.dbt.sources import archives

    is_far = sources.is_address(said)
    if archives.is_archive(said) if is_far else archives.holds_archive(workspace / said):
        shown = mask_url(said)
        raise ArtifactError(
            "artifact-unreadable",
            f"{shown} is an archive, and no artifact",
            expected="one file that dbt wrote",
            todo=[f"give the archive as PATH, and its artifacts are found: qalita-ingest dbt {shown}"],
        )


def _beside_of(artifact: Artifact, places: Places) -> Artifact:
    """The manifest beside a file of results, wherever that is."""
    if isinstance(artifact, Path):
        return _manifest_of(artifact.parent, artifact)
    said = (*places.results, *((places.sources,) if places.sources else ()))[0]
    return sources.manifest_beside(said, places)


def _expanded(workspace: Path, said: str) -> list[Path]:
    if not any(c in said for c in "*?["):
        return [workspace / said]
    base = Path(said)
    root, pattern = (Path(base.anchor), base.relative_to(base.anchor)) if base.anchor else (workspace, base)
    found = sorted(root.glob(pattern.as_posix()))
    if not found:
        raise ArtifactError(
            "results-not-found",
            f"no file matches {said}",
            expected="run_results.json files of one run",
            looked=[str(workspace / said)],
            todo=["check the pattern; quote it, so that the shell does not expand it"],
        )
    return found


def _beside(path: Path) -> Found:
    """PATH is one artifact: the others of its run lie beside it."""
    if path.name.startswith("manifest"):
        return _directory(path.parent, Places(), named=True, project=None, manifest=path)
    is_sources = path.name.startswith("sources")
    return Found(
        directory=path.parent,
        manifest=_manifest_of(path.parent, path),
        results=() if is_sources else (path,),
        sources=path if is_sources else _file(path.parent, "sources.json"),
        named=True,
    )


def _manifest_of(directory: Path, beside: Path) -> Path:
    found = _file(directory, "manifest.json")
    if found is None:
        raise ArtifactError(
            "manifest-not-found",
            f"there is no manifest.json beside {beside}",
            expected="the manifest.json of the same run: it says what each test is about",
            looked=[str(directory / "manifest.json")],
            todo=["give it with --manifest FILE"],
        )
    return found


def _directory(
    directory: Path,
    places: Places,
    *,
    named: bool,
    project: Path | None,
    project_name: str | None = None,
    manifest: Path | None = None,
) -> Found:
    manifest = manifest or _file(directory, "manifest.json")
    assert manifest is not None
    results = _results_in(directory)
    sources = _file(directory, "sources.json")
    if not results and sources is None and places.needs_results:
        raise _no_results(directory)
    beside = directory.parent / PROJECT_FILE
    return Found(
        directory=directory,
        manifest=manifest,
        results=results,
        sources=sources,
        catalog=_file(directory, "catalog.json"),
        named=named,
        project_file=project or (beside if beside.is_file() else None),
        project_name=project_name,
    )


def _no_results(directory: Path) -> ArtifactError:
    return ArtifactError(
        "results-not-found",
        f"{directory} holds a manifest.json and no results: nothing says that a test ran",
        expected="run_results.json or sources.json, which dbt build, test and source freshness write",
        looked=[str(directory / "run_results*.json"), str(directory / "sources.json")],
        todo=[
            "`dbt parse` and `dbt list` write no results: run `dbt build` or `dbt test`",
            "dbt that could not connect, or was killed, writes none either: look at its log",
        ],
    )


def _results_in(directory: Path) -> tuple[Path, ...]:
    names = {p for s in ("", *SUFFIXES) for p in directory.glob(f"run_results*.json{s}")}
    return tuple(sorted(p for p in names if p.is_file()))


def _file(directory: Path, name: str) -> Path | None:
    return next((p for s in ("", *SUFFIXES) if (p := directory / f"{name}{s}").is_file()), None)


def _projects(start: Path) -> Iterator[Path]:
    """dbt_project.yml files at or below start, sorted, without packages; a project's own folders are not
    searched for more projects. Links are not followed: local packages are links in dbt_packages.
    """
    for folder, names, files in os.walk(start):
        depth = len(Path(folder).relative_to(start).parts)
        keep = depth < MAX_DEPTH
        names[:] = sorted(n for n in names if keep and n not in NOT_SEARCHED and not n.startswith("."))
        if PROJECT_FILE in files:
            names[:] = []
            yield Path(folder) / PROJECT_FILE


def _read_project(path: Path) -> tuple[str | None, str | None]:
    """Name and target-path, None where they are not there. A broken file is dbt's to complain about."""
    import yaml

    try:
        content = yaml.safe_load(path.read_bytes()[:1_000_000])
    except (yaml.YAMLError, OSError, RecursionError, ValueError):
        return None, None
    if not isinstance(content, dict):
        return None, None
    name, target = content.get("name"), content.get("target-path")
    return name if isinstance(name, str) else None, target if isinstance(target, str) else None


def _target_path(places: Places, configured: str | None, env: Mapping[str, str]) -> str:
    said = places.target_path or env.get("DBT_ENGINE_TARGET_PATH") or env.get("DBT_TARGET_PATH")
    if said:
        return said
    rendered = _ENV_VAR.sub(lambda m: env.get(m[1]) or m[2] or "", configured or "").strip()
    return rendered if rendered and "{{" not in rendered else "target"
