"""Calling a function `apply(model, tok, requests, hparams, ...)` with only the arguments that it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from stability.errors import EditorError, SettingsError

if TYPE_CHECKING:
    from torch import nn

FIRST = ("model", "tok", "requests", "hparams")
# In place, and without copies of old weights: the harness keeps its own.
FIXED = {"copy": False, "return_orig_weights": False, "keep_original_weight": False}


def further_parameters(function: Callable[..., Any], called: str) -> list[inspect.Parameter]:
    """The parameters after the first four.

    Raises:
        EditorError: there are fewer than four.
    """
    parameters = list(inspect.signature(function).parameters.values())
    four = parameters[: len(FIRST)]
    if len(four) < len(FIRST) or any(
        p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in four
    ):
        raise EditorError(f"{called}{inspect.signature(function)} cannot be called as ({', '.join(FIRST)})")
    return parameters[len(FIRST) :]


def takes(function: Callable[..., Any], name: str, called: str) -> bool:
    """Whether the function has a further parameter of that name."""
    return any(
        p.name == name and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        for p in further_parameters(function, called)
    )


def keyword_arguments(
    function: Callable[..., Any],
    called: str,
    given: Mapping[str, Any],
    held: Mapping[str, Any],
    carried: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The further arguments: all `given` and all `carried`, and the fixed and `held` ones that it takes.

    Raises:
        SettingsError: the function takes no argument of a given or carried name, or needs one that has no
            value.
    """
    further = further_parameters(function, called)
    named = [p for p in further if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    names = [p.name for p in named]
    if ours := sorted(given.keys() & {*FIXED, *held}):
        raise SettingsError(f"setting 'arguments': {ours[0]!r} is the harness's to give; leave it out")
    for setting, values in (("arguments", given), ("carry", carried or {})):
        unknown = sorted(values.keys() - set(names))
        if unknown and not any(p.kind is p.VAR_KEYWORD for p in further):
            takes_these = ", ".join(names) or "none"
            raise SettingsError(
                f"setting {setting!r}: {called} takes no {unknown[0]!r}; it takes {takes_these}"
            )
    made = {name: value for name, value in {**FIXED, **held}.items() if name in names}
    made |= dict(given) | dict(carried or {})
    missing = [p.name for p in named if p.default is p.empty and p.name not in made]
    if missing:
        raise SettingsError(
            f"{called} needs {', '.join(missing)}; give a value, such as `arguments: {{{missing[0]}: ...}}`"
        )
    return made


def edited_model(returned: Any, given: nn.Module, called: str) -> nn.Module:
    """The edited model in a function's return value: the first of a tuple; None means edited in place.

    If the result is a wrapper and not a language model, the model is its `model` attribute. If that is a
    copy, its weights are copied by name into the model that was passed in.

    Raises:
        EditorError: there is no model in it.
    """
    from torch import nn

    found = returned[0] if isinstance(returned, (tuple, list)) and returned else returned
    if found is None:
        return given
    inner = getattr(found, "model", None)
    if isinstance(found, nn.Module) and (hasattr(found, "get_output_embeddings") or inner is None):
        return found
    if not isinstance(inner, nn.Module):
        raise EditorError(
            f"{called}: returned a {type(found).__name__} where the edited model should be; "
            "a method that changes no weights, such as in-context editing, cannot be measured"
        )
    if inner is not given:
        _write_back(inner, given, called)
    return given


def _write_back(edited: nn.Module, given: nn.Module, called: str) -> None:
    """Copy each parameter of `edited` into that of the same name in `given`.

    Raises:
        EditorError: names or shapes differ.
    """
    parameters = dict(edited.named_parameters())
    for name, target in given.named_parameters():
        if name not in parameters or parameters[name].shape != target.shape:
            what = "no" if name not in parameters else f"a {tuple(parameters[name].shape)}"
            raise EditorError(
                f"{called}: the wrapped model it returned has {what} {name} for the given one's "
                f"{tuple(target.shape)}, so the edit cannot be written back"
            )
    for name, target in given.named_parameters():
        target.data.copy_(parameters[name].detach())
