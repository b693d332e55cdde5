"""The weight matrices as they are and as they were; what no edit has changed is not worked out again."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from stability.errors import ModelError
from stability.metrics.base import Context


def current(context: Context, name: str) -> Tensor:
    """The parameter as the model stores it now; `ModelError` if there is none of that name any more."""
    try:
        return context.model.get_parameter(name).detach()
    except AttributeError as error:
        raise ModelError(
            f"{name} is not in the model any more: the editor wrapped, renamed or removed it"
        ) from error


def pristine(context: Context, name: str) -> Tensor:
    """The parameter as it was in the unedited model, on the CPU.

    Raises:
        ModelError: the unedited model had no such parameter, or one of another shape.
    """
    try:
        value = context.snapshot.tensor(name)
    except KeyError as error:
        raise ModelError(
            f"{name} is not in the unedited model; an editor may change weights but not add any"
        ) from error
    shape = current(context, name).shape
    if value.shape != shape:
        raise ModelError(f"{name} has shape {list(shape)}, in the unedited model it has {list(value.shape)}")
    return value


class BaseFigures:
    """A figure of each matrix of the unedited model, worked out when first asked for and then kept."""

    def __init__(self, figure: Callable[[Tensor], float]) -> None:
        self._figure = figure
        self._values: dict[str, float] = {}

    def of(self, context: Context, name: str) -> float:
        """The unedited matrix's figure; `ModelError` as for `pristine`."""
        if name not in self._values:
            self._values[name] = self._figure(pristine(context, name))
        return self._values[name]


def ratio(value: float, base: float) -> float:
    """`value / base`, 0 for 0 / 0 and infinite for anything else over 0."""
    if base == 0:
        return 0.0 if value == 0 else value * float("inf")
    return value / base
