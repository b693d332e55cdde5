"""What is measured is what the editor returned, called as its user would: a plain forward pass is the oracle."""

import copy
import math
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from stability.editors import wrap_editor
from stability.metrics.activations.steps.generation import continue_greedily
from stability.models import encode, load_model
from stability.run import Experiment
from stability.suite import ModelSpec, parse_suite

LLAMA = Path(os.environ.get("STABILITY_DATA", "")) / "models" / "stories260K" / "hf"
MODELS = ["world"] + [pytest.param(str(LLAMA), marks=pytest.mark.torture)] * LLAMA.is_dir()


def suite(name):
    length = 300 if name == "world" else 1_000
    return parse_suite(
        f"schema: 1\nname: returned\nmodel: {name}\nrun: {{edits: {{source: world, count: 4}}}}\n"
        f"text: {{source: world, tokens: {length}}}\nprobes: {{tokens: 100}}\n"
        "checks: {near: {metric: kl_divergence, assert: '<= 1'}, reads: {metric: perplexity, assert: '<= 9'}, "
        "took: {metric: edit_success, assert: '>= 0'}}\n"
    )


def negated(output):
    output.logits = -output.logits
    return output


class Wrapper(nn.Module):
    """Does something with the language model's output."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, **kwargs):
        return self.after(self.model(**kwargs), kwargs["input_ids"])


class Negating(Wrapper):
    def after(self, output, ids):
        return negated(output)


class OfSomeTexts(Wrapper):
    """Acts on some texts only."""

    def after(self, output, ids):
        return negated(output) if int(ids[0, 1:].sum()) % 2 else output


class ByPosition(Wrapper):
    """Favours other tokens the further the text has come, and shifts the last one most."""

    def after(self, output, ids):
        tokens, vocabulary = output.logits.shape[1:]
        place = torch.arange(1, tokens + 1)[:, None]
        output.logits = output.logits + torch.sin(place * torch.arange(vocabulary)[None] * 0.1)
        output.logits[:, -1] *= 0.5
        return output


class OfTheFirstRow(Wrapper):
    """Decides by the batch's first row for all of it, as WISE's routing does."""

    def after(self, output, ids):
        return negated(output) if int(ids[0].sum()) % 2 else output


class Elsewhere(Wrapper):
    """Answers some texts by a second model, as SERAC does; the blocks of the first do not see them."""

    def __init__(self, model):
        super().__init__(model)
        second = copy.deepcopy(model)
        with torch.no_grad():
            second.get_output_embeddings().weight.mul_(0.5)
        self.second = second

    def forward(self, **kwargs):
        return (self.second if int(kwargs["input_ids"].sum()) % 2 else self.model)(**kwargs)


def wrapping(wrapper):
    return lambda model, tokenizer, edits: model if isinstance(model, wrapper) else wrapper(model)


def patched(model, tokenizer, edits):
    if "forward" not in vars(model):
        forward = model.forward
        model.forward = lambda *args, **kwargs: negated(forward(*args, **kwargs))


def hooked(model, tokenizer, edits):
    if not model._forward_hooks:
        model.register_forward_hook(lambda module, args, output: negated(output))


def hooked_at_the_head(model, tokenizer, edits):
    head = model.get_output_embeddings()
    if not head._forward_hooks:
        head.register_forward_hook(lambda module, args, output: output + output.roll(1, 1))


def of_another_class(model, tokenizer, edits):
    """Its class, and so every model's of that class that is made of it, returns something else."""
    kind = type(model)
    if not hasattr(kind, "changes"):

        class Changed(kind):
            changes = True

            def forward(self, **kwargs):
                return negated(super().forward(**kwargs))

        model.__class__ = Changed


class Keyed(nn.Module):
    """Replaces what a block's MLP gives where the text's tenth token (or last) is one of a few, as GRACE does."""

    def __init__(self, mlp):
        super().__init__()
        self.mlp = mlp

    def forward(self, x):
        out = self.mlp(x)
        key = min(9, x.shape[1] - 1)
        near = x[:, key].argmax(-1)[:, None, None] % 2 == 0  # [rows, 1, 1]
        return torch.where(near, out * 3, out)


def keyed(model, tokenizer, edits):
    block = (model.transformer.h if hasattr(model, "transformer") else model.model.layers)[1]
    if not isinstance(block.mlp, Keyed):
        block.mlp = Keyed(block.mlp)


EDITORS = {
    "negating": wrapping(Negating),
    "of-some-texts": wrapping(OfSomeTexts),
    "by-position": wrapping(ByPosition),
    "of-the-first-row": wrapping(OfTheFirstRow),
    "elsewhere": wrapping(Elsewhere),
    "patched": patched,
    "hooked": hooked,
    "hooked-at-the-head": hooked_at_the_head,
    "of-another-class": of_another_class,
    "keyed": keyed,
}


class Oracle:
    """Perplexity, KL and edit success by plain forward passes, one text at a time."""

    def __init__(self, experiment):
        self.experiment = experiment
        self.base = [self.distributions(experiment.loaded.model, one) for one in experiment.text.windows]

    def distributions(self, model, ids):
        ids = ids[None]
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
        return logits[0].double().log_softmax(-1)  # [tokens, vocabulary]

    def figures(self, model):
        windows = self.experiment.text.windows
        now = [self.distributions(model, one) for one in windows]
        nll = torch.cat(
            [-one[:-1].gather(1, ids[1:, None])[:, 0] for one, ids in zip(now, windows, strict=True)]
        )
        kl = torch.cat(
            [(was[:-1].exp() * (was[:-1] - one[:-1])).sum(1) for was, one in zip(self.base, now, strict=True)]
        )
        return {"perplexity": math.exp(nll.mean().item()), "kl_divergence": kl.mean().item()}

    def succeeds(self, model, edit):
        new, true = (self.mean_log_prob(model, edit, target) for target in (edit.target, edit.target_true))
        return new > true

    def mean_log_prob(self, model, edit, target):
        encoded = encode(self.experiment.loaded.tokenizer, edit.filled, target)
        ids, start = torch.tensor(encoded.input_ids), encoded.target_start
        found = self.distributions(model, ids[:-1])
        return found[start - 1 :].gather(1, ids[start:, None]).mean().item()


@pytest.fixture(scope="module", params=MODELS)
def experiment(request):
    return Experiment(suite(request.param), load_model(ModelSpec(name=request.param, device="cpu")))


@pytest.fixture(scope="module")
def oracle(experiment):
    return Oracle(experiment)


@pytest.mark.parametrize("name", EDITORS)
def test_figures_are_those_of_the_logits_that_the_editor_returned(experiment, oracle, name):
    wanted, successes = {}, []

    def edit(model, tokenizer, edits):
        returned = EDITORS[name](model, tokenizer, edits)
        model = model if returned is None else returned
        wanted.update(oracle.figures(model))
        successes.append(oracle.succeeds(model, edits[0]))
        return model

    result = experiment.run(wrap_editor(edit), 0)
    assert result.error is None
    found = result.checkpoints[-1].readings
    for metric, value in wanted.items():
        assert found[metric].values[""] == pytest.approx(value, rel=1e-3, abs=1e-4), metric
    assert wanted["kl_divergence"] > 1e-3
    assert [outcome.success for outcome in result.edits] == successes


def test_what_answers_by_another_model_has_no_residual_stream_to_measure(experiment):
    result = experiment.run(wrap_editor(EDITORS["elsewhere"]), 0)
    errors = result.checkpoints[-1].errors
    assert errors["activation_norm"].kind == "structure_changed"
    assert "without running each of the model's blocks once" in errors["activation_norm"].message
    assert "perplexity" not in errors


def test_a_wrapper_that_is_called_otherwise_is_refused_and_not_looked_through(experiment):
    class Otherwise(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, prompt):
            return -self.model(prompt).logits

    result = experiment.run(wrap_editor(wrapping(Otherwise)), 0)
    assert result.status == "failed"
    assert "Otherwise can be called, but not with input_ids" in result.error.message


def test_a_plain_edit_is_measured_the_short_way_and_reads_the_same(experiment, oracle):
    wanted = {}

    def edit(model, tokenizer, edits):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.01)
        wanted.update(oracle.figures(model))

    found = experiment.run(wrap_editor(edit), 0).checkpoints[-1].readings
    for metric, value in wanted.items():
        assert found[metric].values[""] == pytest.approx(value, rel=1e-3, abs=1e-4), metric


@pytest.mark.parametrize("name", ["negating", "keyed", "patched"])
def test_what_is_generated_is_the_argmax_of_the_returned_logits(experiment, name):
    model = experiment.loaded.model
    prompts = torch.stack([one[:4] for one in experiment.text.windows[:3]])
    try:
        returned = EDITORS[name](model, experiment.loaded.tokenizer, ())
        edited = model if returned is None else returned
        made = continue_greedily(edited, prompts, 6)
        for prompt, continuation in zip(prompts, made, strict=True):
            ids = prompt[None]
            for token in continuation.tolist():
                with torch.no_grad():
                    assert int(edited(input_ids=ids, use_cache=False).logits[0, -1].argmax()) == token
                ids = torch.cat([ids, torch.tensor([[token]])], 1)
    finally:
        experiment.put_back()
