"""An edited model by the names of the unedited one, whatever has been wrapped, replaced, hooked or added."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from stability.models.linear import Call, LinearMap, NotLinearError, read_linear_map
from stability.models.map import ModelMap, breadth_first, is_transposed, submodule
from stability.models.snapshot import Snapshot, same_bytes, stored_tensors
from stability.models.unwrap import language_model
from stability.record.schema import Matrix

CALL_ROWS = 256  # inputs kept of what a wrapped module is given


class View:
    """What an edited model's matrices and parameters are, and which of them differ from the snapshot.

    A parameter that an editor has only moved, as into the module inside of a wrapper, goes by the name that
    it had. A block's matrix is its own parameter where the module at its place is built as it was. Elsewhere
    it is the linear map in its place: adapters, hooks and parametrizations count as what they do. The
    view is of one moment: make a new one after an edit. It runs modules, so it belongs inside `measuring`.

    `input_ids`, [rows, tokens], are run through the model where there is something wrapped, to see whether a
    wrapper is linear for the inputs that it is really given.
    """

    def __init__(
        self, model: nn.Module, found: ModelMap, snapshot: Snapshot, input_ids: Tensor | None = None
    ) -> None:
        self.model = model
        self.map = found
        self._snapshot = snapshot
        self._input_ids = input_ids
        self._inner = language_model(model) or model
        self._maps: dict[str, LinearMap | NotLinearError] = {}

    @cached_property
    def stored(self) -> Mapping[str, Tensor]:
        """Every parameter and persistent buffer; what the unedited model has not, by its own name."""
        present = stored_tensors(self.model)
        if present.keys() == set(self._snapshot.names):
            return present
        known = {}
        for name in self._snapshot.names:
            tensor = present.get(name)
            tensor = self._moved_tensor(name) if tensor is None else tensor
            if tensor is not None:
                known[id(tensor)] = name
        return {known.get(id(tensor), name): tensor for name, tensor in present.items()}

    @cached_property
    def differing(self) -> frozenset[str]:
        """The stored tensors that the unedited model has not, or has with other bytes."""
        return frozenset(
            name
            for name, tensor in self.stored.items()
            if name not in self._snapshot or not same_bytes(self._snapshot.tensor(name), tensor)
        )

    @cached_property
    def changed(self) -> tuple[str, ...]:
        """What differs from the unedited model: its own parameters in its order, then what was added.

        A wrapped matrix is represented by the map in its place, and so is its bias. Modules that
        compute something else than before, without being a matrix, are named last.
        """
        own = [name for name in self._snapshot.names if self._is_changed(name)]
        inside = {id(tensor) for module in self._wrapped.values() for tensor in _tensors_of(module)}
        added = [
            name
            for name, tensor in self.stored.items()
            if name not in self._snapshot and id(tensor) not in inside
        ]
        biases = [
            name
            for matrix in self._wrapped
            if (name := _bias_of(matrix)) not in self._snapshot and self.elements_changed(name)
        ]
        return (*own, *added, *biases, *self.altered)

    @cached_property
    def altered(self) -> tuple[str, ...]:
        """Modules with another class, other hooks or another `forward` than before, matrices apart."""
        if self._is_built_as_before:
            return ()
        inside = [name.removesuffix(".weight") for name in self._wrapped]
        found = []
        for path in self._snapshot.modules:
            if any(path == one or path.startswith(f"{one}.") for one in inside):
                continue
            try:
                module = submodule(self._inner, path) if path else self._inner
            except AttributeError:
                found.append(path)
                continue
            if not self._snapshot.is_built_so(path, module):
                found.append(path or type(module).__name__)
        return tuple(found)

    def elements_changed(self, name: str) -> int:
        """How many elements differ: all, if a tensor was added or removed or has another shape or dtype."""
        matrix = _matrix_of(name)
        if matrix is not None and matrix in self._wrapped:
            return self._map_elements_changed(matrix, name)
        tensor = self.stored.get(name)
        if tensor is None:
            return self._snapshot.tensor(name).numel()
        if name not in self._snapshot:
            return tensor.numel()
        return self._snapshot.elements_of(tensor, name) if name in self.differing else 0

    def _is_changed(self, name: str) -> bool:
        """Whether a parameter of the unedited model has changed or gone."""
        if _matrix_of(name) in self._wrapped:
            return self.elements_changed(name) > 0
        return name in self.differing or name not in self.stored

    def weight(self, name: str) -> Tensor:
        """A block's matrix as the unedited model stores it: [d_in, d_out] for a Conv1D.

        Raises:
            NotLinearError: the module in its place is not a linear map.
        """
        if name not in self._wrapped:
            return self.stored[name].detach()
        weight = self.linear_map(name).weight
        return weight.T if self.is_transposed(name) else weight

    def is_transposed(self, name: str) -> bool:
        """Whether that matrix is stored as [d_in, d_out]."""
        return is_transposed(self._snapshot.kind(name.removesuffix(".weight")))

    def linear_map(self, name: str) -> LinearMap:
        """The map in the place of a wrapped matrix; `NotLinearError` if there is none."""
        if name not in self._maps:
            try:
                self._maps[name] = self._read(name)
            except NotLinearError as error:
                place = name.removesuffix(".weight")
                self._maps[name] = NotLinearError(f"{place} is not a linear map any more: {error}")
        found = self._maps[name]
        if isinstance(found, NotLinearError):
            raise found
        return found

    def _read(self, name: str) -> LinearMap:
        module = self._wrapped[name]
        if module is None:
            raise NotLinearError("the editor removed it")
        matrix = self._matrices[name]
        stored = self.stored.get(name)
        like = next(self._inner.parameters()) if stored is None else stored
        return read_linear_map(module, matrix.d_out, matrix.d_in, like.detach(), self._calls.get(name, ()))

    def _map_elements_changed(self, matrix: str, name: str) -> int:
        """Elements of a wrapped matrix, or of its bias, that differ by more than reading them off does."""
        try:
            found = self.linear_map(matrix)
        except NotLinearError:
            size = self._matrices[matrix]
            return size.d_out * size.d_in if name == matrix else 0
        if name == matrix:
            now, rounding = self.weight(matrix), found.rounding
            bias = found.bias if self.is_transposed(matrix) else found.bias[:, None]
        else:
            now, rounding, bias = found.bias, 0.0, torch.zeros_like(found.bias)
        if name not in self._snapshot:
            return int((now != 0).sum())
        base = self._snapshot.tensor(name).to(now.device)
        if base.shape != now.shape or base.dtype != now.dtype:
            return base.numel()
        slack = rounding * (base.abs() + bias.abs())
        return int((~((now - base).abs() <= slack)).sum())

    @cached_property
    def _matrices(self) -> dict[str, Matrix]:
        return {matrix.name: matrix for matrix in self.map.matrices}

    @cached_property
    def _is_built_as_before(self) -> bool:
        """Whether nothing but values can have changed, which is the usual case and quick to see."""
        modules = dict(self._inner.named_modules())
        return tuple(modules) == self._snapshot.modules and all(
            self._snapshot.is_built_so(path, module) for path, module in modules.items()
        )

    @cached_property
    def _wrapped(self) -> dict[str, nn.Module | None]:
        """The matrices whose module was replaced, with the present one."""
        if self._is_built_as_before:
            return {}
        wrapped: dict[str, nn.Module | None] = {}
        for matrix in self.map.matrices:
            path = matrix.name.removesuffix(".weight")
            module = self.map.place(matrix)
            if (
                module is None
                or not self._snapshot.is_built_so(path, module)
                or "weight" not in module._parameters
            ):
                wrapped[matrix.name] = module
        return wrapped

    @cached_property
    def _calls(self) -> dict[str, list[Call]]:
        """What wrapped modules are given, and make of it, when the model is run on `input_ids`."""
        calls: dict[str, list[Call]] = {}
        if self._input_ids is None:
            return calls
        handles = []
        for name, module in self._wrapped.items():
            if module is not None:
                handles.append(module.register_forward_hook(_recorder(calls.setdefault(name, []))))
        try:
            ids = self._input_ids.to(self.map.device)
            self.model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
        finally:
            for handle in handles:
                handle.remove()
        return calls

    def _moved_tensor(self, name: str) -> Tensor | None:
        """The tensor of that name inside of what has been laid round its module; None if it was removed."""
        path, _, leaf = name.rpartition(".")
        try:
            module = submodule(self._inner, path) if path else self._inner
        except AttributeError:
            return None
        shape = self._snapshot.tensor(name).shape
        for one in breadth_first(module):
            parametrized = getattr(one._modules.get("parametrizations"), leaf, None)
            for kept in (
                one._parameters.get(leaf),
                one._buffers.get(leaf),
                getattr(parametrized, "original", None),
            ):
                if isinstance(kept, Tensor) and kept.shape == shape:
                    return kept
        return None


def _recorder(calls: list[Call]) -> Callable[..., None]:
    def hook(_module: nn.Module, args: Sequence[object], output: object) -> None:
        if args and isinstance(args[0], Tensor) and isinstance(output, Tensor):
            inputs = args[0].detach().flatten(0, -2)[:CALL_ROWS]
            calls.append((inputs, output.detach().flatten(0, -2)[:CALL_ROWS]))

    return hook


def _matrix_of(name: str) -> str | None:
    """The matrix that a weight or bias would belong to, if its module were one of the mapped."""
    path, _, leaf = name.rpartition(".")
    return f"{path}.weight" if leaf in ("weight", "bias") else None


def _bias_of(matrix: str) -> str:
    return f"{matrix.removesuffix('.weight')}.bias"


def _tensors_of(module: nn.Module | None) -> list[Tensor]:
    return [] if module is None else [*module.parameters(), *module.buffers()]
