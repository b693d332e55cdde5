"""The map of a model: its blocks, and every weight matrix of theirs by layer and kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from stability.errors import ModelError
from stability.models.architectures import ARCHITECTURES
from stability.models.unwrap import language_model
from stability.record.schema import Matrix, MatrixKind

WRAPPERS = 3  # laid round one another at most


@dataclass(frozen=True)
class ModelMap:
    """Where things are in one model. Holds the model's own modules, so it follows edits made in place.

    `blocks` are the layers in order; a block's output, or the first element of it, is the residual stream
    after that block. `matrices` are all MLP and attention weight matrices, layer by layer; those of experts
    are not among them.
    """

    architecture: str
    blocks: tuple[nn.Module, ...] = field(repr=False)
    block_names: tuple[str, ...] = field(repr=False)
    final_norm: nn.Module = field(repr=False)
    head: nn.Module = field(repr=False)
    embedding: nn.Module = field(repr=False)
    matrices: tuple[Matrix, ...] = field(repr=False)
    _modules: dict[tuple[int, str], nn.Module] = field(repr=False)
    normalised_output: bool = False
    logit_cap: float | None = None

    @property
    def n_layers(self) -> int:
        """The number of blocks."""
        return len(self.blocks)

    @property
    def device(self) -> torch.device:
        """Where the model's inputs belong."""
        return next(self.embedding.parameters()).device

    @property
    def head_shape(self) -> tuple[int, int]:
        """The number of logits, and that of dimensions of the residual stream."""
        rows, columns = table(self.head).shape
        return int(rows), int(columns)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [..., vocabulary] of states behind the final norm, capped where the model caps them."""
        logits: Tensor = self.head(hidden)
        if self.logit_cap is None:
            return logits
        return self.logit_cap * torch.tanh(logits / self.logit_cap)

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

    def require_unscaled(self) -> None:
        """See that what `mlp_out` gives is added to the residual stream as it is.

        Raises:
            ModelError: there is a norm between them.
        """
        if self.normalised_output:
            raise ModelError(
                f"{self.architecture} normalises what its MLP writes, so no value can be searched in the "
                "residual stream; edit it by ft, lora or another editor that trains"
            )

    def module(self, layer: int, kind: MatrixKind) -> nn.Module:
        """The module that multiplies by that matrix; `ModelError` as for `matrix`, or if it was removed."""
        matrix = self.matrix(layer, kind)
        if (layer, kind) not in self._modules:
            raise ModelError(f"{matrix.name} is not in the model any more: the editor removed it")
        return self._modules[layer, kind]

    def place(self, matrix: Matrix) -> nn.Module | None:
        """The module in the place of that matrix of the unedited model; None if an editor removed it."""
        return self._modules.get((matrix.layer, matrix.kind))

    def parameter_name(self, layer: int, kind: MatrixKind) -> str:
        """The parameter's full name in the model; `ModelError` as for `matrix`."""
        return self.matrix(layer, kind).name

    def weight(self, matrix: Matrix | str) -> Tensor:
        """The matrix, or the one of that name, as a view [d_out, d_in] of the parameter, without gradient.

        Raises:
            ModelError: no matrix has that name, or a wrapper has replaced it.
        """
        name = matrix if isinstance(matrix, str) else matrix.name
        found = next((one for one in self.matrices if one.name == name), None)
        if found is None:
            raise ModelError(f"{name} is no weight matrix of a block of this {self.architecture} model")
        return oriented(self.module(found.layer, found.kind))


def oriented(module: nn.Module) -> Tensor:
    """A linear module's weight as a view [d_out, d_in], whichever way the module stores it.

    Raises:
        ModelError: the module has no weight of its own, as when an adapter has been laid round it.
    """
    weight = module._parameters.get("weight")
    if weight is None:
        raise ModelError(
            f"a {type(module).__name__} stands where a linear layer should; merge adapters and wrappers into "
            "the model's own weights first"
        )
    return weight.detach().T if is_transposed(type(module)) else weight.detach()


def is_transposed(kind: type) -> bool:
    """Whether linear modules of that class store their weights as [d_in, d_out]."""
    return issubclass(kind, Conv1D)


def table(module: nn.Module) -> Tensor:
    """The weight of a head or an embedding, [vocabulary, d]; of one that is wrapped, the one inside.

    Raises:
        ModelError: there is none, as where a quantized layer keeps its weight packed.
    """
    found = next((tensor for tensor in module.parameters() if tensor.ndim == 2), None)
    if found is None:
        raise ModelError(
            f"a {type(module).__module__}.{type(module).__name__} has no matrix among its parameters; "
            "models that keep their weights packed cannot be measured"
        )
    return found


def submodule(root: nn.Module, path: str) -> nn.Module:
    """The module at a dotted path, looked for inside of wrappers where a name is missing.

    Raises:
        AttributeError: there is none.
    """
    module = root
    for name in path.split("."):
        holder = next((one for one in breadth_first(module) if name in one._modules), None)
        child = None if holder is None else holder._modules[name]
        if child is None:
            raise AttributeError(f"{type(module).__name__} has no {name} on the way to {path}")
        module = child
    return module


def _is_at(root: nn.Module, path: str) -> bool:
    """Whether there is a module at a dotted path, without looking into wrappers."""
    try:
        root.get_submodule(path)
    except AttributeError:
        return False
    return True


def breadth_first(module: nn.Module) -> Iterator[nn.Module]:
    """The module, its children, their children, as deep as wrappers are laid round one another."""
    level = [module]
    for _ in range(WRAPPERS + 1):
        yield from level
        level = [child for one in level for child in one.children()]


def map_model(model: nn.Module, like: ModelMap | None = None) -> ModelMap:
    """Find the blocks and matrices of a transformers language model, or of the one inside of a wrapper.

    The map of an edited model is made `like` the unedited one's: with its matrices, whatever has been put in
    their places.

    Raises:
        ModelError: the architecture is not in the table, or the model is not built as the table says.
    """
    model = language_model(model) or model
    model_type = getattr(getattr(model, "config", None), "model_type", None)
    architecture = ARCHITECTURES.get(model_type) if isinstance(model_type, str) else None
    if architecture is None:
        raise ModelError(
            f"cannot map a {type(model).__name__} (model_type {model_type!r}); "
            f"supported are {', '.join(ARCHITECTURES)}; docs/own-architecture.md says how to add one"
        )
    try:
        blocks = tuple(submodule(model, architecture.blocks).children())
        final_norm = submodule(model, architecture.final_norm)
        modules: dict[tuple[int, str], nn.Module] = {}
        matrices: list[Matrix] = []
        known = None if like is None else {(matrix.layer, matrix.kind) for matrix in like.matrices}
        for layer, block in enumerate(blocks):
            for kind, path in architecture.matrices.items():
                if kind in architecture.optional and not (
                    _is_at(block, path) if known is None else (layer, kind) in known
                ):
                    continue
                try:
                    modules[layer, kind] = submodule(block, path)
                except AttributeError:
                    if like is None:
                        raise
                if like is None:
                    d_out, d_in = oriented(modules[layer, kind]).shape
                    name = f"{architecture.blocks}.{layer}.{path}.weight"
                    matrices.append(Matrix(name=name, layer=layer, kind=kind, d_out=d_out, d_in=d_in))
    except AttributeError as error:
        raise ModelError(
            f"this {type(model).__name__} is not built as {model_type} should be: {error}"
        ) from error
    if like is not None and len(blocks) != like.n_layers:
        raise ModelError(f"the edited model has {len(blocks)} blocks, the unedited one {like.n_layers}")
    return ModelMap(
        architecture=str(model_type),
        blocks=blocks,
        block_names=tuple(f"{architecture.blocks}.{layer}" for layer in range(len(blocks))),
        final_norm=final_norm,
        head=output_head(model),
        embedding=_end(model, "get_input_embeddings"),
        matrices=tuple(matrices) if like is None else like.matrices,
        _modules=modules,
        normalised_output=architecture.normalised_output,
        logit_cap=getattr(model.config, "final_logit_softcapping", None),
    )


def output_head(model: nn.Module) -> nn.Module:
    """The module that turns the residual stream into logits.

    Raises:
        ModelError: the model has none, or is not a language model.
    """
    return _end(language_model(model) or model, "get_output_embeddings")


def _end(model: nn.Module, getter: str) -> nn.Module:
    module = getattr(model, getter, lambda: None)()
    if not isinstance(module, nn.Module):
        raise ModelError(f"this {type(model).__name__} has no {getter}(); load it as a causal language model")
    return module
