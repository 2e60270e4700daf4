"""Archives as people's programs make them, and as nobody's program would: made by the standard library, or by hand."""

from __future__ import annotations

import gzip
import io
import struct
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "examples" / "airquality" / "sample-target"
MIB = 1 << 20


def sample(folder: str = "target", source: Path = SAMPLE) -> dict[str, bytes]:
    """Real artifacts, as entries of an archive; those of the fixtures as they lie there, packed each."""
    names = (p for p in source.iterdir() if ".json" in p.name)
    return {f"{folder}/{p.name}" if folder else p.name: p.read_bytes() for p in sorted(names)}


def a_zip(entries: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return held.getvalue()


def a_tar(entries: Mapping[str, bytes | tarfile.TarInfo], kind: int = tarfile.GNU_FORMAT, **how) -> bytes:
    """Values are contents, or links and devices."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=kind, **how) as archive:
        for name, data in entries.items():
            info = tarfile.TarInfo(name) if isinstance(data, bytes) else data
            if isinstance(data, bytes):
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data) if isinstance(data, bytes) else None)
    return held.getvalue()


def a_tgz(entries) -> bytes:
    return gzip.compress(a_tar(entries), 6)


def a_tar_zst(entries) -> bytes:
    return zstd.compress(a_tar(entries))


def zeros_gz(mib: int) -> bytes:
    """So many MiB of zeros: gzip's pieces follow one another, and one is made."""
    return gzip.compress(bytes(16 * MIB), 9) * (mib // 16)


def a_workspace(entries) -> dict[str, bytes]:
    """With what lies around a target folder."""
    around = {
        "README.md": b"hello",
        "dbt_packages/dbt_utils/target/manifest.json": b"{}",
        "dbt_packages/dbt_utils/target/run_results.json": b"{}",
        "web/public/manifest.json": b'{"name": "shop"}',
    }
    return {
        **around,
        **entries,
        "target/partial_parse.msgpack": b"\x80" * 10_000,
        "target/run/a/b.sql": b"select 1",
    }


def zip64(data: bytes) -> bytes:
    """The same zip, with its totals where archives of more than 4 GiB or 65,535 entries have them."""
    end = data.rindex(b"PK\x05\x06")
    count, size, offset = struct.unpack("<HLL", data[end + 10 : end + 20])
    record = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    last = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data[:end] + record + locator + last


def zip_of_nothings(count: int) -> bytes:
    """So many entries, all of them at the same place."""
    local = struct.pack("<4sHHHHHLLLHH", b"PK\x03\x04", 20, 0, 0, 0, 33, 0, 0, 0, 1, 0) + b"a"
    line = struct.pack(
        "<4sHHHHHHLLLHHHHHLL", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0
    ) + b"a"  # fmt: skip
    size = len(line) * count
    end = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, count & 0xFFFF, count & 0xFFFF, size, len(local), 0)
    return local + line * count + end


def states(data: bytes, name: str, *, size: int | None = None, flags: int = 0) -> bytes:
    """The zip, whose headers state another size of one entry, or that it is encrypted."""
    made = bytearray(data)
    for magic, at in ((b"PK\x03\x04", (6, 22, 30)), (b"PK\x01\x02", (8, 24, 46))):
        flag, length, named = at
        start = -1
        while (start := data.find(magic, start + 1)) >= 0:
            if data[start + named :].startswith(name.encode()):
                made[start + flag] |= flags
                if size is not None:
                    made[start + length : start + length + 4] = struct.pack("<L", size)
    return bytes(made)


def tar_header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def tar_link(name: str, kind: bytes, target: str = "/etc/passwd") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_link(name: str, kind: int = 0o120777) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, kind << 16
    return info
