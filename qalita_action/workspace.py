"""Files of the workspace and of the package that the stages want as values: read here, judged elsewhere."""

from __future__ import annotations

from datetime import datetime, timezone
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urljoin, urlsplit

import msgspec

from qalita_action import mapping
from qalita_action.errors import ArtifactError
from qalita_action.model import SCHEMA_VERSION, Ingest
from qalita_action.redact import mask_url

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from qalita_action.dbt import Found

# https://docs.github.com/articles/about-code-owners and https://docs.gitlab.com/user/project/codeowners/
CODEOWNERS = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
MAX_CODEOWNERS_BYTES = 3_000_000
MAX_BASE_BYTES = 256 * 1024 * 1024
FETCH_S = 60.0


def is_address(place: str) -> bool:
    return "://" in place


def fetched(address: str, folder: Path, names: Sequence[str] = ()) -> Path:
    """The file behind an address, in a folder of ours, with those of `names` that lie beside it there (an
    ingest.json stands alone). No token of ours goes along.

    Errors: baseline-unreadable, and those of http.
    """
    from qalita_action.http import Budget, Client, Options, is_loopback

    url = urlsplit(address)
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
        raise unreadable_base(mask_url(address), "only https is read, and http of this machine")
    where = Options(
        base_url=f"{url.scheme}://{url.netloc}",
        service="the base's server",
        endpoint_name="--baseline",
        attempts=3,
        max_answer=MAX_BASE_BYTES,
    )
    budget = Budget(FETCH_S)
    with Client(where) as client:
        query = parse_qsl(url.query, keep_blank_values=True)
        main = folder / "base.json"
        main.write_bytes(client.request("GET", url.path, params=query, budget=budget).body)
        for name in names if b'"schemaVersion"' not in main.read_bytes() else ():
            beside = urljoin(url.path, name)
            answer = client.request("GET", beside, params=query, budget=budget, passes={403, 404})
            if answer.status == 200:
                (folder / name).write_bytes(answer.body)
    return main


def documents(path: Path) -> tuple[Ingest, ...] | None:
    """The documents of an ingest.json, one a line; None where it is something else, such as dbt's own.

    Errors: baseline-unreadable.
    """
    try:
        if path.stat().st_size > MAX_BASE_BYTES:
            raise unreadable_base(str(path), f"it has more than {MAX_BASE_BYTES:,} bytes")
        lines = [line for line in path.read_bytes().splitlines() if line.strip()]
        kind = msgspec.json.decode(lines[0], type=_Kind) if lines else _Kind()
    except OSError as e:
        raise unreadable_base(str(path), e.strerror or type(e).__name__) from None
    except (ValueError, RecursionError):
        return None
    if kind.schemaVersion is None:
        return None
    if kind.schemaVersion != SCHEMA_VERSION:
        raise unreadable_base(str(path), f"its schemaVersion is {kind.schemaVersion[:20]!r}")
    try:
        return tuple(msgspec.json.decode(line, type=Ingest) for line in lines)
    except (ValueError, RecursionError) as e:
        raise unreadable_base(str(path), str(e)) from None


class _Kind(msgspec.Struct):
    schemaVersion: str | None = None  # noqa: N815 - the document's word


def unreadable_base(where: str, why: str) -> ArtifactError:
    return ArtifactError(
        "baseline-unreadable",
        f"{where} cannot be compared with: {why}",
        expected="the ingest.json that an earlier run of this command wrote, or dbt's run_results.json",
        looked=[where],
        todo=["check --baseline, or leave it out"],
    )


def known_dimensions() -> dict[str, str]:
    return mapping.dimension_table(files(mapping).joinpath(mapping.DIMENSIONS_FILE).read_bytes())


def root(workspace: Path) -> Path:
    """The repository's root, or the workspace where there is none."""
    here = workspace.resolve()
    return next((p for p in (here, *here.parents) if (p / ".git").exists()), here)


def codeowners(workspace: Path) -> str | None:
    """GitHub's and GitLab's places, in their order."""
    for place in CODEOWNERS:
        path = root(workspace) / place
        if path.is_file() and path.stat().st_size < MAX_CODEOWNERS_BYTES:
            return path.read_text(encoding="utf-8", errors="replace")
    return None


def checked_out_at(workspace: Path) -> datetime | None:
    """When the CI moved HEAD here: what is older came from a cache or an earlier run."""
    head = root(workspace) / ".git" / "HEAD"
    return datetime.fromtimestamp(head.stat().st_mtime, timezone.utc) if head.is_file() else None


def folder(found: Found, workspace: Path) -> str:
    """The project's folder as the repository sees it, "" for its root or where no project file tells."""
    if found.project_file is None:
        return ""
    project = found.project_file.parent.resolve()
    top = root(workspace)
    return project.relative_to(top).as_posix().removeprefix(".") if project.is_relative_to(top) else ""


def pack_files() -> dict[str, bytes]:
    """The pack's files, which the wheel and the image carry; a checkout has them where they are written."""
    package = files("qalita_action")
    carried = package / "pack"
    folder = carried if carried.is_dir() else package / ".." / "packs" / "dbt_ingest_pack"
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
