"""What a pull of the image costs: each layer as a registry holds it, compressed, and their sum.

    python scripts/image_size.py TAG

Layers are compressed here (gzip -6); a registry's own compression differs by a few percent.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

MB = 1_000_000


class Counter:
    """Counts what is written to it, and keeps nothing."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes) -> int:
        self.size += len(data)
        return len(data)


def compressed(archive: tarfile.TarFile, layer: str) -> int:
    source, target = archive.extractfile(layer), Counter()
    if source is None:
        raise SystemExit(f"{layer} is no file of the image")
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=6) as packed:  # type: ignore[call-overload]
        shutil.copyfileobj(source, packed)
    return target.size


def main(tag: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.tar")
        subprocess.run(["docker", "save", "--output", str(path), tag], check=True)
        with tarfile.open(path) as archive:
            member = archive.extractfile("manifest.json")
            if member is None:
                raise SystemExit("this is no archive of `docker save`")
            layers = json.loads(member.read())[0]["Layers"]
            sizes = [compressed(archive, layer) for layer in layers]
    for number, size in enumerate(sizes):
        print(f"layer {number}: {size / MB:6.1f} MB")
    print(f"{tag}: {sum(sizes) / MB:.1f} MB compressed, {len(sizes)} layers")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
