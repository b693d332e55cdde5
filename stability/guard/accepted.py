"""The accepted values of a guarded model, which are restored when a batch is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from torch import Tensor, nn

from stability.models import Snapshot, same_bytes
from stability.models.snapshot import builds
from stability.models.unwrap import named_buffers, named_parameters
from stability.run.isolation import Structure


class Accepted:
    """A pristine copy of the model, and over it what accepted batches have changed, on the CPU."""

    def __init__(self, pristine: Snapshot) -> None:
        self._pristine = pristine
        self._changed: dict[str, Tensor] = {}

    def value(self, name: str) -> Tensor | None:
        """The accepted value of a parameter or buffer; None if the model had none of that name."""
        if name in self._changed:
            return self._changed[name]
        try:
            return self._pristine.tensor(name)
        except KeyError:
            return None

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Accept new values of tensors; they belong to this object from now on."""
        self._changed.update(values)

    def replace(self, values: Mapping[str, Tensor]) -> tuple[str, ...]:
        """Accept these values and the pristine ones of everything else; the names that this may concern."""
        before = self._changed
        self._changed = dict(values)
        return tuple({**before, **values})

    def differing(self, model: nn.Module) -> tuple[str, ...]:
        """The parameters and buffers whose bytes are not the accepted ones: one pass over the model."""
        return tuple(name for name, tensor in tensors(model).items() if not self._is_accepted(name, tensor))

    def _is_accepted(self, name: str, tensor: Tensor) -> bool:
        value = self.value(name)
        return value is not None and same_bytes(value, tensor)

    def put_back(self, model: nn.Module, names: Iterable[str]) -> None:
        """Give these tensors their accepted values."""
        self._write(model, {name: value for name in names if (value := self.value(name)) is not None})

    def put_base(self, model: nn.Module) -> None:
        """Give the tensors that accepted batches have changed their unedited values."""
        self._write(model, {name: self._pristine.tensor(name) for name in self._changed})

    @staticmethod
    def _write(model: nn.Module, values: Mapping[str, Tensor]) -> None:
        now = tensors(model)
        for name, value in values.items():
            write(now[name], value)


class Form:
    """All of a model but the values of its tensors, as it stood before a batch."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._structure = Structure(model)
        self._builds = builds(model)
        self._tensors = tensors(model)

    def alteration(self, edited: Any) -> str:
        """What in an edited model is not of this form; empty if it differs by values of tensors only."""
        if not isinstance(edited, nn.Module):
            return f"the editor returned a {type(edited).__name__} round the model"
        now = builds(edited)
        for path in (*self._builds, *now):
            if self._builds.get(path) != now.get(path):
                return f"module {path or type(edited).__name__} is not built as before"
        present = tensors(edited)
        for name, tensor in self._tensors.items():
            other = present.get(name)
            if other is None or (other.shape, other.dtype) != (tensor.shape, tensor.dtype):
                return f"{name} is not of the shape and type that it was"
        return next((f"{name} was added" for name in present if name not in self._tensors), "")

    def has_moved(self) -> bool:
        """Whether a tensor of the model is another object than before."""
        now = tensors(self._model)
        return now.keys() != self._tensors.keys() or any(
            now[name] is not tensor for name, tensor in self._tensors.items()
        )

    def restore(self) -> None:
        """Put modules, hooks, attributes and tensors' places back; values stay as they are."""
        self._structure.restore()


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer by name, buffers that are not saved included."""
    return dict(chain(named_parameters(model), named_buffers(model)))


def write(tensor: Tensor, value: Tensor) -> None:
    """Give a tensor the shape, type and bytes of a value."""
    if tensor.shape == value.shape and tensor.dtype == value.dtype:
        tensor.data.copy_(value)
    else:
        tensor.data = value.clone().to(tensor.device)
