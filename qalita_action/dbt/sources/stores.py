"""Object stores and plain web servers: buckets, prefixes, patterns, single objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qalita_action.errors import SettingsError
from qalita_action.redact import mask_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qalita_action.dbt.found import Blob, Found, Places


def found_at(address: str, places: Places) -> tuple[Found, ...]:
    """places: what else was said about where to look."""
    del places
    raise _unknown(address)


def blobs_at(address: str, places: Places) -> tuple[Blob, ...]:
    """places: how to reach it."""
    del places
    raise _unknown(address)


def entries(address: str, places: Places) -> Iterator[tuple[str, Blob]]:
    """places: how to reach it."""
    del places
    raise _unknown(address)


def _unknown(address: str) -> SettingsError:
    return SettingsError(
        "address-unknown",
        f"{mask_url(address)} is no address that can be read",
        expected="dbtcloud://, s3://, gs://, az:// or https://",
        todo=["check the address"],
    )
