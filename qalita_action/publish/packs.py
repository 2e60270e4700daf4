"""Packs as a platform holds them: found by name, with their newest version. Must not make one: setup does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from qalita_action.errors import SettingsError
from qalita_action.publish.answers import row
from qalita_action.publish.job import listed

if TYPE_CHECKING:
    from qalita_action.http import Budget, Client, Options

PACKS = "/api/v2/packs"
DEFAULT_PACK = "dbt_ingest"
SEMVER = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?(?:\+.*)?")
Json = dict[str, Any]


def find_pack(client: Client, name: str, budget: Budget, *, setup: str | None = None) -> tuple[str, str]:
    """Ids of the pack and of its newest version. Platforms write blanks where a pack's name has underscores.
    setup: the flags with which setup makes it, where they are not `--pack <name>`.

    Raises SettingsError pack-missing.
    """
    seen = [
        str(pack["id"])
        for page in listed(client, PACKS, (), budget)
        for pack in page
        if is_named(pack, name) and pack.get("id") is not None
    ]
    for pack_id in seen:
        pack = row(client, client.request("GET", f"{PACKS}/{pack_id}", budget=budget, passes={404}))
        version = newest((pack or {}).get("versions"))
        if version is not None:
            return pack_id, version.id
    raise _missing(client.options, name, setup, has_no_version=bool(seen))


def _missing(options: Options, name: str, setup: str | None, *, has_no_version: bool) -> SettingsError:
    what = f"The pack {name} has no version" if has_no_version else f"The pack {name} is not on this platform"
    flags = f" {setup}" if setup else "" if name == DEFAULT_PACK else f" --pack {name}"
    return SettingsError(
        "pack-missing",
        f"{what}, and results can only be stored under a pack.",
        expected=f"the pack {name}, published once, and visible to the token's user",
        looked=[f"GET {options.base_url}{PACKS}"],
        todo=[
            f"an administrator runs once: qalita-ingest setup --yes{flags} --endpoint {options.base_url}",
            f"with an administrator's token in {options.token_name}, who may make packs; it prints its plan"
            " without --yes",
            "or file the results under a pack that is there: --pack dbt_checks, on QALITA's cloud",
        ],
    )


def is_named(pack: Json, name: str) -> bool:
    return _pack_name(str(pack.get("name"))) == _pack_name(name)


def _pack_name(name: str) -> str:
    return re.sub(r"\s+", "_", name.strip()).casefold()


class Version(msgspec.Struct, frozen=True):
    """A pack's version. order compares as semantic versions do; a pre-release, or what is no version, is
    below all others."""

    id: str
    name: str
    order: tuple[int, ...]


def newest(versions: Any) -> Version | None:
    """The highest semantic version; a pre-release only where there is nothing else."""
    found = [
        Version(str(v["id"]), str(v.get("sem_ver_id")), semver(str(v.get("sem_ver_id"))))
        for v in (versions if isinstance(versions, list) else ())
        if isinstance(v, dict) and v.get("id") is not None
    ]
    return max(found, key=lambda version: version.order, default=None)


def semver(text: str) -> tuple[int, ...]:
    found = SEMVER.fullmatch(text.strip())
    numbers = tuple(int(n) for n in found.groups()[:3]) if found else (-1, -1, -1)
    return (0 if found is None or found.group(4) else 1, *numbers)
