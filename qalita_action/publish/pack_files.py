"""The pack's files as the packs that a platform is to have: one, or one more for each dimension. Pure: bytes
in, values out, the same for the same files.

A platform gives a pack exactly one type, which is the dimension that its `score` counts for. So the scores of
several dimensions take several packs: `<pack>_<dimension>`.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from qalita_action.model import DIMENSIONS
from qalita_action.publish.dimensions import pack_of

if TYPE_CHECKING:
    from collections.abc import Mapping

PROPERTIES = "properties.yaml"
CONF = "pack_conf.json"
README = "README.md"
EXECUTABLE = frozenset({"run.sh"})
Json = dict[str, Any]


class Pack(msgspec.Struct, frozen=True, kw_only=True):
    """One pack as it shall be. files: name to bytes, without folders."""

    name: str
    type: str
    version: str
    description: str
    visibility: str
    properties: Json
    files: dict[str, bytes]

    @property
    def shown_name(self) -> str:
        """As QALITA's own CLI writes it, and as the platform shows it."""
        return self.name.replace("_", " ")

    def published(self) -> Json:
        """The body that makes it, or puts it right."""
        found = self.properties
        return {
            "name": self.shown_name,
            "type": self.type,
            "description": self.description,
            "visibility": self.visibility,
            "url": found.get("url"),
            "avatar": base64.b64encode(self.files.get(str(found.get("icon")), b"")).decode(),
            "readme": base64.b64encode(self.files[README]).decode(),
            "config": self.files[CONF].decode(),
            "compatible_sources": found.get("compatible_sources"),
        }

    def asset_name(self) -> str:
        """Platforms keep the first file of a name, so the name says which bytes it is."""
        return f"{self.name}_pack-{self.version}-{hashlib.sha256(self.archive()).hexdigest()[:8]}.tar.gz"

    def archive(self) -> bytes:
        """The folder <name>_pack as a gzipped tar: the same bytes for the same files."""
        out = io.BytesIO()
        with (
            gzip.GzipFile(fileobj=out, mode="wb", filename="", mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for name, data in sorted(self.files.items()):
                entry = tarfile.TarInfo(f"{self.name}_pack/{name}")
                entry.size, entry.mode = len(data), 0o755 if name in EXECUTABLE else 0o644
                tar.addfile(entry, io.BytesIO(data))
        return out.getvalue()


def packs(files: Mapping[str, bytes], name: str, *, visibility: str, per_dimension: bool) -> tuple[Pack, ...]:
    """The main pack first. name: what `--pack` says; the files bring everything else."""
    main = _pack(files, name, visibility)
    if not per_dimension:
        return (main,)
    return (main, *(_of_dimension(files, name, dimension, visibility) for dimension in DIMENSIONS))


def _pack(files: Mapping[str, bytes], name: str, visibility: str, **changes: Any) -> Pack:
    properties = {**yaml.safe_load(files[PROPERTIES]), "visibility": visibility, **changes, "name": name}
    written = yaml.safe_dump(properties, sort_keys=True, allow_unicode=True)
    return Pack(
        name=name,
        type=str(properties["type"]),
        version=str(properties["version"]),
        description=str(properties["description"]),
        visibility=visibility,
        properties=properties,
        files={**files, PROPERTIES: written.encode()},
    )


def _of_dimension(files: Mapping[str, bytes], name: str, dimension: str, visibility: str) -> Pack:
    conf = json.loads(files[CONF])
    conf["job"]["dimension"] = dimension
    conf["charts"] = {
        "overview": [chart for chart in conf["charts"]["overview"] if chart["metric_key"] == "score"]
    }
    changed = {**files, CONF: (json.dumps(conf, indent=2) + "\n").encode()}
    text = f"The {dimension} of what dbt's tests found: its score alone, beside the pack {name}."
    return _pack(changed, pack_of(name, dimension), visibility, type=dimension, description=text)
