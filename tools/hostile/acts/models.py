"""What becomes of the model, the tokenizer and the edits."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from stability.data.edits import Edit
from tools.hostile.act import DONE, Does, Family

WEIGHTS = Family("weights")
RETURNED = Family("what is returned")
STRUCTURE = Family("structure")
TOKENIZERS = Family("tokenizers")
EDITS = Family("edits")
SPOILT = (*DONE, "editor_raised", "model_unusable", "not_finite")


def weight(model: Any) -> nn.Parameter:
    """A matrix of the model."""
    found: nn.Parameter = model.transformer.h[1].mlp.c_proj.weight
    return found


def fills(value: float) -> Does:
    """Fills a matrix."""
    return lambda model, *_: weight(model).data.fill_(value) and None


def on_model(change: Callable[[Any], Any]) -> Does:
    """Does something to the model, and returns nothing."""
    return lambda model, *_: (change(model), None)[1]


for _value in (float("nan"), float("inf"), -float("inf"), 1e30, 0.0):
    WEIGHTS.add(
        f"fills a matrix with {_value:g}",
        on_model(lambda model, value=_value: weight(model).data.fill_(value)),
        *SPOILT,
    )
for _name, _change in {
    "every parameter is 0": lambda model: [one.data.zero_() for one in model.parameters()],
    "every parameter is NaN": lambda model: [one.data.fill_(float("nan")) for one in model.parameters()],
    "a matrix is not contiguous": lambda model: setattr(weight(model), "data", weight(model).data.t().contiguous().t()),
    "a matrix has one value": lambda model: setattr(weight(model), "data", torch.zeros(()).expand(weight(model).shape)),
    "a matrix has another shape": lambda model: setattr(weight(model), "data", torch.zeros(3, 5)),
    "a matrix is empty": lambda model: setattr(weight(model), "data", torch.zeros(0)),
    "a matrix is float64": lambda model: setattr(weight(model), "data", weight(model).data.double()),
    "a matrix is complex": lambda model: setattr(weight(model), "data", weight(model).data.cfloat()),
    "a matrix is sparse": lambda model: put(model, nn.Parameter(weight(model).data.to_sparse())),
    "a matrix is on the meta device": lambda model: put(model, nn.Parameter(weight(model).data.to("meta"))),
    "a matrix is one of bytes": lambda model: put(model, nn.Parameter(weight(model).data.byte(), requires_grad=False)),
    "two blocks share a matrix": lambda model: setattr(model.transformer.h[2].mlp.c_proj, "weight", weight(model)),
    "the head is its own": lambda model: setattr(model.lm_head, "weight", nn.Parameter(model.lm_head.weight.detach().clone())),
    "every parameter asks for gradients": lambda model: model.requires_grad_(True),
    "the model is in training": lambda model: model.train(),
    "the model is bfloat16": lambda model: model.bfloat16(),
    "the model is float16": lambda model: model.half(),
    "the model is on the meta device": lambda model: model.to("meta"),
}.items():  # fmt: skip
    WEIGHTS.add(_name, on_model(_change), *SPOILT)


def put(model: Any, parameter: nn.Parameter) -> None:
    """Put a parameter in a matrix's place."""
    model.transformer.h[1].mlp.c_proj.weight = parameter


class Stranger(nn.Module):
    """A model that answers something."""

    def __init__(self, answer: Callable[..., Any]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, *arguments: Any, **named: Any) -> Any:
        """The answer."""
        return self.answer(*arguments, **named)


for _name, _made in {
    "a compiled model": lambda model: torch.compile(model, backend="eager"),
    "a quantized model": lambda model: torch.ao.quantization.quantize_dynamic(model, {nn.Linear}),
    "a traced model": lambda model: torch.jit.trace(model, torch.zeros(1, 4, dtype=torch.long), strict=False),
    "a copy": copy.deepcopy,
    "a bfloat16 copy": lambda model: copy.deepcopy(model).bfloat16(),
    "the model without its head": lambda model: model.transformer,
    "a module that is none": lambda model: nn.Module(),
    "a linear layer": lambda model: nn.Linear(3, 3),
    "a module that answers a text": lambda model: Stranger(lambda *_, **__: "words"),
    "a module that answers nothing": lambda model: Stranger(lambda *_, **__: None),
    "a module that raises": lambda model: Stranger(lambda *_, **__: 1 / 0),
    "data parallel": lambda model: nn.DataParallel(model),
    "the model in itself": lambda model: nn.Sequential(nn.Sequential(model)),
    "a text": lambda model: "model",
    "True": lambda model: True,
    "a dict of weights": lambda model: model.state_dict(),
    "a tuple": lambda model: (model, {}),
    "a class": lambda model: type(model),
    "a generator": lambda model: (one for one in [model]),
}.items():
    _ends = (
        ("process_ended",)
        if _name.endswith("the process")
        else ("over_budget",)
        if _name.endswith("sleeps")
        else SPOILT
    )
    RETURNED.add(_name, lambda model, *_, made=_made: made(model), *_ends)

for _name, _change in {
    "no head": lambda model: delattr(model, "lm_head"),
    "no blocks": lambda model: setattr(model.transformer, "h", nn.ModuleList()),
    "half of the blocks": lambda model: setattr(model.transformer, "h", model.transformer.h[:4]),
    "blocks in another order": lambda model: setattr(model.transformer, "h", nn.ModuleList(reversed(model.transformer.h))),
    "no MLP": lambda model: delattr(model.transformer.h[1], "mlp"),
    "an MLP that is its block": lambda model: model.transformer.h[1].register_module("mlp", model.transformer.h[1]),
    "a larger vocabulary": lambda model: model.resize_token_embeddings(400),
    "a smaller vocabulary": lambda model: model.resize_token_embeddings(10),
    "another configuration": lambda model: vars(model.config).update(n_layer=0, vocab_size=-1, use_cache=None),
    "no configuration": lambda model: setattr(model, "config", None),
    "a parametrization": lambda model: parametrize.register_parametrization(model.transformer.h[1].mlp.c_proj, "weight", nn.Identity()),
    "a hook that raises": lambda model: model.register_forward_hook(lambda *_: 1 / 0),
    "a thousand hooks": lambda model: [model.register_forward_hook(lambda *_: None) for _ in range(1_000)],
    "a hook for every module": lambda model: nn.modules.module.register_module_forward_hook(lambda *_: torch.zeros(1)),
    "a state_dict that raises": lambda model: model.register_state_dict_pre_hook(lambda *_: 1 / 0),
    "parameters without an end": lambda model: setattr(model, "named_parameters", lambda *_, **__: ((f"a{n}", weight(model)) for n in iter(int, 1))),
    "no parameters": lambda model: setattr(model, "named_parameters", lambda *_, **__: iter(())),
    "a forward of its own": lambda model: setattr(model, "forward", lambda *_, **__: None),
    "another class": lambda model: setattr(model, "__class__", type("Other", (type(model),), {"forward": lambda *_, **__: None})),
    "a buffer of each name": lambda model: [model.register_buffer(f"b{n}", torch.zeros(1)) for n in range(1_000)],
    "names of strangers": lambda model: model.register_buffer("\x1b[2J::error::<script>", torch.zeros(1)),
}.items():  # fmt: skip
    STRUCTURE.add(_name, on_model(_change), *SPOILT, "over_budget", "out_of_memory", "process_ended")


def after_a_block(what: Callable[..., Any]) -> Does:
    """Does something in every pass through the model."""
    return on_model(lambda model: model.transformer.h[1].register_forward_hook(what))


STRUCTURE.add("a hook that ends the process", after_a_block(lambda *_: os._exit(0)), "process_ended")
STRUCTURE.add("a hook that sleeps", after_a_block(lambda *_: time.sleep(1_000)), "over_budget")
STRUCTURE.add(
    "a hook that draws", after_a_block(lambda module, given, made: torch.randn_like(made[0])), *SPOILT
)


def on_tokenizer(change: Callable[[Any], Any]) -> Does:
    """Does something to the tokenizer."""
    return lambda model, tokenizer, *_: (change(tokenizer), None)[1]


def raises(*_: Any, **__: Any) -> None:
    """Stands in for a method."""
    raise RuntimeError("broken")


for _name, _change in {
    "calls raise": lambda one: setattr(one, "_batch_encode_plus", raises),
    "encodes nothing": lambda one: setattr(one, "encode", lambda *_, **__: []),
    "pads on the left": lambda one: setattr(one, "padding_side", "left"),
    "cuts at 2 tokens": lambda one: one._tokenizer.enable_truncation(2),
    "another padding token": lambda one: setattr(one, "pad_token", "Rome"),
    "a thousand more tokens": lambda one: one.add_tokens([f"t{n}" for n in range(1_000)]),
    "no backend": lambda one: setattr(one, "_tokenizer", None),
    "no attributes": lambda one: vars(one).clear(),
    "a class that is another": lambda one: setattr(
        one, "__class__", type("T", (type(one),), {"__call__": raises})
    ),
}.items():
    TOKENIZERS.add(_name, on_tokenizer(_change), *SPOILT)


def on_edits(change: Callable[[Any], Any]) -> Does:
    """Does something to the edits that it is given."""

    def does(model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> None:
        change(edits)

    return does


for _name, _change in {
    "clears the list": lambda edits: edits.clear(),
    "writes another subject": lambda edits: object.__setattr__(edits[0], "subject", "Nobody"),
    "writes another target": lambda edits: object.__setattr__(edits[0], "target", "\ud800\x00"),
    "writes a target that is no text": lambda edits: object.__setattr__(edits[0], "target", 7),
    "writes an id that is no text": lambda edits: object.__setattr__(edits[0], "id", ["a"]),
    "deletes the prompt": lambda edits: object.__delattr__(edits[0], "prompt"),
    "writes into the class": lambda edits: setattr(type(edits[0]), "filled", "always"),
}.items():
    EDITS.add(_name, on_edits(_change), *SPOILT, "process_ended")
