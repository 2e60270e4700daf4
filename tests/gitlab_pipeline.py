"""A project on GitLab that includes our template or our component, and gitlab-ci-local that runs its pipeline.

dbt's part is a stand-in: it leaves the example's results, dated to this minute, and ends red.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / ".demo/local-ci/node_modules/.bin/gitlab-ci-local"
SAMPLE = ROOT / "examples/airquality/sample-target"
COMPONENT = "templates/dbt-ingest/template.yml"
TEMPLATE = "gitlab-ci-template.yml"
DBT = """#!/bin/sh
mkdir -p target && cp sample/*.json target/
[ -n "$STALE" ] || sed -i "s/2026-11-23T[0-9:.]*Z/$(date -u +%Y-%m-%dT%H:%M:%S).000000Z/g" target/*.json
[ -z "$NOTHING" ] || rm target/*.json
exit 1
"""
# GitLab itself takes an empty list of tags; the schema of its editor does not.
EMPTY_TAGS = ("--ignore-schema-paths", "#/definitions/tags/minItems")
# gitlab-ci-local says GITLAB_CI=false, so that scripts can tell it from GitLab.
LIKE_GITLAB = {"GITLAB_CI": "true"}


class Pipeline(NamedTuple):
    """states: PASS, WARN or FAIL by job; codes: the exit codes that are not 0; kept: the folder of a job's artifacts."""

    states: dict[str, str]
    codes: dict[str, int]
    text: str
    folder: Path

    def kept(self, job: str, name: str) -> Path:
        return self.folder / ".gitlab-ci-local/artifacts" / job / name


def by_template(inputs: Mapping[str, str]) -> dict:
    return {
        "include": [{"local": TEMPLATE}],
        "variables": {"QALITA_" + n.upper().replace("-", "_"): v for n, v in inputs.items()},
    }


def by_component(inputs: Mapping[str, object]) -> dict:
    address = "$CI_SERVER_FQDN/acme/data/shop-dbt/dbt-ingest@$CI_COMMIT_SHA"
    return {"include": [{"component": address, "inputs": dict(inputs)}]}


def project(folder: Path, pipeline: dict, variables: Mapping[str, str]) -> Path:
    """A repository; `variables` are those of the project's settings, so they are no file of it."""
    shutil.copytree(SAMPLE, folder / "sample")
    for name in (TEMPLATE, COMPONENT):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "dbt").write_text(DBT, "utf-8")
    (folder / "dbt").chmod(0o755)
    job = {"extends": ".qalita-dbt", "script": ["./dbt build"], "image": "$DBT_IMAGE"}
    content = pipeline | {"dbt-build": job}
    (folder / ".gitlab-ci.yml").write_text(yaml.dump(content, sort_keys=False), "utf-8")
    (folder / ".gitignore").write_text(".gitlab-ci-local*\n", "utf-8")
    for words in (
        ("init", "--quiet", "--initial-branch=main"),
        ("config", "user.name", "Ada"),
        ("config", "user.email", "ada@example.com"),
        ("remote", "add", "origin", "https://gitlab.com/acme/data/shop-dbt.git"),
        ("add", "."),
        ("commit", "--quiet", "--message=all of it"),
    ):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
    settings = yaml.dump({**LIKE_GITLAB, **variables})
    (folder / ".gitlab-ci-local-variables.yml").write_text(settings, "utf-8")
    return folder


def started(folder: Path, *words: str, env: Mapping[str, str]) -> Pipeline:
    """The pipeline's jobs as they ended; an error of the configuration is told with what the program said."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        [str(PROGRAM), "--no-color", *EMPTY_TAGS, *words],
        cwd=folder,
        env={"PATH": path, "HOME": str(home), "LC_ALL": "C.UTF-8", **env},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    text = done.stdout + done.stderr
    ends = re.findall(r"^ (PASS|WARN|FAIL) +(\S+) *(?:pre_script)?$", done.stdout, re.MULTILINE)
    states = {job: state for state, job in ends}
    assert "dbt-build" in states, text[-4000:]
    codes = {
        job: int(code) for job, code in re.findall(r"^(\S+) +finished in .* (\d+) *$", text, re.MULTILINE)
    }
    return Pipeline(states, codes, text, folder)


def account(platform) -> dict[str, str]:
    return {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}


def recorded(platform) -> list[str]:
    """The states of the runs that the platform has."""
    with sqlite3.connect(platform.database) as connection:
        return [state for (state,) in connection.execute("select state from runs")]
