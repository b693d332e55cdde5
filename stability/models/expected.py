"""Which tensors a model of a configuration reads from its files."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM


def expected_names(folder: Path) -> frozenset[str] | None:
    """The names of the parameters and persistent buffers of the model that a config.json describes.

    The model is built without memory for its weights. None if transformers has no such model itself.
    """
    try:
        config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Exception:  # transformers raises anything of what is in a file
        return None
    return frozenset(model.state_dict())
