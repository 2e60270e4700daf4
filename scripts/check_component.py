"""A GitLab component against GitLab's own schema, as its defaults make it: `spec` fills `$[[ inputs.x ]]`,
and the second document is a pipeline then.

    python scripts/check_component.py FILE...       needs check-jsonschema beside the interpreter

Exits 1 and says what is wrong: an input that nobody uses or nobody declared, or what the schema refuses.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import ruamel.yaml

WHOLE = re.compile(r"\$\[\[ inputs\.([a-z-]+) \]\]")


def filled(node: Any, inputs: dict[str, Any], used: set[str]) -> Any:
    """Texts alone, as GitLab does it: an input that is the whole value keeps its type."""
    if isinstance(node, dict):
        return {filled(k, inputs, used): filled(v, inputs, used) for k, v in node.items()}
    if isinstance(node, list):
        return [filled(part, inputs, used) for part in node]
    if not isinstance(node, str):
        return node
    used |= set(WHOLE.findall(node))
    whole = WHOLE.fullmatch(node)
    if whole:
        return inputs[whole[1]]
    return WHOLE.sub(lambda found: str(inputs[found[1]]), node)


def check(path: Path) -> int:
    yaml = ruamel.yaml.YAML(typ="safe", pure=True)
    spec, pipeline = yaml.load_all(path.read_text("utf-8"))
    declared = spec["spec"]["inputs"]
    used: set[str] = set()
    # An empty list of tags is GitLab's "no tags"; the schema of its editor wants one at least.
    given = {name: entry.get("default", [name]) for name, entry in declared.items()} | {"tags": ["docker"]}
    content = filled(pipeline, given, used)
    for name in declared.keys() - used:
        print(f"{path}: nobody uses the input {name}")
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / ".gitlab-ci.yml"
        with whole.open("w", encoding="utf-8") as out:
            yaml.dump(content, out)
        program = Path(sys.executable).parent / "check-jsonschema"
        words = [str(program), "--builtin-schema", "vendor.gitlab-ci", str(whole)]
        return subprocess.run(words, check=False).returncode or int(declared.keys() != used)


if __name__ == "__main__":
    sys.exit(max(check(Path(name)) for name in sys.argv[1:]))
