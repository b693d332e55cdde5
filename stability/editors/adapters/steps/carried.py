"""What a system's function returns beside the model and takes back at its next call."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import Field, field_validator, model_validator

from stability.editors.plugin.protocol import EditorSettings
from stability.errors import EditorError

MAPPING, TUPLE, ARRAY, DEVICE, TENSOR = "mapping", "tuple", "array", "device", "tensor"


class Carry(EditorSettings):
    """What of a returned tuple the next call gets, as which arguments, and what the first call gets."""

    element: int = -1  # its place in the tuple; 0 is the model, -1 the last
    argument: str | None = None  # the argument that takes it; none: a mapping of keyword arguments
    first: Any = None  # what the first call gets
    each_layer: dict[str, Any] = Field(default_factory=dict)  # of these, the first has one for each layer
    count: str | None = None  # the argument that is told how many calls there were before

    @field_validator("element")
    @classmethod
    def _no_model(cls, value: int) -> int:
        if value == 0:
            raise ValueError("0 is the model; give the place of the state, such as 2, or -1 for the last")
        return value

    @model_validator(mode="after")
    def _by_name(self) -> Carry:
        by_name = self.argument is None or self.each_layer
        if by_name and self.first is not None and not isinstance(self.first, Mapping):
            raise ValueError("first: should be a mapping by name, unless `argument` alone takes it")
        return self

    def begin(self, layers: Sequence[int]) -> dict[str, Any]:
        """The first call's arguments by name."""
        first = copy.deepcopy(self.first)
        by_layer = {
            name: {layer: copy.deepcopy(value) for layer in layers} for name, value in self.each_layer.items()
        }
        if self.argument is not None:
            return {self.argument: {**(first or {}), **by_layer} if by_layer else first}
        return {**(first or {}), **by_layer}

    def take(self, returned: Any, called: str) -> dict[str, Any]:
        """The next call's arguments by name, out of what this one returned.

        Raises:
            EditorError: there is no such element, or it is no mapping of keyword arguments.
        """
        if not isinstance(returned, (tuple, list)) or not -len(returned) <= self.element < len(returned):
            raise EditorError(
                f"setting 'carry': {called} returned {described(returned)}, which has no element "
                f"{self.element}"
            )
        found = returned[self.element]
        if self.argument is not None:
            return {self.argument: found}
        if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
            raise EditorError(
                f"setting 'carry': element {self.element} of what {called} returned is {described(found)}, "
                "not a mapping of keyword arguments; name the `argument` that takes it"
            )
        return dict(found)


def left_behind(returned: Any, carried: Collection[int], parameters: Collection[str]) -> list[str]:
    """The elements of a returned tuple that nobody carries and that may be state, described.

    Nothing, a function, and a mapping by parameters' names (old weights, changes) are no state.
    """
    if not isinstance(returned, (tuple, list)):
        return []
    return [
        f"element {place}: {described(value)}"
        for place, value in enumerate(returned)
        if place not in (0, *(at % len(returned) for at in carried)) and not _is_no_state(value, parameters)
    ]


def described(value: Any) -> str:
    """A value in a few words: its type, size and first names."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)[:40]
    kind = type(value).__name__
    if hasattr(value, "shape"):
        return f"a {kind} {list(value.shape)}"
    if isinstance(value, Mapping):
        names = ", ".join(str(key) for key in list(value)[:6])
        return f"a {kind} of {len(value)} ({names}{', …' * (len(value) > 6)})"
    return f"a {kind} of {len(value)}" if isinstance(value, (list, tuple, set)) else f"a {kind}"


def _is_no_state(value: Any, parameters: Collection[str]) -> bool:
    if value is None or callable(value):
        return True
    if isinstance(value, Mapping):
        return all(key in parameters for key in value)
    return isinstance(value, (list, tuple, set, str)) and not value


def as_state(value: Any, path: str) -> Any:
    """A carried value as JSON values and tensors, from which `from_state` makes it again.

    Raises:
        EditorError: it holds something else than numbers, texts, tensors, arrays, and mappings, lists and
            tuples of them.
    """
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor):
        held = value.detach()
        return held if held.device.type == "cpu" else {TENSOR: held, DEVICE: str(held.device)}
    if isinstance(value, (np.ndarray, np.generic)):
        try:
            return {ARRAY: torch.from_numpy(np.asarray(value).copy())}
        except TypeError as error:
            raise EditorError(f"{path} is an array of {value.dtype}, which cannot be kept") from error
    if isinstance(value, Mapping):
        return {MAPPING: [[as_state(k, path), as_state(v, f"{path}[{k!r}]")] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        parts = [as_state(part, f"{path}[{place}]") for place, part in enumerate(value)]
        return {TUPLE: parts} if isinstance(value, tuple) else parts
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise EditorError(
        f"{path} is a {type(value).__name__}; a run can be gone on with only if what is carried is made of "
        "numbers, texts, tensors, arrays, and mappings, lists and tuples of them"
    )


def from_state(value: Any) -> Any:
    """The value that `as_state` was given."""
    if isinstance(value, list):
        return [from_state(part) for part in value]
    if not isinstance(value, Mapping):
        return value
    if MAPPING in value:
        return {from_state(key): from_state(part) for key, part in value[MAPPING]}
    if TUPLE in value:
        return tuple(from_state(part) for part in value[TUPLE])
    if ARRAY in value:
        array = value[ARRAY].numpy().copy()
        return array if array.ndim else array[()]
    return value[TENSOR].to(value[DEVICE])
