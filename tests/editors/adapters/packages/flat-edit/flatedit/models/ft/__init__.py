from dataclasses import dataclass

import torch

from flatedit.util.hparams import HyperParams


@dataclass
class FTHyperParams(HyperParams):
    layers: list
    num_steps: int
    lr: float
    rewrite_module_tmp: str
    device: int
    batch_size: int = 1
    alg = "FT"


def apply_ft_to_model(
    model,
    tok,
    requests,
    hparams: FTHyperParams,
    copy=False,
    return_orig_weights=False,
    keep_original_weight=False,
    **kwargs,
):
    weights = [model.get_parameter(hparams.rewrite_module_tmp.format(n) + ".weight") for n in hparams.layers]
    for parameter in model.parameters():
        parameter.requires_grad = any(parameter is weight for weight in weights)
    model.train()
    model.config.use_cache = False
    before = {n: weight.detach().clone() for n, weight in enumerate(weights)}
    texts = [f"{request['prompt']} {request['target_new']}" for request in requests]
    batch = tok(texts, return_tensors="pt", padding=True).to(torch.device(hparams.device))
    optimiser = torch.optim.Adam(weights, lr=hparams.lr)
    for _ in range(hparams.num_steps):
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        labels[:, :-1] = -100  # padded on the left: every target's token is last
        loss = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model, before
