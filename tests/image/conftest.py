"""The image, built once; and a workspace as a hosted runner has it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.image.engine import ROOT, RUNNER, built


@pytest.fixture(scope="session")
def image() -> str:
    return built("dbt-ingest:test")


@pytest.fixture(scope="session")
def nonroot(image) -> str:
    return built("dbt-ingest:test-nonroot", "--target", "nonroot")


@pytest.fixture
def runners(tmp_path) -> Path:
    """A workspace with the example's artifacts, owned by the runner's user as on a hosted machine."""
    folder = tmp_path / "work"
    shutil.copytree(ROOT / "examples/airquality/sample-target", folder / "target")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, RUNNER, RUNNER)
    return folder
