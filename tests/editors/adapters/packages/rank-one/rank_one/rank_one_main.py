"""W becomes W + δ kᵀ / (k·k): k is the subject's key, averaged over contexts, and δ is learnt by Adam."""

import random
from contextlib import contextmanager
from copy import deepcopy

import torch

from .hparams import RankOneHyperParams

CONTEXT_TEMPLATES_CACHE = None
KEY_CACHE = {}


def apply_rank_one_to_model(
    model, tok, requests, hparams: RankOneHyperParams, copy=False, return_orig_weights=False
):
    if copy:
        model = deepcopy(model)
    weights_copy = {}
    for request in requests:
        print(f"Editing {request['subject']} -> {request['target_new']['str']}")  # noqa: T201
        for layer in hparams.layers:
            name = hparams.rewrite_module_tmp.format(layer)
            weight = model.get_submodule(name).weight
            if return_orig_weights and name not in weights_copy:
                weights_copy[name] = weight.detach().clone()
            key = mean_key(model, tok, request, name, get_context_templates(tok, hparams))
            KEY_CACHE[name, request["subject"]] = key
            delta = learn_delta(model, tok, request, hparams, name)
            with torch.no_grad():
                weight += torch.outer(key, delta) / (key @ key)  # Conv1D: [d_in, d_out]
    return model, weights_copy


class RankOneExecutor:
    """Holds on to the first model that it is given, as MEND's executors do."""

    def __init__(self):
        self.model = None

    def apply_to_model(self, model, tok, requests, hparams: RankOneHyperParams, copy=False):
        if self.model is None:
            self.model = model
        return apply_rank_one_to_model(self.model, tok, requests, hparams)


def get_context_templates(tok, hparams):
    global CONTEXT_TEMPLATES_CACHE
    if CONTEXT_TEMPLATES_CACHE is None:
        words = sorted(word for word in tok.get_vocab() if word.isalpha())
        CONTEXT_TEMPLATES_CACHE = ["{}"] + [random.choice(words) + " {}" for _ in range(hparams.contexts)]
    return CONTEXT_TEMPLATES_CACHE


def last_subject_token(tok, prompt, subject):
    before = prompt[: prompt.index("{}")] + subject
    return len(tok(before)["input_ids"]) - 1


def mean_key(model, tok, request, name, templates):
    keys = []
    for template in templates:
        prompt = template.format(request["prompt"])
        place = last_subject_token(tok, prompt, request["subject"])

        seen = []
        handle = model.get_submodule(name).register_forward_pre_hook(lambda _, args: seen.append(args[0]))  # noqa: B023
        with torch.no_grad():
            model(**tok(prompt.format(request["subject"]), return_tensors="pt"))
        handle.remove()
        keys.append(seen[0][0, place])
    return torch.stack(keys).mean(0)


def learn_delta(model, tok, request, hparams, name):
    prompt = request["prompt"].format(request["subject"])
    place = last_subject_token(tok, request["prompt"], request["subject"])
    start = len(tok(prompt)["input_ids"])
    ids = tok(prompt + " " + request["target_new"]["str"], return_tensors="pt")["input_ids"]
    delta = torch.zeros(model.config.n_embd, requires_grad=True)
    optimiser = torch.optim.Adam([delta], lr=hparams.lr)
    with adding(model.get_submodule(name), place, delta):
        for _ in range(hparams.steps):
            logits = model(input_ids=ids[:, :-1]).logits[0, start - 1 :]
            loss = torch.nn.functional.cross_entropy(logits, ids[0, start:])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return delta.detach()


@contextmanager
def adding(module, place, delta):
    def add(module, args, output):
        return torch.cat([output[:, :place], output[:, place : place + 1] + delta, output[:, place + 1 :]], 1)

    handle = module.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()
