"""Whose a file is that root makes in somebody's folder. Must not know what the file is for."""

from __future__ import annotations

import os
from pathlib import Path


def give(path: Path, like: Path) -> None:
    """Make a file or folder belong to the owner of another: a container runs as root in a workspace of
    another user, who must be able to read it and to clean it up. Does nothing for who is not root."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    try:
        owner = like.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    except OSError:
        return  # a mount that knows no owners: the file is there, and that is what counts


def make_folder(folder: Path, mode: int = 0o777) -> list[Path]:
    """The folders that had to be made, the innermost first; each belongs to whom the one above belongs."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    for made in reversed(missing):
        give(made, made.parent)
    return missing
