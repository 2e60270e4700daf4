"""Writes what is the same everywhere from the one place that says it: settings from knobs.py and settings/,
the README's console output from a run of the tool itself.

    python scripts/make_reference.py            write docs/reference.md, docs/qalita.schema.json, and the
                                                marked blocks of README.md and action.yml, and
                                                composite/action.yml
    python scripts/make_reference.py --check    write nothing; exit 1 and name what is out of date

Must not hold a fact about a setting: a word that is missing belongs to knobs.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from qalita_action.knobs import KNOBS, LISTS, NOT_FROM_FILE, ONE_RUN, SWITCHES, Knob
from qalita_action.settings import ENV_NAMES, json_schema

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 106

# Where a reader looks for a setting. A title stands before the setting that it begins with.
GROUPS = {
    "path": "Where dbt's files are",
    "since": "Where dbt's files are, elsewhere",
    "project": "What the run is",
    "endpoint": "Where it is published",
    "dry_run": "What it does and what it says",
    "fail_on": "What makes it fail",
    "warn_score": "Scores",
    "comment": "The comment on a change",
    "metrics_detail": "What goes to QALITA",
    "ca_bundle": "TLS",
    "report_dir": "Files",
    "sha": "What the CI cannot tell",
}
# Contexts that only the runner knows: https://docs.github.com/en/actions/reference/workflows-and-actions/contexts
FROM_CONTEXT = {
    "github_token": "${{ github.token }}",
    "job_id": "${{ job.check_run_id }}",
    "matrix": "${{ toJSON(matrix) }}",
    "job_status": "${{ job.status }}",
}


def kebab(name: str) -> str:
    return name.replace("_", "-")


def flag(name: str) -> str:
    return "PATH" if name == "path" else f"--{kebab(name)}"


def takes(name: str) -> str:
    return "true|false" if name in SWITCHES else KNOBS[name].shown


def variables(name: str) -> tuple[str, ...]:
    return ENV_NAMES.get(name, (f"QALITA_{name.upper()}",))


def file_key(name: str) -> str:
    return "" if name in NOT_FROM_FILE | ONE_RUN else kebab(name)


def groups() -> dict[str, list[tuple[str, Knob]]]:
    found: dict[str, list[tuple[str, Knob]]] = {}
    title = ""
    for name, knob in KNOBS.items():
        title = GROUPS.get(name, title)
        found.setdefault(title, []).append((name, knob))
    return found


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def code(text: str) -> str:
    return f"`{cell(text)}`" if text else ""


# ---------------------------------------------------------------- the texts

REFERENCE_HEAD = """\
# Settings

<!-- Written by scripts/make_reference.py from qalita_action/knobs.py and settings/: change it there. -->

One setting has one name everywhere. For each, the first that is set wins:

1. the flag, `--fail-on warn`;
2. the input of the GitHub Action, `fail-on: warn`;
3. the environment variable, `QALITA_FAIL_ON=warn`, where several are listed the first that is set;
4. the key of `qalita.yml` beside `dbt_project.yml`, `fail-on: warn` ([schema](qalita.schema.json));
5. the default.

Empty means unset, so `token: ${{ secrets.QALITA_TOKEN }}` in a fork, which gets no secrets, is no token and
not an empty one. A switch is a flag without a value, and `true` or `false` everywhere else. A setting that
may be given several times is a flag for each value, and a line for each value in an input or a variable.

**No key in `qalita.yml`** means one of two things. Where a run is sent, with which token, and how the
connection is trusted never come from a file of the repository, since a pull request could change it. And
what is true of one run only has no place in a file that is kept.

Every setting is a flag of `qalita-ingest dbt`. `qalita-ingest check` takes them too, and tries everything
without writing anything.
"""


def reference() -> str:
    parts = [REFERENCE_HEAD]
    for title, rows in groups().items():
        parts.append(f"\n## {title}\n")
        for name, knob in rows:
            several = " Several may be given." if name in LISTS else ""
            parts.append(
                f'\n### <a id="{kebab(name)}"></a>`{flag(name)}`\n\n{knob.help}{several}\n\n'
                "| takes | default | input | variable | `qalita.yml` |\n|---|---|---|---|---|\n"
                f"| {code(takes(name))} | {cell(knob.default)} | {code(kebab(name))} "
                f"| {', '.join(map(code, variables(name)))} | {code(file_key(name)) or '–'} |\n"
            )
    return "".join(parts)


def readme_table() -> str:
    lines: list[str] = []
    for title, rows in groups().items():
        lines += ["", f"**{title}**", "", "| setting | what it does | default |", "|---|---|---|"]
        lines += [
            f"| [`{k}`](docs/reference.md#{k}) | {cell(knob.help)} | {cell(knob.default)} |"
            for name, knob in rows
            for k in [kebab(name)]
        ]
    return "\n".join([*lines[1:], ""])


def action_inputs() -> str:
    """No `default:`: the runner would pass it as if it had been typed, and qalita.yml would never count."""
    lines = ["inputs:"]
    for name, knob in KNOBS.items():
        # A description is no place for an expression: the runner would read it.
        words = knob.help.replace("${{ ", "").replace(" }}", "")
        text = f"{words} [{takes(name)}; default: {knob.default}]"
        lines += [f"  {kebab(name)}:", "    description: >-"]
        lines += textwrap.wrap(
            text,
            WIDTH,
            initial_indent=" " * 6,
            subsequent_indent=" " * 6,
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines.append("    required: false")
        if name in FROM_CONTEXT:
            lines.append(f"    default: {FROM_CONTEXT[name]}")
    return "\n".join([*lines, ""])


COMPOSITE_HEAD = """\
# Written by scripts/make_reference.py from action.yml: change it there.
#
# The same Action for runners without Docker: macOS, Windows, self-hosted ones.
name: QALITA dbt ingest, without Docker
description: qalita/dbt-ingest on the runner's own Python, 3.10 or newer, with the same inputs and outputs.
author: QALITA SAS

"""
# A composite action gets no INPUT_* of its own. Names with underscores, since some shells drop hyphens.
COMPOSITE_RUNS = """\
runs:
  using: composite
  steps:
    - id: ingest
      shell: bash
      run: '"$GITHUB_ACTION_PATH/run.sh"'
      env:
"""


def composite_action() -> str:
    """From the words of action.yml, so that the two cannot differ."""
    outputs = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["outputs"]
    lines = ["outputs:"]
    for name, entry in outputs.items():
        lines += [f"  {name}:", "    description: >-"]
        lines += textwrap.wrap(entry["description"], WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
        lines.append(f"    value: ${{{{ steps.ingest.outputs.{name} }}}}")
    passed = [f"        INPUT_{name.upper()}: ${{{{ inputs.{kebab(name)} }}}}" for name in KNOBS]
    return (
        COMPOSITE_HEAD
        + action_inputs()
        + "\n"
        + "\n".join([*lines, "", ""])
        + COMPOSITE_RUNS
        + "\n".join([*passed, ""])
    )


EXAMPLE = "examples/airquality"
COMMAND = f"qalita-ingest dbt {EXAMPLE}/sample-target --publish never"


def example_output() -> str:
    """What the command really prints, without the notes, which speak of the place where this script runs, and
    without the gate's long list.
    """
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / EXAMPLE / "sample-target", Path(folder, EXAMPLE, "sample-target"))
        done = subprocess.run(
            [sys.executable, "-m", "qalita_action", *COMMAND.split()[1:]],
            cwd=folder,
            env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "HOME": folder},
            capture_output=True,
            check=False,
            timeout=60,
        )
    printed = done.stdout.decode("utf-8")
    if done.returncode != 1 or "GATE" not in printed:
        raise SystemExit(f"{COMMAND}: exit {done.returncode}\n{printed}{done.stderr.decode()}")
    kept, section = [], ""
    for line in printed.splitlines():
        section = line.split()[0] if line.startswith("  ") and line[2:3].isupper() else section
        if section == "NOTES" or (section == "GATE" and not line.startswith("  GATE")):
            continue
        kept.append(line)
    return f"```console\n$ {COMMAND}\n" + "\n".join(kept) + "\n```\n"


# ---------------------------------------------------------------- where they go


def between(text: str, name: str, block: str, comment: tuple[str, str]) -> str:
    """The text with the block between its two marks, each a comment of the file's own kind."""
    marks = (f"<{name}: written by scripts/make_reference.py>", f"</{name}>")
    begin, end = (f"{comment[0]} {mark} {comment[1]}".rstrip() + "\n" for mark in marks)
    head, found, rest = text.partition(begin)
    _, closed, tail = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"the marks {begin.strip()!r} and {end.strip()!r} are missing")
    return head + begin + block + end + tail


def readme(text: str) -> str:
    text = between(text, "example", example_output(), ("<!--", "-->"))
    return between(text, "settings", readme_table(), ("<!--", "-->"))


TARGETS: dict[str, Callable[[str], str]] = {
    "docs/reference.md": lambda _: reference(),
    "docs/qalita.schema.json": lambda _: json_schema(),
    "README.md": readme,
    "action.yml": lambda text: between(text, "settings", action_inputs(), ("#", "")),
    "composite/action.yml": lambda _: composite_action(),
}


def main(arguments: list[str]) -> int:
    stale = []
    for name, write in TARGETS.items():
        path = ROOT / name
        before = path.read_text("utf-8") if path.exists() else ""
        after = write(before)
        if after != before:
            stale.append(name)
            if "--check" not in arguments:
                path.write_text(after, "utf-8")
    for name in stale:
        print(f"{name}: {'out of date' if '--check' in arguments else 'written'}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
