"""How a function becomes a command: its head, and its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints

from stability.parts import LAST, CommandHead, part

Command = Callable[..., None]


def command(name: str, place: int = LAST) -> Callable[[Command], Command]:
    """Make a function a command; the help is its docstring, and the first line of that is its summary.

    A parameter of a dataclass is a group of options: one for each of its fields.
    """

    def made(function: Command) -> Command:
        summary = (inspect.getdoc(function) or "").partition("\n")[0].removesuffix(".")
        return part(CommandHead(name, summary, place))(spread(function))

    return made


def spread(function: Command) -> Command:
    """The function with an option for each field of its groups of options; all are given by keyword."""
    signature = inspect.signature(function, eval_str=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, type[Any]] = {}
    for parameter in signature.parameters.values():
        if is_dataclass(parameter.annotation):
            assert isinstance(parameter.annotation, type)
            groups[parameter.name] = parameter.annotation
            parameters += _options(parameter.annotation)
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @wraps(function)
    def called(**given: Any) -> None:
        made = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        function(**given, **made)

    vars(called)["__signature__"] = signature.replace(parameters=parameters)
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called


def _options(group: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(group)
    ]
