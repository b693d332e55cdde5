"""An editor with state and random numbers, and edits that make it do harm; a stream of both, in batches."""

from __future__ import annotations

import random

import torch
from torch import nn

from stability.data.edits import Edit
from stability.suite import parse_suite

SUITE = parse_suite(
    """
schema: 1
name: guarded
model: world
text: {source: world, tokens: 120}
may_change: {matrices: [mlp_out]}
checks:
  finite: {metric: nonfinite, assert: "== 0"}
  growth: {metric: weight_norm, where: {matrices: edited}, relative_to: base, assert: "<= 1.5"}
  frozen: {metric: frozen_weights, assert: "== 0"}
  said: {metric: kl_divergence, assert: "<= 3"}
"""
)
LAYERS = 3
HARMS = ("grow", "nan", "raise", "hook", "half", "embedding", "wrap", "shape", "silent")


class Drifting:
    """Adds a random rank-one change to one layer's matrix after the other, and a little of the last one."""

    def prepare(self, model, tokenizer, store):
        self.start = float(torch.rand(()))
        self.norm = float(model.transformer.h[0].mlp.c_proj.weight.norm())  # of the unedited model
        self.made = 0
        self.last = torch.zeros(())

    def edit(self, model, tokenizer, edits):
        for edit in edits:
            weight = model.transformer.h[self.made % LAYERS].mlp.c_proj.weight
            with torch.no_grad():
                change = torch.outer(torch.randn(weight.shape[0]), torch.randn(weight.shape[1]))
                weight += 1e-6 * (self.start + self.norm) * (change + self.last)
            self.last = change[:1, :1].clone()
            self.made += 1
            harm(model, edit)

    def state(self):
        return {"made": self.made, "last": self.last}

    def load_state(self, state):
        self.made, self.last = state["made"], state["last"]


def harm(model, edit):
    """What a bad edit does besides."""
    kind = edit.id.partition(":")[0]
    blocks = model.transformer.h
    weight = blocks[1].mlp.c_proj.weight
    with torch.no_grad():
        if kind == "grow":
            weight *= 2
        elif kind == "nan":
            weight[0, 0] = float("nan")
        elif kind == "half":
            blocks[2].attn.c_attn.weight.data = blocks[2].attn.c_attn.weight.data * 2
            raise ValueError("half-way")
        elif kind == "raise":
            raise RuntimeError("cannot")
        elif kind == "hook":
            blocks[0].register_forward_hook(lambda module, args, output: output)
        elif kind == "embedding":
            model.transformer.wte.weight.mul_(8)
        elif kind == "wrap":
            blocks[0].mlp = nn.Sequential(blocks[0].mlp)
        elif kind == "shape":
            weight.data = weight.data[:-1]
        elif kind == "meta":
            blocks[1].mlp.c_proj.weight = nn.Parameter(weight.to("meta"))
        elif kind == "silent":  # through another parameter object, numpy and a flag
            blocks[1].ln_1.weight = nn.Parameter(blocks[1].ln_1.weight.detach() * 90)
            blocks[2].mlp.c_fc.weight.detach().numpy()[:] *= 40
            model.train()


def edit(name):
    """An edit that does the harm that its name begins with."""
    return Edit(id=name, prompt="{} lives in", subject="Anna", target="Rome", target_true="Paris")


def stream(count, seed=0, batches=(2, 3, 4, 5, 6)):
    """Batches of edits, about a quarter of them with a bad edit."""
    rng = random.Random(seed)
    edits, made = [], 0
    while made < count:
        size = min(rng.choice(batches), count - made)
        bad = rng.randrange(size) if rng.random() < 1 / 4 else None
        edits.append(
            [edit(f"{rng.choice(HARMS) if index == bad else 'good'}:{made + index}") for index in range(size)]
        )
        made += size
    return edits
