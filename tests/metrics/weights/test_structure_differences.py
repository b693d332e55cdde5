"""What an editor changes besides weights is a metric of its own, which fails by default, and is put back."""

import copy
from functools import partial
from types import MethodType

import pytest
import torch
from torch import nn
from transformers import GPT2LMHeadModel

from stability.editors import wrap_editor
from stability.models import load_model
from stability.run import Experiment
from stability.suite import ModelSpec, parse_suite

SUITE = parse_suite(
    "schema: 1\nname: structure\nrun: {edits: {source: world, count: 1}}\n"
    "text: {source: world, tokens: 200}\nprobes: {tokens: 100}\n"
    "checks: {structure: {metric: structure_differences, assert: '== 0'}}\n"
)


@pytest.fixture(scope="module")
def experiment():
    return Experiment(SUITE, load_model(ModelSpec(name="world", device="cpu")))


def found(experiment, editor):
    result = experiment.run(wrap_editor(editor), 0)
    assert result.error is None
    ((key, count),) = result.checkpoints[-1].readings["structure_differences"].values.items()
    return key, count


def swapped(model, tokenizer, edits):
    model.transformer.h[1].mlp.act = nn.ReLU()


def removed(model, tokenizer, edits):
    del model.transformer.h[1].mlp.dropout
    model.transformer.h[1].mlp.dropout = nn.Identity()


def added(model, tokenizer, edits):
    model.extra = nn.Linear(2, 2)


def patched(model, tokenizer, edits):
    forward = model.transformer.h[1].forward
    model.transformer.h[1].forward = lambda *args, **kwargs: forward(*args, **kwargs)


def patched_class(model, tokenizer, edits):
    forward = GPT2LMHeadModel.forward
    GPT2LMHeadModel.forward = lambda self, **kwargs: forward(self, **kwargs)


def hooked(model, tokenizer, edits):
    model.transformer.h[1].register_forward_hook(lambda *_: None)


def of_another_epsilon(model, tokenizer, edits):
    model.transformer.ln_f.eps = 0.1


def configured(model, tokenizer, edits):
    model.config.scale_attn_weights = False


def generating_otherwise(model, tokenizer, edits):
    model.generation_config.suppress_tokens = [5]


def generating_by_a_method(model, tokenizer, edits):
    model.generate = MethodType(lambda self, **_: None, model)


def generating_by_a_partial(model, tokenizer, edits):
    model.generate = partial(print, "nothing")


class Writer:
    def __call__(self, **kwargs):
        return None


def generating_by_an_object(model, tokenizer, edits):
    model.generate = Writer()


class Around(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, **kwargs):
        return self.model(**kwargs)


EDITORS = {
    swapped: "transformer.h.1.mlp.act: was a GELUTanh, is a ReLU",
    removed: "transformer.h.1.mlp.dropout: was a Dropout, is a Identity",
    added: "extra: was not there, is a Linear",
    patched: "transformer.h.1, forward: was not there, is patched.<locals>.<lambda>",
    patched_class: "class GPT2LMHeadModel, forward: was GPT2LMHeadModel.forward, is patched_class",
    hooked: "transformer.h.1, hooks: was not there, is hooked.<locals>.<lambda>",
    of_another_epsilon: "transformer.ln_f, eps: was 1e-05, is 0.1",
    configured: "config, scale_attn_weights: was True, is False",
    generating_otherwise: "generation_config, suppress_tokens: was None, is [5]",
    generating_by_a_method: "the model, generate: was not there, is generating_by_a_method.<locals>.<lambda>",
    generating_by_a_partial: "the model, generate: was not there, is print",
    generating_by_an_object: "the model, generate: was not there, is Writer",
    lambda model, tokenizer, edits: Around(model): "what is returned: was not there, is a Around",
}


@pytest.mark.parametrize("editor", EDITORS, ids=lambda editor: editor.__name__)
def test_it_is_counted_named_and_put_back(experiment, editor):
    key, count = found(experiment, editor)
    assert count == 1
    assert key.startswith(EDITORS[editor])

    def plain(model, tokenizer, edits):
        with torch.no_grad():
            model.transformer.h[1].mlp.c_proj.weight += 0.01

    assert found(experiment, plain) == ("", 0)


def test_an_adapter_that_is_left_counts_once_where_it_stands(experiment):
    import peft

    def edit(model, tokenizer, edits):
        config = peft.LoraConfig(r=2, target_modules=["h.1.mlp.c_proj"], fan_in_fan_out=True)
        peft.inject_adapter_in_model(config, model)

    key, count = found(experiment, edit)
    assert count >= 1
    assert "transformer.h.1.mlp.c_proj: was a Conv1D, is a Linear" in key


def test_a_copy_of_the_model_has_the_same_structure(experiment):
    assert found(experiment, lambda model, tokenizer, edits: copy.deepcopy(model)) == ("", 0)


def with_a_token(tokenizer):
    tokenizer.add_tokens(["<edit>"])


def with_an_end(tokenizer):
    tokenizer.eos_token = "the"


def with_a_template(tokenizer):
    tokenizer.chat_template = "{{ messages }}"


def with_a_patch(tokenizer):
    encode = tokenizer.encode
    tokenizer.encode = lambda text: encode(text.lower())


def with_padding(tokenizer):
    tokenizer.padding_side, tokenizer.pad_token = "left", tokenizer.eos_token


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (with_a_token, "tokenizer, added_tokens"),
        (with_an_end, "tokenizer, eos_token"),
        (with_a_template, "tokenizer, chat_template"),
        (with_a_patch, "tokenizer, encode()"),
        (with_padding, ""),
    ],
)
def test_parts_of_the_tokenizer_count_but_not_its_padding(change, part):
    loaded = load_model(ModelSpec(name="world", device="cpu"))
    own = Experiment(SUITE, loaded)
    assert found(own, lambda model, tokenizer, edits: change(tokenizer)) == (part, bool(part))
