"""Who answers for a node: its meta.owner, its group's owner, the exposure's own, else CODEOWNERS. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codeowners import CodeOwners

    from qalita_action.dbt.shapes import Group, Node


def is_silent(node: Node) -> bool:
    """No meta, group or owner, as most tests of a large project."""
    config = node.settings
    return not (node.meta or config.meta or node.group or config.group or node.owner)


def owner_of(node: Node, groups: dict[str, str]) -> str | None:
    """groups: name of a group -> its owner (see `group_owners`)."""
    if is_silent(node):
        return None
    meta, group = meta_of(node), node.group or node.settings.group
    return _person(meta.get("owner")) or groups.get(group or "") or _person(node.owner)


class FileOwners:
    """The repository's CODEOWNERS, asked by dbt's paths. folder: of the dbt project in the repository;
    project: its name, since a package's paths count from the package, which is somebody else's.
    """

    def __init__(self, text: str | None, folder: str, project: str | None = None) -> None:
        self._project = project
        self._rules = _codeowners(text) if text else None
        self._folder = f"{folder.strip('/')}/" if folder.strip("/") else ""
        self._known: dict[str, str | None] = {}

    def of_node(self, node: Node) -> str | None:
        if self._rules is None:
            return None
        is_ours = self._project is None or node.package_name in (None, self._project)
        return self.of(node.original_file_path) if is_ours else None

    def of(self, path: str | None) -> str | None:
        if self._rules is None or not path:
            return None
        if path not in self._known:
            names = [name for _, name in self._rules.of(self._folder + path)]
            self._known[path] = ", ".join(names) or None
        return self._known[path]


def _codeowners(text: str) -> CodeOwners | None:
    """A file that the library cannot read has no owners. Sections are GitLab's; the rules are alike."""
    from codeowners import CodeOwners

    rules = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("[", "^[")))
    try:
        return CodeOwners(rules)
    except ValueError:
        return None


def group_owners(groups: dict[str, Group]) -> dict[str, str]:
    found = {g.name: _person(g.owner) for g in groups.values() if g.name}
    return {name: owner for name, owner in found.items() if name and owner}


def meta_of(node: Node) -> dict[str, Any]:
    """config.meta (1.10 on) over meta: the same in most versions, one of them empty in some."""
    above, own = node.meta, node.settings.meta
    return {**above, **own} if above and own else own or above or {}


def tags_of(node: Node) -> tuple[str, ...]:
    return listed(node.tags, node.settings.tags)


def listed(*several: list[Any] | str | None) -> tuple[str, ...]:
    """Each a string or a list: all that they hold, without repetition, in their order."""
    if not any(several):
        return ()
    found: dict[str, None] = {}
    for tags in several:
        for tag in [tags] if isinstance(tags, str) else tags or []:
            found[str(tag)] = None
    return tuple(found)


def _person(value: Any) -> str | None:
    """A name as people write it in YAML: text, a list of texts, or {email, name}."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, list):
        return ", ".join(p for v in value if (p := _person(v))) or None
    if isinstance(value, dict):
        return _person(value.get("email")) or _person(value.get("name"))
    return None
