"""The quality dimension of a test type: dimensions.json beside this module, and what the user said. Pure.

The table is data: `pipeline` reads it, `table` turns its text into what `Policy.dimensions` holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = "validity"
FILE = "dimensions.json"
OWN = "dbt"  # the name that the table gives to dbt's own tests, which have no package


class _Package(msgspec.Struct, frozen=True):
    """read_at: repository and commit whose macros were read; dimensions: dimension -> test types."""

    read_at: str
    dimensions: dict[str, list[str]]


class _Table(msgspec.Struct, frozen=True):
    packages: dict[str, _Package]


def table(text: bytes) -> dict[str, str]:
    """`package.test_type` -> dimension, and plain `test_type` for dbt's own."""
    packages = msgspec.json.decode(text, type=_Table).packages
    return {
        name if package == OWN else f"{package}.{name}": dimension
        for package, about in packages.items()
        for dimension, names in about.dimensions.items()
        for name in names
    }


def dimension_of(namespace: str | None, test_type: str, known: Mapping[str, str]) -> str | None:
    """The dimension of a test; None where nobody knows it (count it as defaulted)."""
    return known.get(f"{namespace}.{test_type}" if namespace else test_type)
