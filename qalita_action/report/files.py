"""Puts a rendered report where it goes: streams, files, GitHub's file commands; and reads the files of the
repository that it points into. The one module of the package that touches the disk. Must not lose a run: a
report that cannot be written is told, not raised."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

from qalita_action.model import ReportOptions, Value
from qalita_action.ownership import give, make_folder
from qalita_action.redact import for_console
from qalita_action.report.comment import Comment
from qalita_action.report.github_summary import SUMMARY_LIMIT

DOCUMENT, PAGE, SUMMARY = "ingest.json", "report.html", "summary.md"
JUNIT, QUALITY, LINKS, DOTENV = "junit.xml", "codequality.json", "annotations.json", "qalita.env"


class Rendered(Value, frozen=True, kw_only=True):
    """All texts of one report. files maps a name inside options.directory to its content."""

    console: str
    files: dict[str, bytes]
    summary: str | None
    commands: tuple[str, ...]
    outputs: dict[str, str]
    comment: Comment | None = None


def write(rendered: Rendered, options: ReportOptions, stdout: TextIO, stderr: TextIO | None = None) -> None:
    """Print and write. Under options.output == "json" stdout gets the document alone, stderr all else."""
    problems: list[str] = []
    outputs = dict(rendered.outputs)
    directory = Path(options.workspace, options.directory)
    for name, content in rendered.files.items():
        try:
            _replace(directory / name, content)
        except OSError as error:
            problems.append(f"{directory / name} was not written: {_why(error)}")
            outputs = {
                key: "" if value == output_path(options, name) else value for key, value in outputs.items()
            }
    problems += _append(options.summary_path, rendered.summary, "the job summary", SUMMARY_LIMIT)
    problems += _append(options.outputs_path, file_commands(outputs), "the outputs", None)
    people = stdout
    if options.output == "json":
        people = stderr or sys.stderr
        _print(stdout, rendered.files.get(DOCUMENT, b"").decode("utf-8"))
    told = "".join(f"  ! {for_console(problem)}\n" for problem in problems)
    _print(people, rendered.console + told + "".join(f"{command}\n" for command in rendered.commands))


# Of one file, and of all but the last: parsing takes a second a megabyte, and nobody waits long for lines.
MOST_FILE_BYTES, MOST_BYTES = 1_000_000, 500_000


class Repository:
    """The files of the repository, each read once. No link and no `..` leads out of it."""

    def __init__(self, root: str) -> None:
        self._root = Path(root).resolve()
        self._real: dict[str, str | None] = {}
        self._texts: dict[str, str | None] = {}
        self._room = MOST_BYTES

    def real(self, path: str) -> str | None:
        """The path with its links followed, None where that is no file inside."""
        if path not in self._real:
            found = self._inside(path, Path.is_file)
            self._real[path] = found.relative_to(self._root).as_posix() if found else None
        return self._real[path]

    def has_folder(self, path: str) -> bool:
        return self._inside(path, Path.is_dir) is not None

    def text(self, path: str) -> str | None:
        """None where it is no text, too large, or the limit of all files is reached."""
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path]

    def _read(self, path: str) -> str | None:
        found = self._inside(path, Path.is_file)
        if found is None:
            return None
        try:
            with found.open("rb") as file:
                content = file.read(MOST_FILE_BYTES + 1)
            if len(content) > MOST_FILE_BYTES or self._room <= 0:
                return None
            self._room -= len(content)
            return content.decode("utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def _inside(self, path: str, is_kind: Callable[[Path], bool]) -> Path | None:
        try:
            found = (self._root / path).resolve()
            return found if found.is_relative_to(self._root) and is_kind(found) else None
        except (OSError, ValueError, RuntimeError):  # too long a name, one with a NUL, a circle of links
            return None


def output_path(options: ReportOptions, name: str) -> str:
    """As a later step names the file: relative to the workspace where it lies inside, since a container's
    absolute path means nothing on the host."""
    workspace = Path(options.workspace).absolute()
    path = workspace / options.directory / name
    return path.relative_to(workspace).as_posix() if path.is_relative_to(workspace) else str(path)


def room_for_summary(path: str | None) -> int:
    """Bytes left in the step's summary: earlier text of the same step counts."""
    try:
        return SUMMARY_LIMIT - (Path(path).stat().st_size if path else 0) - 1  # maybe a line feed of ours
    except OSError:
        return SUMMARY_LIMIT


def file_commands(outputs: Mapping[str, str]) -> str:
    """GITHUB_OUTPUT's long form. The delimiter is random: no value can close its own entry."""
    lines = []
    for key, value in outputs.items():
        delimiter = f"qalita_{secrets.token_hex(16)}"
        lines.append(f"{key}<<{delimiter}\n{value}\n{delimiter}\n")
    return "".join(lines)


def add_outputs(path: str | None, outputs: Mapping[str, str]) -> None:
    """Of a step that makes no report. What cannot be written is no reason to fail."""
    _append(path, file_commands(outputs), "the outputs", None)


def _append(path: str | None, text: str | None, what: str, limit: int | None) -> list[str]:
    if not path or not text:
        return []
    content = text.encode("utf-8", "replace")
    try:
        with Path(path).open("ab+") as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(-1, os.SEEK_END)
                content = content if file.read(1) == b"\n" else b"\n" + content
            if limit is not None and end + len(content) > limit:
                return [f"{what} was not written: {path} is full"]
            file.write(content)
    except OSError as error:
        return [f"{what} was not written to {path}: {_why(error)}"]
    return []


def _replace(path: Path, content: bytes) -> None:
    """Whole or not at all, and through no link that a change request may have put there under that name."""
    make_folder(path.parent)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    give(path, path.parent)


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _print(stream: TextIO, text: str) -> None:
    """In the stream's own encoding: a console that knows no ticks shows question marks, and does not fail."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()
