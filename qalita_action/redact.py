"""What is scrubbed from anything printed, logged, kept or sent, and how untrusted text is made harmless for
the dialect it goes into. Pure."""

from __future__ import annotations


class Secret:
    """A value that no repr, str, format, pickle or traceback shows. reveal() is called where it is sent."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        msg = "a Secret is not pickled"
        raise TypeError(msg)
