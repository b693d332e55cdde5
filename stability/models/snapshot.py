"""Pristine copies of a model's weights: what changed since, and putting it back bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stability.errors import ModelError
from stability.models.composition import Composition
from stability.models.unwrap import language_model, named_buffers, named_parameters, unreadable

_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class Snapshot:
    """Copies on the CPU of every parameter and buffer of a model, as they were when it was made.

    Comparison is by bytes, so NaN equals itself and -0.0 differs from 0.0. PyTorch's version counters are not
    used: writing through `.data` or numpy does not move them.
    """

    def __init__(self, model: nn.Module) -> None:
        if reason := unreadable(model):
            raise ModelError(f"{reason}; load the model whole, in plain tensors, without offloading")
        self._pristine = {name: _copy(tensor) for name, tensor in _tensors(model)}
        self.names = _reported(model)
        self._reported = frozenset(self.names)
        self.parameters = tuple(name for name, _ in named_parameters(model))
        self._aliases = _aliases(model)
        self._builds = builds(language_model(model) or model)
        self.composition = Composition(model)

    def __contains__(self, name: str) -> bool:
        """Whether the model had a parameter or persistent buffer of that name."""
        return name in self._reported

    @property
    def modules(self) -> tuple[str, ...]:
        """The paths of the language model's modules."""
        return tuple(self._builds)

    def is_built_so(self, path: str, module: nn.Module) -> bool:
        """Whether a module is of the class, and has the hooks, that the one at that path had."""
        return self._builds.get(path) == build(module)

    def kind(self, path: str) -> type:
        """The class of the module at a path; `KeyError` if there was none."""
        return self._builds[path].kind

    def tensor(self, name: str) -> Tensor:
        """The pristine value, on the CPU. Do not write to it.

        Raises:
            KeyError: the model had no parameter or buffer of that name.
        """
        return self._pristine[name]

    def differs(self, name: str, tensor: Tensor) -> bool:
        """Whether a tensor is another than the model's of that name was, or there was none."""
        pristine = self._pristine.get(name)
        return pristine is None or not same_bytes(pristine, tensor)

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
        current = dict(_tensors(model)).get(name)
        return self._pristine[name].numel() if current is None else self.elements_of(current, name)

    def elements_of(self, current: Tensor, name: str) -> int:
        """How many elements of a tensor differ from the one of that name, as `elements_changed`."""
        pristine = self._pristine[name]
        if current.shape != pristine.shape or current.dtype != pristine.dtype:
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
        model = language_model(model) or model
        owners = dict(model.named_parameters(remove_duplicate=False))
        for alias, name in self._aliases.items():
            if alias in owners and name in owners and owners[alias] is not owners[name]:
                path, _, leaf = alias.rpartition(".")
                setattr(model.get_submodule(path), leaf, owners[name])


@dataclass(frozen=True)
class Build:
    """What a module does with its tensors, apart from their values: its class, hooks, and own `forward`."""

    kind: type
    hooks: tuple[int, int]  # before and after its forward pass
    forward: str | None


def build(module: nn.Module) -> Build:
    """The module's build."""
    own = vars(module).get("forward")
    return Build(
        kind=type(module),
        hooks=(len(module._forward_pre_hooks), len(module._forward_hooks)),
        forward=None if own is None else str(getattr(own, "__qualname__", type(own).__name__)),
    )


def builds(model: nn.Module) -> dict[str, Build]:
    """Every module's build, by its path."""
    return {path: build(module) for path, module in model.named_modules()}


def stored_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The model's parameters, then its persistent buffers, by name."""
    tensors = dict(_tensors(model))
    return {name: tensors[name] for name in _reported(model)}


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
    yield from named_parameters(model)
    yield from named_buffers(model)


def _reported(model: nn.Module) -> tuple[str, ...]:
    """Names of the parameters, then of the persistent buffers."""
    fleeting = {
        id(module._buffers.get(name))
        for module in model.modules()
        for name in module._non_persistent_buffers_set
    }
    buffers = (name for name, buffer in named_buffers(model) if id(buffer) not in fleeting)
    return (*(name for name, _ in named_parameters(model)), *buffers)


def _aliases(model: nn.Module) -> dict[str, str]:
    """Further names of shared parameters, each with the name that the parameter is listed under."""
    model = language_model(model) or model
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    everything = model.named_parameters(remove_duplicate=False)
    return {name: names[id(parameter)] for name, parameter in everything if names[id(parameter)] != name}
