"""The report's page as a browser shows it: nothing leaves it, nothing is complained of, and its filters work."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import report_samples as samples
from test_report_hostile import TEXTS, view_of

from qalita_action.report.build import build
from qalita_action.report.html import html

READERS = os.environ["QALITA_READERS"]
SCRIPT = Path(__file__).with_name("page_in_browser.mjs")


def opened(folder: Path, *pages: bytes) -> list[dict]:
    paths = [folder / f"report-{number}.html" for number in range(len(pages))]
    for path, page in zip(paths, pages, strict=True):
        path.write_bytes(page)
    done = subprocess.run(
        ["node", str(SCRIPT), READERS, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    every = json.loads(done.stdout)
    for path, told in zip(paths, every, strict=True):
        assert set(told["requests"]) == {f"file://{path}"}, "the page asks for something"
        assert told["complaints"] == []
        assert told["dialogs"] == 0
    return every


def test_nothing_leaves_the_page_and_its_filters_show_what_they_say(tmp_path):
    document = samples.failing()
    (told,) = opened(tmp_path, html(build([document], samples.gate(document))))
    everything = told["shown"]["all"]
    assert len(everything) == len(document.checks)
    for key in ("status", "dataset", "owner"):
        value, rows = told["shown"][key]["value"], told["shown"][key]["rows"]
        assert 0 < len(rows) < len(everything), key
        assert rows == [row for row in everything if row[key] == value], key
    assert told["shown"]["again"] == len(everything)
    assert told["colors"]["light"] != told["colors"]["dark"]


def test_hostile_text_starts_nothing(tmp_path):
    assert len(opened(tmp_path, *(html(view_of(text)) for text in TEXTS))) == len(TEXTS)
