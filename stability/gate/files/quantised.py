"""Codes of a quantisation, which are no weights: their norms and differences say nothing of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stability.errors import ModelError
from stability.gate.files.folder import Folder
from stability.gate.files.layout import Layout

FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")


def quantisation(folder: Folder) -> str | None:
    """The method by which a folder says that its weights are quantised, such as `bitsandbytes`."""
    inner = folder.config.get("text_config")
    for config in (folder.config, inner if isinstance(inner, Mapping) else {}):
        said = config.get("quantization_config")
        if isinstance(said, Mapping) and said:
            return str(said.get("quant_method", "a method that it does not name"))
    return None


def refuse_codes(base: Layout, edited: Layout, differing: Sequence[str]) -> None:
    """See that what differs between two models are weights. Codes that are equal are equal weights.

    Raises:
        ModelError: a model is quantised, or a tensor that differs holds integers as a matrix.
    """
    for layout in (base, edited) if differing else ():
        method = quantisation(layout.folder)
        if method is not None:
            raise _codes(layout, f"quantised ({method})", differing[0])
        for name in differing:
            tensor = layout.tensors.get(name)
            if tensor is not None and tensor.dtype not in FLOATS and len(tensor.shape) > 1:
                raise _codes(layout, f"stored as {tensor.dtype}", name)


def _codes(layout: Layout, how: str, name: str) -> ModelError:
    return ModelError(
        f"the weights in {layout.folder.path} are {how}: codes are no weights, and {name} differs; "
        "dequantise the model and save it, then gate that"
    )
