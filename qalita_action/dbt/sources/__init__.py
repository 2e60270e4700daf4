"""Artifacts that are no plain files of this machine: in archives, in object stores, at dbt Cloud. A module
for each; this one tells them apart. What is found is a Found like any other: its bytes are read when wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qalita_action.redact import mask_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from qalita_action.dbt.found import Blob, Candidate, Found, Places

CLOUD = "dbtcloud"


def is_address(place: str | None) -> bool:
    return place is not None and "://" in place


def is_cloud(place: str) -> bool:
    return is_address(place) and place.partition("://")[0].lower() == CLOUD


def shown(place: str) -> str:
    """For people, without credentials."""
    return mask_url(place) if is_address(place) else place


def is_window(place: str | None) -> bool:
    """Does it name a job of dbt Cloud since some day? Error: dbt-cloud-address."""
    if place is None or not is_cloud(place):
        return False
    from qalita_action.dbt.sources import cloud

    return cloud.parsed(place).since is not None


def found_at(address: str, places: Places) -> tuple[Found, ...]:
    """The runs behind PATH. Errors: ArtifactError, SettingsError, and those of http."""
    if is_cloud(address):
        from qalita_action.dbt.sources import cloud

        return cloud.found_at(address, places)
    from qalita_action.dbt.sources import stores

    return stores.found_at(address, places)


def blobs_at(address: str, places: Places) -> tuple[Blob, ...]:
    """The artifact that a flag names, or what its pattern matches, sorted; never none."""
    from qalita_action.dbt.sources import stores

    return stores.blobs_at(address, places)


def entries_at(address: str, places: Places) -> Iterator[tuple[str, Blob]]:
    """Everything below a store's address: its path there, and its bytes."""
    from qalita_action.dbt.sources import stores

    return stores.entries(address, places)


def root_of(address: str) -> str:
    """What those paths are below, for people."""
    from qalita_action.dbt.sources import stores

    return stores.root_of(address)


def history_at(address: str, places: Places, since: datetime | None) -> tuple[Candidate, ...]:
    """The runs of a dbt Cloud job that completed since then."""
    from qalita_action.dbt.sources import cloud

    return cloud.history(address, places, since)


def manifest_beside(address: str, places: Places) -> Blob:
    """The manifest in the folder of what a flag names. Errors: manifest-not-found, and the store's."""
    from qalita_action.dbt.sources import stores

    return stores.manifest_beside(address, places)
