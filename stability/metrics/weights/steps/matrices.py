"""The weight matrices as they are and as they were; what no edit has changed is not worked out again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from stability.errors import ModelError
from stability.metrics.plugin.metric import Context
from stability.record import Problem, Reading

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


def current(context: Context, name: str) -> Tensor:
    """The matrix as it is now, stored as the unedited model stores it; `NotLinearError` if there is none."""
    return context.view.weight(name)


def pristine(context: Context, name: str) -> Tensor:
    """The parameter as it was in the unedited model, on the CPU.

    Raises:
        ModelError: the unedited model had no such parameter, or one of another shape.
    """
    try:
        value = context.snapshot.tensor(name)
    except KeyError as error:
        raise ModelError(f"{name} is not in the unedited model") from error
    shape = current(context, name).shape
    if value.shape != shape:
        raise ModelError(f"{name} has shape {list(shape)}, in the unedited model it has {list(value.shape)}")
    return value


class BaseFigures(Generic[T]):
    """A figure of each matrix of the unedited model, worked out when first asked for and then kept."""

    def __init__(self, figure: Callable[[Tensor], T], *, by_neuron: bool = False) -> None:
        self._figure = figure
        self._by_neuron = by_neuron  # whether it is worked out of [d_out, d_in], not of the matrix as stored
        self.known: dict[str, T] = {}  # by the matrix's name

    def of(self, context: Context, name: str) -> T:
        """The unedited matrix's figure; `ModelError` as for `pristine`."""
        if name not in self.known:
            matrix = pristine(context, name).to(context.map.device)
            self.known[name] = self._figure(neurons(context, name, matrix) if self._by_neuron else matrix)
        return self.known[name]


def neurons(context: Context, name: str, matrix: Tensor) -> Tensor:
    """A matrix as the unedited model stores it as a view [d_out, d_in], a row for each neuron."""
    return matrix.T if context.view.is_transposed(name) else matrix


def each_matrix(
    context: Context, changed: Callable[[str], float], unchanged: Callable[[str], float]
) -> Reading:
    """A figure of each block's matrix, by its name: `changed` is asked only for those that have changed.

    A matrix in whose place something stands that is no linear map is left out, and why.
    """
    from stability.models import NotLinearError

    names = set(context.changed)
    values, left_out = {}, {}
    for matrix in context.map.matrices:
        try:
            values[matrix.name] = (changed if matrix.name in names else unchanged)(matrix.name)
        except NotLinearError as error:
            left_out[matrix.name] = Problem(kind="structure_changed", message=str(error))
    return Reading(over="matrix", values=values, left_out=left_out)


def ratio(value: float, base: float) -> float:
    """`value / base`, 0 for 0 / 0 and infinite for anything else over 0."""
    if base == 0:
        return 0.0 if value == 0 else value * float("inf")
    return value / base
