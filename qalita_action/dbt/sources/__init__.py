"""Artifacts that are no plain files of this machine: in archives, in object stores, at dbt Cloud. A module
for each; this one tells them apart. What is found is a Found like any other: its bytes are read when wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qalita_action.dbt.found import Blob, Found, Places

CLOUD = "dbtcloud"


def is_address(place: str | None) -> bool:
    return place is not None and "://" in place


def found_at(address: str, places: Places) -> tuple[Found, ...]:
    """The runs behind PATH. Errors: ArtifactError, SettingsError, and those of http."""
    if address.partition("://")[0].lower() == CLOUD:
        from qalita_action.dbt.sources import cloud

        return cloud.found_at(address, places)
    from qalita_action.dbt.sources import stores

    return stores.found_at(address, places)


def blobs_at(address: str, places: Places) -> tuple[Blob, ...]:
    """The artifact that a flag names, or what its pattern matches, sorted; never none."""
    from qalita_action.dbt.sources import stores

    return stores.blobs_at(address, places)
