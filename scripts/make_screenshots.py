"""The pictures in docs/images: job summary, HTML report and the sandbox's pages, of the example's own run.

    python scripts/make_screenshots.py FOLDER --node NODE_FOLDER

The run is the committed sample of examples/airquality; the one that it is compared with is the same run with
three of its results changed, so that something is new, known and fixed. The summary is rendered as GitHub
renders Markdown (by cmark-gfm), under a style sheet of our own that looks alike: GitHub's is not copied.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cmarkgfm
import httpx
from cmarkgfm.cmark import Options

from qalita_action import sandbox

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "examples/airquality/sample-target"
# In the base: what failed now passed then, and something failed that passes now.
IN_THE_BASE = {
    "unit_is_known": "pass",
    "value_is_not_negative": "pass",
    "assert_no_reading_before_its_station": "fail",
}
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_RUN_ID": "90210",
    "GITHUB_RUN_ATTEMPT": "1",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/airquality",
    "GITHUB_WORKFLOW": "dbt",
    "GITHUB_JOB": "build",
    "GITHUB_ACTOR": "ada",
}
STYLE = """
body { margin: 0; font: 14px/1.5 system-ui, sans-serif; color: #1f2328; background: #fff }
main { max-width: 900px; margin: 0 auto; padding: 24px; overflow-wrap: anywhere }
h2 { font-size: 1.5em; border-bottom: 1px solid #d1d9e0; padding-bottom: .3em } h3 { font-size: 1.25em }
table { border-collapse: collapse; display: block; max-width: 100%; overflow: auto }
th, td { border: 1px solid #d1d9e0; padding: 6px 13px; text-align: left }
tr:nth-child(2n) { background: #f6f8fa }
code { font: 85% ui-monospace, monospace; background: #818b981f; border-radius: 6px; padding: .2em .4em }
a { color: #0969da }
blockquote { border-left: .25em solid #d1d9e0; margin: 0; padding: 0 1em; color: #59636e }
details { margin-bottom: 12px }
"""


def run(folder: Path, env: dict[str, str], *words: str) -> None:
    """Our command as a step runs it; 0 and 1 are both what a picture may show."""
    done = subprocess.run(
        [sys.executable, "-m", "qalita_action", "dbt", "--target-path", "sample-target", *words],
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"exit {done.returncode}\n{done.stdout}{done.stderr}")


def change_results(target: Path) -> None:
    path = target / "run_results.json"
    content = json.loads(path.read_text("utf-8"))
    for row in content["results"]:
        for name, status in IN_THE_BASE.items():
            if row["unique_id"].split(".")[2] == name:
                row.update(status=status, failures=0 if status == "pass" else 1)
    content["metadata"]["invocation_id"] = "00000000-0000-4000-8000-000000000001"
    path.write_text(json.dumps(content), "utf-8")
    for file in target.glob("*.json"):  # the day before
        file.write_text(re.sub(r"2026-11-23T", "2026-11-22T", file.read_text("utf-8")), "utf-8")


def project(folder: Path, *, is_base: bool) -> Path:
    """The example, as a checkout has it."""
    leave = shutil.ignore_patterns("target", "logs", "*.duckdb", ".venv", "qalita-report")
    shutil.copytree(ROOT / "examples/airquality", folder, ignore=leave)
    if is_base:
        change_results(folder / "sample-target")
    return folder


def as_github_shows(markdown: str) -> str:
    options = Options.CMARK_OPT_UNSAFE  # GitHub keeps the HTML that it allows, and so does this
    body = cmarkgfm.github_flavored_markdown_to_html(markdown, options)
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><main>{body}</main>"


def pages_of(platform: Any) -> dict[str, str]:
    """The sandbox's pages by the picture's name, each linked from the last, as a person goes through them."""
    ways = {
        "sandbox-sources": "/",
        "sandbox-source": r'href="(/sources/\d+)">opendata_dbt-prod',
        "sandbox-run": r'href="(/runs/\w+)"',
        "sandbox-dataset": r'href="(/runs/\w+/dataset\?key=model[^"]*stg_airquality)"',
    }
    found: dict[str, str] = {}
    here = ""
    for name, way in ways.items():
        link = re.search(way, here)
        path = html.unescape(link[1]) if link else way
        here = httpx.get(f"{platform.url}{path}").raise_for_status().text
        found[name] = f"{platform.url}{path}"
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--node", type=Path, required=True, help="folder with shoot.mjs and playwright-core")
    args = parser.parse_args()
    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sandbox.running(Path(scratch, "sandbox.db")) as platform:
        place = Path(scratch)
        publish = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
        of_main = {
            **GITHUB,
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_SHA": "a" * 40,
        }
        flags = ["--default-branch", "main", "--artifacts-since", "any", "--fail-on", "never"]
        base = project(place / "base", is_base=True)
        run(base, {**of_main, **publish}, *flags, "--env", "prod")
        now = project(place / "now", is_base=False)
        change = {
            **GITHUB,
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_HEAD_REF": "new-station",
            "GITHUB_BASE_REF": "main",
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_SHA": "b" * 40,
            "GITHUB_STEP_SUMMARY": str(place / "summary.md"),
            "GITHUB_OUTPUT": str(place / "output"),
        }
        run(now, {**change, **publish}, *flags[:-2], "--baseline", str(base / "qalita-report/ingest.json"))
        merged = project(place / "merged", is_base=False)
        run(merged, {**of_main, **publish}, *flags, "--env", "prod")
        (place / "summary.html").write_text(
            as_github_shows((place / "summary.md").read_text("utf-8")), "utf-8"
        )
        report = f"file://{now}/qalita-report/report.html"
        wide = {"width": 1200, "height": 1250}
        shots = [
            {"url": f"file://{place}/summary.html", "path": "job-summary.png", "width": 960, "height": 1150},
            {"url": report, "path": "report-light.png", **wide},
            {"url": report, "path": "report-dark.png", **wide, "dark": True},
            {"url": report, "path": "report-phone.png", "width": 390, "height": 844},
            *({"url": url, "path": f"{name}.png", **wide} for name, url in pages_of(platform).items()),
        ]
        for shot in shots:
            shot["path"] = str(folder / str(shot["path"]))
        subprocess.run(["node", str(args.node / "shoot.mjs")], input=json.dumps(shots), text=True, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
