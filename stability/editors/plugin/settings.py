"""An editor's settings: their names, and values checked against their types."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from stability.errors import SettingsError

EDIT_ARGUMENTS = 3  # model, tokenizer, edits


def settings_model(editor: object) -> type[BaseModel]:
    """The settings of a class or function as a pydantic model; empty for an existing object."""
    if inspect.isclass(editor):
        return declared_settings(editor) or _from_signature(editor, skip=0)
    if inspect.isroutine(editor):
        return _from_signature(editor, skip=EDIT_ARGUMENTS)
    return create_model("Settings", __config__=ConfigDict(extra="forbid"))


def declared_settings(kind: type) -> type[BaseModel] | None:
    """The pydantic model under the class's attribute `Settings`, if there is one."""
    declared = getattr(kind, "Settings", None)
    return declared if inspect.isclass(declared) and issubclass(declared, BaseModel) else None


def read_settings(name: str, model: type[BaseModel], values: Mapping[str, Any], hint: str = "") -> BaseModel:
    """Check values against the settings model.

    `hint` says what to do about a setting that is missing.

    Raises:
        SettingsError: one line with everything that is wrong, and the names that are right.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        valid = list(model.model_fields)
        problems = "; ".join(_problem(dict(detail), valid, hint) for detail in error.errors())
        known = f"settings: {', '.join(valid)}" if valid else "it has no settings"
        raise SettingsError(f"editor {name}: {problems} ({known})") from error


def described_settings(model: type[BaseModel]) -> tuple[str, ...]:
    """Each setting as `name=default`, in YAML's spelling; only `name` if it is required."""
    return tuple(
        name if field.is_required() else f"{name}={_as_yaml(field.get_default(call_default_factory=True))}"
        for name, field in model.model_fields.items()
    )


def _as_yaml(value: object) -> str:
    return json.dumps(value).strip('"')


def as_arguments(settings: BaseModel) -> dict[str, Any]:
    """The settings as keyword arguments, with validated values."""
    return {name: getattr(settings, name) for name in type(settings).model_fields} | (
        settings.model_extra or {}
    )


def _problem(detail: dict[str, Any], valid: list[str], hint: str) -> str:
    place = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
        close = difflib.get_close_matches(place, valid, n=1)
        return f"unknown setting {place!r}" + (f", did you mean {close[0]!r}?" if close else "")
    if detail["type"] == "missing":
        return f"setting {place!r} is missing{hint}"
    message = str(detail["msg"]).removeprefix("Value error, ")
    where = f"setting {place!r}: " if place else ""
    return f"{where}{message}, got {detail['input']!r}"


def _from_signature(function: Callable[..., Any], skip: int) -> type[BaseModel]:
    """Fields from the parameters after the first `skip`; annotations that do not resolve allow anything."""
    try:
        signature = inspect.signature(function, eval_str=True)
        annotated = True
    except NameError:  # a name that the editor's module imports for type checkers only
        signature = inspect.signature(function)
        annotated = False
    fields: dict[str, Any] = {}
    open_ended = False
    for parameter in list(signature.parameters.values())[skip:]:
        if parameter.kind is parameter.VAR_KEYWORD:
            open_ended = True
        elif parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            known = annotated and parameter.annotation is not parameter.empty
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (parameter.annotation if known else Any, default)
    config = ConfigDict(
        extra="allow" if open_ended else "forbid", arbitrary_types_allowed=True, protected_namespaces=()
    )
    return create_model("Settings", __config__=config, **fields)
