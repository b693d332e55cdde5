"""The map of a model: its blocks, and every weight matrix of theirs by layer and kind."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from stability.errors import ModelError
from stability.models.architectures import ARCHITECTURES
from stability.record.schema import Matrix, MatrixKind


@dataclass(frozen=True)
class ModelMap:
    """Where things are in one model. Holds the model's own modules, so it follows edits made in place.

    `blocks` are the layers in order; a block's output, or the first element of it, is the residual stream
    after that block. `matrices` are all MLP and attention weight matrices, layer by layer.
    """

    architecture: str
    blocks: tuple[nn.Module, ...] = field(repr=False)
    block_names: tuple[str, ...] = field(repr=False)
    final_norm: nn.Module = field(repr=False)
    head: nn.Module = field(repr=False)
    embedding: nn.Module = field(repr=False)
    matrices: tuple[Matrix, ...] = field(repr=False)
    _modules: dict[tuple[int, str], nn.Module] = field(repr=False)

    @property
    def n_layers(self) -> int:
        """The number of blocks."""
        return len(self.blocks)

    def matrix(self, layer: int, kind: MatrixKind) -> Matrix:
        """The weight matrix of that kind in that block.

        Raises:
            ModelError: the model has no such block or no such matrix.
        """
        if not 0 <= layer < self.n_layers:
            raise ModelError(f"no layer {layer}: the model's layers are 0 to {self.n_layers - 1}")
        kinds = [matrix.kind for matrix in self.matrices if matrix.layer == layer]
        if kind not in kinds:
            raise ModelError(f"{self.architecture} has no matrix {kind!r}; it has {', '.join(kinds)}")
        return next(matrix for matrix in self.matrices if (matrix.layer, matrix.kind) == (layer, kind))

    def module(self, layer: int, kind: MatrixKind) -> nn.Module:
        """The module that multiplies by that matrix; `ModelError` as for `matrix`."""
        self.matrix(layer, kind)
        return self._modules[layer, kind]

    def parameter_name(self, layer: int, kind: MatrixKind) -> str:
        """The parameter's full name in the model; `ModelError` as for `matrix`."""
        return self.matrix(layer, kind).name

    def weight(self, matrix: Matrix | str) -> Tensor:
        """The matrix, or the one of that name, as a view [d_out, d_in] of the parameter, without gradient.

        Raises:
            ModelError: no matrix has that name.
        """
        name = matrix if isinstance(matrix, str) else matrix.name
        found = next((one for one in self.matrices if one.name == name), None)
        if found is None:
            raise ModelError(f"{name} is no weight matrix of a block of this {self.architecture} model")
        return oriented(self._modules[found.layer, found.kind])


def oriented(module: nn.Module) -> Tensor:
    """A linear module's weight as a view [d_out, d_in], whichever way the module stores it."""
    weight = module.get_parameter("weight").detach()
    return weight.T if isinstance(module, Conv1D) else weight


def map_model(model: nn.Module) -> ModelMap:
    """Find the blocks and matrices of a transformers language model.

    Raises:
        ModelError: the architecture is not in the table, or the model is not built as the table says.
    """
    model_type = getattr(getattr(model, "config", None), "model_type", None)
    architecture = ARCHITECTURES.get(model_type) if isinstance(model_type, str) else None
    if architecture is None:
        raise ModelError(
            f"cannot map a {type(model).__name__} (model_type {model_type!r}); "
            f"supported are {', '.join(ARCHITECTURES)}"
        )
    try:
        blocks = tuple(model.get_submodule(architecture.blocks).children())
        final_norm = model.get_submodule(architecture.final_norm)
        modules: dict[tuple[int, str], nn.Module] = {}
        matrices: list[Matrix] = []
        for layer, block in enumerate(blocks):
            for kind, path in architecture.matrices.items():
                module = block.get_submodule(path)
                d_out, d_in = oriented(module).shape
                name = f"{architecture.blocks}.{layer}.{path}.weight"
                matrices.append(Matrix(name=name, layer=layer, kind=kind, d_out=d_out, d_in=d_in))
                modules[layer, kind] = module
    except AttributeError as error:
        raise ModelError(
            f"this {type(model).__name__} is not built as {model_type} should be: {error}"
        ) from error
    head, embedding = _end(model, "get_output_embeddings"), _end(model, "get_input_embeddings")
    return ModelMap(
        architecture=str(model_type),
        blocks=blocks,
        block_names=tuple(f"{architecture.blocks}.{layer}" for layer in range(len(blocks))),
        final_norm=final_norm,
        head=head,
        embedding=embedding,
        matrices=tuple(matrices),
        _modules=modules,
    )


def _end(model: nn.Module, getter: str) -> nn.Module:
    module = getattr(model, getter, lambda: None)()
    if not isinstance(module, nn.Module):
        raise ModelError(f"this {type(model).__name__} has no {getter}(); load it as a causal language model")
    return module
