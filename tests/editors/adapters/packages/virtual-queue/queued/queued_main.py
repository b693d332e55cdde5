"""An editor in LyapLock's form: its state is the third element that it returns, and comes back as keywords."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass
class QueuedHyperParams:
    layers: list
    size: float
    rewrite_module_tmp: str

    @classmethod
    def from_json(cls, path):
        return cls(**json.loads(Path(path).read_text()))


def apply_queued_to_model(
    model, tok, requests, hparams, copy=False, return_orig_weights=False, cache_template=None, **kwargs
):
    """Each edit moves a layer's matrix by an outer product whose size is the layer's queue `Z`."""
    weights_copy = {}
    step = 2.0 if getattr(hparams, "doubled", False) else 1.0
    for layer in hparams.layers:
        name = f"{hparams.rewrite_module_tmp.format(layer)}.weight"
        weight = model.get_parameter(name)
        if kwargs["D_base"][layer] is None:
            kwargs["D_base"][layer] = weight.detach().double().norm()
        if isinstance(kwargs["Z"][layer], str):
            kwargs["Z"][layer] = (
                float(kwargs["Z"][layer].removesuffix("sqrtD")) * kwargs["D_base"][layer].sqrt()
            )
        for request in requests:
            ids = tok(request["prompt"].format(request["subject"]), return_tensors="pt").input_ids
            key = model.transformer.wte.weight[ids[0]].mean(0).detach().double()  # [d]
            key = key.repeat(weight.shape[0] // len(key) + 1)[: weight.shape[0]]
            value = torch.linspace(-1, 1, weight.shape[1], dtype=torch.double) * (1 + kwargs["cnt"])
            if kwargs["Pre_Cache"][layer]:
                value = value + 0.1 * (kwargs["Pre_Cache"][layer][0] @ key)[: len(value)]
            with torch.no_grad():
                weight += step * hparams.size * torch.outer(key, value).float() / kwargs["Z"][layer].float()
            outer = torch.outer(key, key)
            if kwargs["Pre_Cache"][layer]:
                kwargs["Pre_Cache"][layer][0] += outer
            else:
                kwargs["Pre_Cache"][layer] = [outer]
            kwargs["Z"][layer] = max(kwargs["Z"][layer] + kwargs["alpha"][layer], kwargs["zmax"][layer])
    return model, weights_copy, kwargs
