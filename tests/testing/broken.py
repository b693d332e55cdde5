"""Editors that each do one thing wrong, and one that does none."""

from __future__ import annotations

import os
import random

import numpy as np
import torch
from pydantic import BaseModel
from torch import nn
from torch.nn import functional

from stability.data.edits import Edit
from stability.errors import EditorError

RATE = 2e-2
STEPS = 2


def learn(model, tokenizer, edit, *, rate=RATE):
    """A few plain steps of Adam on the first block's MLP output, as an editor may be written."""
    block = (model.transformer.h if hasattr(model, "transformer") else model.model.layers)[0]
    weight = (block.mlp.c_proj if hasattr(block.mlp, "c_proj") else block.mlp.down_proj).weight
    prompt = tokenizer(edit.filled, return_tensors="pt").input_ids
    whole = tokenizer(f"{edit.filled} {edit.target}", return_tensors="pt").input_ids
    labels = whole.clone()
    labels[:, : min(prompt.shape[1], whole.shape[1] - 1)] = -100
    with torch.enable_grad():
        weight.requires_grad_(True)
        optimiser = torch.optim.Adam([weight], lr=rate)
        for _ in range(STEPS):
            logits = model(input_ids=whole).logits
            loss = functional.cross_entropy(logits[0, :-1].float(), labels[0, 1:])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        optimiser.zero_grad()
        weight.requires_grad_(False)
    return weight


def sound(model, tokenizer, edits):
    for edit in edits:
        learn(model, tokenizer, edit)


def draws_from_the_global_generators(model, tokenizer, edits):
    for edit in edits:
        drawn = random.random() + np.random.rand() + torch.rand(()).item()
        learn(model, tokenizer, edit, rate=RATE * (1 + drawn / 10))


def leaves_a_hook(model, tokenizer, edits):
    sound(model, tokenizer, edits)
    model.get_submodule("lm_head").register_forward_hook(lambda module, args, output: None)


def leaves_a_state_dict_hook(model, tokenizer, edits):
    sound(model, tokenizer, edits)
    model.register_state_dict_post_hook(lambda module, state, prefix, metadata: None)


def leaves_train_mode(model, tokenizer, edits):
    sound(model, tokenizer, edits)
    model.train()


def leaves_a_parameter_asking_for_gradients(model, tokenizer, edits):
    for edit in edits:
        learn(model, tokenizer, edit).requires_grad_(True)


def leaves_a_gradient(model, tokenizer, edits):
    for edit in edits:
        weight = learn(model, tokenizer, edit)
        weight.grad = torch.zeros_like(weight)


def leaves_gradients_off(model, tokenizer, edits):
    sound(model, tokenizer, edits)
    torch.set_grad_enabled(False)


def leaves_another_default_dtype(model, tokenizer, edits):
    sound(model, tokenizer, edits)
    torch.set_default_dtype(torch.float64)


def leaves_determinism_on(model, tokenizer, edits):
    sound(model, tokenizer, edits)
    torch.use_deterministic_algorithms(True, warn_only=True)


def leaves_numpy_strict(model, tokenizer, edits):
    sound(model, tokenizer, edits)
    np.seterr(all="raise")


def writes_nan(model, tokenizer, edits):
    for edit in edits:
        learn(model, tokenizer, edit)[0, 0] = float("nan")


def edits_the_embedding(model, tokenizer, edits):
    sound(model, tokenizer, edits)
    model.get_input_embeddings().weight[:, 0] *= 1.001


def edits_a_norm(model, tokenizer, edits):
    sound(model, tokenizer, edits)
    norm = model.transformer.ln_f if hasattr(model, "transformer") else model.model.norm
    norm.weight *= 1.001


class PrepareEdits:
    def prepare(self, model, tokenizer, store):
        weight = (model.transformer.h if hasattr(model, "transformer") else model.model.layers)[1]
        next(weight.mlp.parameters()).mul_(1.001)

    def edit(self, model, tokenizer, edits):
        sound(model, tokenizer, edits)


class Wrapped(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.eval()

    def forward(self, hidden):
        return self.inner(hidden)


def leaves_a_wrapper(model, tokenizer, edits):
    sound(model, tokenizer, edits)
    last = (model.transformer.h if hasattr(model, "transformer") else model.model.layers)[-1]
    if not isinstance(last.mlp, Wrapped):
        last.mlp = Wrapped(last.mlp)


def replaces_a_forward(model, tokenizer, edits):
    sound(model, tokenizer, edits)
    last = (model.transformer.h if hasattr(model, "transformer") else model.model.layers)[-1]
    forward = last.mlp.forward
    last.mlp.forward = lambda hidden: forward(hidden)


def draws_unseeded(model, tokenizer, edits):
    for edit in edits:
        learn(model, tokenizer, edit, rate=RATE * (1 + os.urandom(1)[0] / 2560 + os.urandom(1)[0] / 655360))


class RemembersItsFirstModel:
    model = None

    def edit(self, model, tokenizer, edits):
        kind = type(self)
        if kind.model is None:
            kind.model = model
        sound(kind.model, tokenizer, edits)


class RemembersItsEdits:
    """Makes no edit twice, in whatever run."""

    made: frozenset[str] = frozenset()

    def edit(self, model, tokenizer, edits):
        kind = type(self)
        sound(model, tokenizer, [edit for edit in edits if edit.id not in kind.made])
        kind.made |= {edit.id for edit in edits}


class RemembersItsFirstTargets:
    """Sticks to the targets of its first run, edit by edit: the same edits again are made as before."""

    targets: tuple[str, ...] = ()

    def __init__(self):
        self.numbers = iter(range(100))

    def edit(self, model, tokenizer, edits):
        kind = type(self)
        number = next(self.numbers)
        if len(kind.targets) == number:
            kind.targets += (edits[0].target,)
        learn(model, tokenizer, Edit("stuck", edits[0].prompt, edits[0].subject, kind.targets[number]))


class CountsItsEdits:
    """Keeps a state without saying so."""

    def __init__(self):
        self.made = 0

    def edit(self, model, tokenizer, edits):
        for edit in edits:
            learn(model, tokenizer, edit, rate=RATE * 0.9**self.made)
            self.made += 1


class SaysWhatItCounts(CountsItsEdits):
    """The same, made good."""

    def state(self):
        return {"made": self.made}

    def load_state(self, state):
        self.made = state["made"]


class KeepsAnObject(SaysWhatItCounts):
    def state(self):
        return {"made": self.made, "seen": {1, 2}}


def empties_the_list(model, tokenizer, edits):
    sound(model, tokenizer, edits)
    if isinstance(edits, list):
        edits.clear()


def sets_the_padding_token(model, tokenizer, edits):
    sound(model, tokenizer, edits)
    tokenizer.pad_token = "<eos>"
    tokenizer.padding_side = "left"


def switches_the_cache_off(model, tokenizer, edits):
    sound(model, tokenizer, edits)
    model.config.use_cache = False


def does_nothing(model, tokenizer, edits):
    return None


def raises_always(model, tokenizer, edits):
    raise KeyError("subject")


def reads_ascii_only(model, tokenizer, edits):
    for edit in edits:
        edit.subject.encode("ascii")
        learn(model, tokenizer, edit)


def refuses_what_is_not_ascii(model, tokenizer, edits):
    for edit in edits:
        if not edit.subject.isascii():
            raise EditorError(f"the subject {edit.subject!r} is not ASCII")
        learn(model, tokenizer, edit)


def refuses_without_a_name(model, tokenizer, edits):
    for edit in edits:
        if not edit.subject.isascii():
            raise EditorError("cannot be edited")
        learn(model, tokenizer, edit)


def takes_the_first_only(model, tokenizer, edits):
    sound(model, tokenizer, edits[:1])


def sorts_its_edits(model, tokenizer, edits):
    sound(model, tokenizer, sorted(edits, key=lambda edit: edit.id))


def wants_a_list(model, tokenizer, edits):
    sound(model, tokenizer, edits.copy())


def wants_gradients_on(model, tokenizer, edits):
    if not torch.is_grad_enabled():
        raise RuntimeError("element 0 of tensors does not require grad")
    sound(model, tokenizer, edits)


class OverlooksSettings:
    class Settings(BaseModel):
        rate: float = RATE

    def __init__(self, settings):
        self.settings = settings

    def edit(self, model, tokenizer, edits):
        sound(model, tokenizer, edits)


class ReportsInfinity:
    def edit(self, model, tokenizer, edits):
        sound(model, tokenizer, edits)
        self.edits = len(edits)

    def report(self):
        return {"value_norm": [float("inf")] * self.edits}


def knows_eight_hundred_tokens(model, tokenizer, edits):
    if len(tokenizer) < 799:
        raise IndexError("index out of range in self")
    sound(model, tokenizer, edits)


def knows_gpt2_only(model, tokenizer, edits):
    assert model.transformer.h
    sound(model, tokenizer, edits)
