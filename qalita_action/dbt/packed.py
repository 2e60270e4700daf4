"""gzip and zstd, told by their first bytes; unpacked no further than a limit. Knows nothing of dbt."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from typing import IO, TYPE_CHECKING, Any

from qalita_action.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Callable

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
SUFFIXES = (".gz", ".zst")


def unpacked(data: bytes, name: str, limit: int) -> bytes:
    """As it is where it is not packed. Errors: artifact-truncated, artifact-too-large."""
    if data[:2] == GZIP:
        return _unpack(data, name, limit, "gzip", lambda raw: gzip.GzipFile(fileobj=raw))
    if data[:4] == ZSTD:
        return _unpack(data, name, limit, "zstd", lambda raw: zstd().ZstdFile(raw))
    return data


def zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd as found
    else:
        from backports import zstd as found
    return found


def _unpack(
    data: bytes, name: str, limit: int, kind: str, opened: Callable[[io.BytesIO], IO[bytes] | gzip.GzipFile]
) -> bytes:
    try:
        with opened(io.BytesIO(data)) as stream:
            plain = stream.read(limit + 1)
    except (EOFError, OSError, zlib.error, ValueError, zstd().ZstdError) as e:
        raise ArtifactError(
            "artifact-truncated",
            f"{name} is not a whole {kind} file: {e}",
            todo=["compress or download it again"],
        ) from None
    if len(plain) > limit:
        raise too_large(name, f"unpacks to more than {limit:,} bytes", limit)
    return plain


def too_large(name: str, what: str, limit: int) -> ArtifactError:
    return ArtifactError(
        "artifact-too-large",
        f"{name} {what}",
        expected=f"at most {limit:,} bytes",
        todo=[
            "check that this is the artifact that you mean",
            "if it is, allow more: --max-artifact-size 4GiB",
        ],
    )
