"""A command's flags, made from the table of settings: one parameter each. Must not judge a value."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from qalita_action.knobs import KNOBS, LISTS, SWITCHES

if TYPE_CHECKING:
    from collections.abc import Callable


class Rest(NamedTuple):
    """The words that remain: the name under which they come, and how the help shows them."""

    name: str
    help: str
    metavar: str


def flags_of(
    *names: str, rest: Rest | None = None
) -> Callable[[Callable[[dict[str, Any]], None]], Callable[..., None]]:
    """Gives a command one parameter per setting: PATH as an argument, the others as --flags."""

    def decorate(command: Callable[[dict[str, Any]], None]) -> Callable[..., None]:
        def wrapper(**flags: Any) -> None:
            command(flags)

        kind = inspect.Parameter.KEYWORD_ONLY
        parameters = [inspect.Parameter(n, kind, default=_unset(n), annotation=_annotation(n)) for n in names]
        if rest:
            words = Annotated[list[str], typer.Argument(help=rest.help, metavar=rest.metavar)]
            parameters.append(inspect.Parameter(rest.name, kind, annotation=words))
        wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
        wrapper.__name__ = command.__name__
        wrapper.__doc__ = command.__doc__
        return wrapper

    return decorate


def also(
    name: str, annotation: Any, default: Any = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """One more flag that is no setting: it stands on this command line alone."""

    def decorate(wrapper: Callable[..., None]) -> Callable[..., None]:
        flags = inspect.signature(wrapper)
        more = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        wrapper.__signature__ = flags.replace(parameters=[*flags.parameters.values(), more])  # type: ignore[attr-defined]
        wrapper.__annotations__ = {**wrapper.__annotations__, name: annotation}
        return wrapper

    return decorate


def _unset(name: str) -> Any:
    return False if name in SWITCHES else None


def _annotation(name: str) -> Any:
    knob = KNOBS[name]
    text = f"{knob.help} [default: {knob.default}]" if knob.default else knob.help
    if name == "path":
        return Annotated[str | None, typer.Argument(help=text, show_default=False)]
    flag = "--" + name.replace("_", "-")
    if name in SWITCHES:
        return Annotated[bool, typer.Option(flag, help=text, show_default=False)]
    kind: Any = list[str] | None if name in LISTS else str | None
    return Annotated[kind, typer.Option(flag, help=text, metavar=knob.shown, show_default=False)]
