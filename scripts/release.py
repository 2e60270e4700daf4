"""The parts of a release that are more than a command: told by release.yml, tried by the tests.

python scripts/release.py check VERSION      the version is one, is the package's, and has its changelog
python scripts/release.py notes VERSION      that section of the changelog
python scripts/release.py pin DIGEST         action.yml runs the published image instead of the Dockerfile
python scripts/release.py tags VERSION       the tags that follow it, one a line
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGE = "ghcr.io/qalita/dbt-ingest"
VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
BUILT = "  image: Dockerfile\n"


def package_version(root: Path = ROOT) -> str:
    text = (root / "qalita_action/__init__.py").read_text("utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    return found[1] if found else ""


def notes(version: str, root: Path = ROOT) -> str:
    """The lines between the version's heading and the next one; empty where there is none."""
    text = (root / "CHANGELOG.md").read_text("utf-8")
    heading = re.compile(rf"^## \[?{re.escape(version)}\]?( .*)?$", re.MULTILINE)
    start = heading.search(text)
    if start is None:
        return ""
    rest = text[start.end() :]
    following = re.search(r"^## ", rest, re.MULTILINE)
    return rest[: following.start() if following else None].strip()


def problems(version: str, root: Path = ROOT) -> list[str]:
    """All of them at once."""
    found = []
    if not VERSION.fullmatch(version):
        found.append(f"{version!r} is no semantic version such as 1.2.3")
    if package_version(root) != version:
        found.append(f"the package says {package_version(root)!r}: set __version__ in a commit before")
    if not notes(version, root):
        found.append(f"CHANGELOG.md has no section `## {version}`, or nothing in it")
    return found


def pinned(action: str, digest: str) -> str:
    if not DIGEST.fullmatch(digest):
        raise SystemExit(f"{digest!r} is no digest such as sha256:...")
    if action.count(BUILT) != 1:
        raise SystemExit("action.yml does not build the Dockerfile: it is pinned already")
    return action.replace(BUILT, f"  image: docker://{IMAGE}@{digest}\n")


def moving_tags(version: str) -> list[str]:
    """v1 and v1.2 follow 1.2.3; nothing follows a pre-release."""
    found = VERSION.fullmatch(version)
    if found is None or found[4]:
        return []
    return [f"v{found[1]}", f"v{found[1]}.{found[2]}"]


def main(arguments: list[str]) -> int:
    match arguments:
        case ["check", version]:
            found = problems(version)
            print("\n".join(found) or f"{version} can be released")
            return 1 if found else 0
        case ["notes", version]:
            print(notes(version))
        case ["pin", digest]:
            path = ROOT / "action.yml"
            path.write_text(pinned(path.read_text("utf-8"), digest), "utf-8")
        case ["tags", version]:
            print("\n".join(moving_tags(version)))
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
