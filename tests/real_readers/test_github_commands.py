"""Our annotations and those that @actions/core writes of the same words: the same bytes. `make readers` runs it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import report_samples as samples
from test_report_hostile import TEXTS, commands, ids, view_of

from qalita_action.report.build import build
from qalita_action.report.github import annotate

READERS = os.environ["QALITA_READERS"]

NAMES = {"title": "title", "file": "file", "line": "startLine"}


def written_by_github(lines: list[str]) -> str:
    """Our lines read as the runner reads them, and written anew."""
    annotations = []
    for level, properties, message in commands("\n".join(lines)):
        given = {NAMES[key]: int(value) if key == "line" else value for key, value in properties.items()}
        annotations.append([level, message, given])
    assert len(annotations) == len(lines)
    script = Path(__file__).with_name("workflow_commands.js")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    done = subprocess.run(
        ["node", str(script), READERS],
        input=json.dumps(annotations).encode(),
        capture_output=True,
        check=True,
        env=environment,
    )
    return done.stdout.decode()


@pytest.mark.parametrize("text", TEXTS, ids=ids)
def test_hostile_names(text):
    lines = annotate(view_of(text))
    assert "".join(f"{line}\n" for line in lines) == written_by_github(lines)


@pytest.mark.parametrize("sample", [samples.failing, samples.broken_model])
def test_a_usual_run(sample):
    document = sample()
    lines = annotate(build([document], samples.gate(document)))
    assert lines and "".join(f"{line}\n" for line in lines) == written_by_github(lines)
