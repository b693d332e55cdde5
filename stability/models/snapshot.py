"""Pristine copies of a model's weights: what changed since, and putting it back bit for bit."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from stability.errors import ModelError

_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class Snapshot:
    """Copies on the CPU of every parameter and buffer of a model, as they were when it was made.

    Comparison is by bytes, so NaN equals itself and -0.0 differs from 0.0. PyTorch's version counters are not
    used: writing through `.data` or numpy does not move them.
    """

    def __init__(self, model: nn.Module) -> None:
        for name, tensor in _tensors(model):
            if tensor.is_meta:
                raise ModelError(
                    f"{name} holds no data (it is on the meta device); load the model without offloading"
                )
        self._pristine = {name: _copy(tensor) for name, tensor in _tensors(model)}
        self._reported = frozenset(_reported(model))
        self._aliases = _aliases(model)

    def tensor(self, name: str) -> Tensor:
        """The pristine value, on the CPU. Do not write to it.

        Raises:
            KeyError: the model had no parameter or buffer of that name.
        """
        return self._pristine[name]

    def changed(self, model: nn.Module) -> tuple[str, ...]:
        """The parameters and persistent buffers whose bytes, shape or dtype differ, in the model's order.

        Names that the model lacks, or has and did not have, count as changed.
        """
        now = dict(_tensors(model))
        present = _reported(model)
        differing = [
            name
            for name in present
            if name not in self._reported or not same_bytes(self._pristine[name], now[name])
        ]
        return (*differing, *sorted(self._reported.difference(present)))

    def elements_changed(self, model: nn.Module, name: str) -> int:
        """How many elements of a parameter or buffer differ by their bytes; all, if shape or dtype do."""
        pristine = self._pristine[name]
        current = dict(_tensors(model)).get(name)
        if current is None or current.shape != pristine.shape or current.dtype != pristine.dtype:
            return pristine.numel()
        integer = _INTEGERS[pristine.element_size()]
        return int((_flat(pristine).view(integer) != _flat(current).view(integer)).sum())

    def restore(self, model: nn.Module) -> tuple[str, ...]:
        """Put back what differs, buffers that are not saved included, and say which names that were.

        Weights that were tied are tied again.

        Raises:
            ModelError: the model has other parameters than it had, so that writing values cannot restore it.
        """
        self._tie(model)
        now = dict(_tensors(model))
        strangers = sorted(now.keys() ^ self._pristine.keys())
        if strangers:
            raise ModelError(
                f"cannot restore the model: {strangers[0]} was added or removed by the editor "
                f"({len(strangers)} such names); load the model again"
            )
        restored = []
        for name, pristine in self._pristine.items():
            tensor = now[name]
            if same_bytes(pristine, tensor):
                continue
            if tensor.shape == pristine.shape and tensor.dtype == pristine.dtype:
                tensor.data.copy_(pristine)
            else:
                tensor.data = pristine.clone().to(tensor.device)
            restored.append(name)
        return tuple(restored)

    def _tie(self, model: nn.Module) -> None:
        """Make each alias of a shared parameter that parameter again."""
        owners = dict(model.named_parameters(remove_duplicate=False))
        for alias, name in self._aliases.items():
            if alias in owners and name in owners and owners[alias] is not owners[name]:
                path, _, leaf = alias.rpartition(".")
                setattr(model.get_submodule(path), leaf, owners[name])


def same_bytes(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape, dtype and bytes. Runs at the rate of memory."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    first, second = _flat(one), _flat(other)
    if first.numel() == 0:
        return True
    # Integers, because NaN is not equal to itself; eight bytes at a time where size and alignment allow.
    size = first.element_size()
    words = all(
        number * size % 8 == 0 for flat in (first, second) for number in (len(flat), flat.storage_offset())
    )
    integer = torch.int64 if words else _INTEGERS[size]
    return torch.equal(first.view(integer), second.view(integer))


def _flat(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous().reshape(-1)


def _copy(tensor: Tensor) -> Tensor:
    # A private copy even of what is on the CPU already; contiguous, because values count and not strides.
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _reported(model: nn.Module) -> tuple[str, ...]:
    """Names of the parameters, then of the persistent buffers."""
    fleeting = {
        f"{path}.{name}" if path else name
        for path, module in model.named_modules()
        for name in module._non_persistent_buffers_set
    }
    buffers = (name for name, _ in model.named_buffers() if name not in fleeting)
    return (*(name for name, _ in model.named_parameters()), *buffers)


def _aliases(model: nn.Module) -> dict[str, str]:
    """Further names of shared parameters, each with the name that the parameter is listed under."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    everything = model.named_parameters(remove_duplicate=False)
    return {name: names[id(parameter)] for name, parameter in everything if names[id(parameter)] != name}
