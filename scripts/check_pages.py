"""The YAML that the pages show, completed to whole files, for the tools that read such files.

    python scripts/check_pages.py FOLDER PAGE...

Writes FOLDER/github/*.yml and FOLDER/gitlab/*.yml. A list of steps becomes a job, jobs become a workflow.
What begins with `# .gitlab-ci.yml` is GitLab's; with `# qalita.yml` it is our settings, and the tests hold
it to their schema. Other pieces are part of something that stands elsewhere on the page, and are left out.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import ruamel.yaml

STARTS = {"pull_request": None, "push": {"branches": ["main"]}}
JOB = {"runs-on": "ubuntu-latest"}


def blocks(page: str) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def workflow(content: Any) -> dict[str, Any] | None:
    """The whole workflow that a piece is a part of; None: it is no such part."""
    match content:
        case [{"uses": _} | {"run": _}, *_]:
            steps = content
        case {"jobs": _}:
            return {"on": STARTS, "permissions": {"contents": "read"}, **content}
        case _:
            return None
    return {"on": STARTS, "permissions": {"contents": "read"}, "jobs": {"dbt": {**JOB, "steps": steps}}}


def write(folder: Path, page: Path, yaml: ruamel.yaml.YAML) -> None:
    for number, block in enumerate(blocks(page.read_text("utf-8")), start=1):
        name = f"{page.stem}-{number}.yml".lower()
        if block.startswith("# .gitlab-ci.yml"):
            (folder / "gitlab" / name).write_text(block, "utf-8")
        elif not block.startswith("# qalita.yml") and (whole := workflow(yaml.load(block))):
            with (folder / "github" / name).open("w", encoding="utf-8") as out:
                yaml.dump(whole, out)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for system in ("github", "gitlab"):
        (folder / system).mkdir(parents=True, exist_ok=True)
        for old in (folder / system).iterdir():
            old.unlink()
    yaml = ruamel.yaml.YAML()
    yaml.width = 10_000
    for name in sys.argv[2:]:
        write(folder, Path(name), yaml)
