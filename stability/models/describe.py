"""What the record says about the unedited model."""

from __future__ import annotations

from torch import nn

from stability.models.fingerprint import model_fingerprint, tokenizer_fingerprint
from stability.models.load import LoadedModel
from stability.models.map import map_model
from stability.record import ModelInfo
from stability.world import MODEL as WORLD

REMOTE = "transformers_modules"  # where transformers puts code that it was trusted to run


def describe_model(loaded: LoadedModel) -> ModelInfo:
    """The model's description for the record; `ModelError` if its architecture is not supported."""
    parameters = list(loaded.model.parameters())
    found = map_model(loaded.model)
    dtypes = sorted({str(parameter.dtype).removeprefix("torch.") for parameter in parameters})
    devices = sorted({str(parameter.device) for parameter in parameters})
    return ModelInfo(
        name=loaded.name,
        architecture=found.architecture,
        fingerprint=model_fingerprint(loaded.model),
        tokenizer_fingerprint=tokenizer_fingerprint(loaded.tokenizer),
        dtype="+".join(dtypes),
        device="+".join(devices),
        layers=found.n_layers,
        parameters=sum(parameter.numel() for parameter in parameters),
        matrices=found.matrices,
        gguf=loaded.gguf,
        remote_code=any(is_remote_code(type(part)) for part in (loaded.model, loaded.tokenizer)),
    )


def is_remote_code(kind: type) -> bool:
    """Whether a class, or one that it is derived from, comes from the repository of a model."""
    return any(one.__module__.partition(".")[0] == REMOTE for one in kind.__mro__)


def model_name(model: nn.Module) -> str:
    """What a loaded model was loaded as; presets are found by it."""
    origin = str(getattr(model, "name_or_path", "") or type(model).__name__)
    return "world" if origin == str(WORLD) else origin
