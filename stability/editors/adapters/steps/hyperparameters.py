"""A system's own hyperparameters: its class, its file, and overridden values."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stability.errors import SettingsError, with_type
from stability.reading import UnreadableError, parse_json, parse_yaml, read_text

if TYPE_CHECKING:
    from stability.editors.adapters.steps.system import System


def settings_file(path: str, cwd: str | None) -> Path:
    """The path of a hyperparameter file: in `cwd` if one is set, else in the working directory.

    Raises:
        ValueError: there is no such file.
    """
    file = Path(cwd or ".").expanduser() / Path(path).expanduser()
    if not file.is_file():
        raise ValueError(
            f"there is no file {file.resolve()}; give the system's own JSON or YAML file of hyperparameters"
        )
    return file.resolve()


def read_values(file: Path) -> dict[str, Any]:
    """The values in a JSON or YAML file.

    Raises:
        ValueError: it is neither, or not a mapping.
    """
    try:
        text = read_text(file)
        values = parse_json(text) if file.suffix == ".json" else parse_yaml(text)[0]
    except UnreadableError as error:
        raise ValueError(f"{file} is not {file.suffix.lstrip('.').upper()}: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{file} holds no mapping of hyperparameters")
    return values


def hyperparameter_class(system: System, function: Callable[..., Any], called: str, name: str | None) -> Any:
    """The class of that name, or the annotation of the function's parameter `hparams`.

    Raises:
        SettingsError: there is none, or it is not a class.
    """
    found = system.find(name) if name is not None else _annotation(function)
    if not inspect.isclass(found):
        raise SettingsError(
            f"{name or called}: no class of hyperparameters is known; name it, such as "
            "`hparams_class: rome.ROMEHyperParams`"
        )
    return found


def _annotation(function: Callable[..., Any]) -> Any:
    """The annotation of the fourth parameter; None if there is none, or it cannot be resolved."""
    annotation = list(inspect.signature(function).parameters.values())[3].annotation
    if annotation is inspect.Parameter.empty:
        return None
    if not isinstance(annotation, str):
        return annotation
    first, *rest = annotation.strip("'\"").split(".")
    found = getattr(getattr(function, "__func__", function), "__globals__", {}).get(first)
    for part in rest:
        found = getattr(found, part, None)
    return found


def load_hyperparameters(system: System, kind: Any, file: Path, override: Mapping[str, Any]) -> Any:
    """An instance of the system's class, read from the file as the system reads it, then overridden.

    A name that the class lacks can be added if the system's code reads it (ENCORE's `sequential`).

    Raises:
        SettingsError: the class does not take the file, or an overridden name is not one of its own, nor
            stands in the system's code.
    """
    with system.active():
        try:
            if hasattr(kind, "from_hparams"):
                made = kind.from_hparams(str(file))
            elif hasattr(kind, "from_json") and file.suffix == ".json":
                made = kind.from_json(str(file))
            else:
                made = kind(**read_values(file))
        except (Exception, SystemExit) as error:  # third-party code may raise anything
            raise SettingsError(f"{kind.__name__} cannot be read from {file}: {with_type(error)}") from error
    known = [name for name in dir(made) if not name.startswith("_")]
    for name, value in override.items():
        if name not in known and not system.reads(name):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            raise SettingsError(
                f"setting 'override': {kind.__name__} has no {name!r}{hint}, nor does its code read one"
            )
        setattr(made, name, value)
    return made
