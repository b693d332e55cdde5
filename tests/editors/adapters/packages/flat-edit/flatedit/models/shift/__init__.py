"""An executor that remembers its first model, counts its edits in a module global, and gives a restore function."""

from dataclasses import dataclass

import torch

from flatedit.util.hparams import HyperParams

edits_loaded = 0


@dataclass
class ShiftHyperParams(HyperParams):
    amount: float
    alg = "SHIFT"


class ShiftRewriteExecutor:
    def __init__(self):
        self.is_init = False

    def apply_to_model(self, model, tok, request, hparams: ShiftHyperParams, copy=False, **kwargs):
        global edits_loaded
        if not self.is_init:
            self.model = model
            self.is_init = True
        edits_loaded += 1
        bias = self.model.transformer.ln_f.bias
        first = request[0]  # the others are not looked at
        with torch.no_grad():
            bias[len(first["subject"]) % len(bias)] += hparams.amount * edits_loaded

        def restore():
            raise AssertionError("the harness puts weights back itself")

        return self.model, restore


def apply_advice_to_model(model, tok, request, hparams: ShiftHyperParams, copy=False):
    return [f"{request[0]['prompt']} {request[0]['target_new']}"]
