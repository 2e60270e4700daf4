"""Whether files are Groovy at all.  python scripts/check_groovy.py FILE...

Exits 1 and names the lines that no Groovy grammar takes. Says nothing about Jenkins' own words.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tree_sitter
import tree_sitter_groovy


def broken(node: Any) -> Iterator[int]:
    if node.is_error or node.is_missing:
        yield node.start_point[0] + 1
    for child in node.children:
        yield from broken(child)


if __name__ == "__main__":
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_groovy.language()))
    found = [
        f"{name}:{line}: no Groovy"
        for name in sys.argv[1:]
        for line in broken(parser.parse(Path(name).read_bytes()).root_node)
    ]
    print("\n".join(found) or f"{len(sys.argv) - 1} files, Groovy")
    sys.exit(1 if found else 0)
