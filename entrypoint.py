#!/usr/local/bin/python -EBu
"""What the image starts, and what its `qalita` command is. Decides between a CI's inputs and a typed command,
and hands over to the command line; must not read a setting.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def arguments(given: Sequence[str], names: Iterable[str]) -> list[str]:
    """The command's arguments: as typed, else `dbt` where a CI gives inputs (INPUT_*), else the help."""
    if given:
        return list(given)
    return ["dbt"] if any(name.startswith("INPUT_") for name in names) else ["--help"]


if __name__ == "__main__":
    sys.argv = ["qalita-ingest", *arguments(sys.argv[1:], os.environ)]
    from qalita_action.cli import qalita

    qalita()
