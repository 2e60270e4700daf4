"""The platform's own files in a folder, for who carries them over by other means. Makes no call."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from qalita_action.errors import ExitCode, SettingsError
from qalita_action.model import Ingest, PlannedRequest, Receipt, Target, to_json
from qalita_action.publish.results_files import Files, files

READABLE = 1_000_000  # bytes up to which somebody may open a file and read it
NAMES = ("ingest.json", "metrics.json", "recommendations.json", "schemas.json", "figures.json")


def write(target: Target, ingest: Ingest, *, alone: bool) -> Receipt:
    """Write the five files; alone: whether this is the only document, which then needs no folder of its own.
    Paths count from the working directory. Never raises an OSError: a receipt tells it."""
    folder = place(target, ingest, alone=alone)
    found = files(ingest, detail=target.metrics_detail)
    contents = rendered(ingest, found)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in contents.items():
            _replace(folder / name, data)
    except OSError as e:
        error = SettingsError(
            "folder-unwritable",
            f"The files cannot be written: {e.strerror}.",
            expected="a folder that can be written to",
            looked=[str(folder)],
            todo=["give --report-dir a folder that this job may write to"],
        )
        return Receipt(
            run_key=ingest.run.key,
            api="folder",
            status="refused",
            source=ingest.source.name,
            error_code=error.code,
            error_text=str(error),
            exit_code=ExitCode.SETTINGS,
        )
    return Receipt(
        run_key=ingest.run.key,
        api="folder",
        status="recorded",
        source=ingest.source.name,
        counts=counts(found),
        url=str(folder),
    )


def planned(target: Target, ingest: Ingest) -> tuple[PlannedRequest, ...]:
    folder = Path(target.folder)
    return tuple(
        PlannedRequest(method="WRITE", path=str(folder / name), size=len(data) + 1)
        for name, data in rendered(ingest, files(ingest, detail=target.metrics_detail)).items()
    )


def rendered(ingest: Ingest, found: Files) -> dict[str, bytes]:
    """File name to bytes, each without its last line feed."""
    values: tuple[Any, ...] = (found.metrics, found.recommendations, found.schemas, found.figures)
    shown = {name: _pretty(value) for name, value in zip(NAMES[1:], values, strict=True)}
    return {NAMES[0]: to_json(ingest), **shown}


def counts(found: Files) -> dict[str, int]:
    return {
        "metrics": len(found.metrics),
        "recommendations": len(found.recommendations),
        "schemas": len(found.schemas),
        "figures": len(found.figures["figures"]),
    }


def place(target: Target, ingest: Ingest, *, alone: bool) -> Path:
    """A source's name may hold anything; a folder's name must stay inside its parent."""
    if alone:
        return Path(target.folder)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", ingest.source.name).lstrip(".")
    return Path(target.folder) / (name or ingest.run.key)


def _pretty(value: Any) -> bytes:
    data = msgspec.json.encode(value)
    return msgspec.json.format(data, indent=2) if len(data) < READABLE else data


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.writelines([data, b"\n"])
    temporary.replace(path)
