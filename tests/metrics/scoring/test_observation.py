"""The pass over the text against transformers' own hidden states, loss and logits, one window at a time."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from stability.errors import ModelError
from stability.metrics import Context, Observation, observe
from stability.metrics.scoring import observation
from stability.metrics.scoring.reference import same_logits
from stability.suite import ProbesSpec
from tests.examples import examples

FINAL_NORMS = {
    **dict.fromkeys(("bloom", "falcon", "gpt2", "gptj"), "transformer.ln_f"),
    **dict.fromkeys(("gemma2", "gemma3_text", "llama", "mixtral", "phi3", "qwen3_moe"), "model.norm"),
    "opt": "model.decoder.final_layer_norm",
}
PARTS = ("norms", "features", "nll", "hidden")


def without_final_norm(model: nn.Module) -> nn.Module:
    """transformers' last hidden state is behind the final norm; in this copy there is none."""
    bare = copy.deepcopy(model)
    path, _, name = FINAL_NORMS[model.config.model_type].rpartition(".")
    setattr(bare.get_submodule(path), name, nn.Identity())
    return bare


def part(seen: Observation, name: str) -> torch.Tensor:
    return seen.reference.hidden if name == "hidden" else getattr(seen, name)


def streams(model: nn.Module, context: Context) -> torch.Tensor:
    """Residual streams after each block by transformers: [layers, tokens, d]."""
    bare = without_final_norm(model)
    each = [
        torch.stack(bare(window[None], output_hidden_states=True).hidden_states[1:])[:, 0]
        for window in context.text.windows
    ]
    return torch.cat(each, dim=1)


@pytest.mark.parametrize(
    "architecture",
    [
        "bloom",
        "falcon",
        "gemma2",
        "gemma3_text",
        "gpt2",
        "gptj",
        "llama",
        "mixtral",
        "opt",
        "phi3",
        "qwen3_moe",
    ],
)
def test_it_sees_what_transformers_sees_document_by_document(architecture, build_model, context_of):
    model = build_model(architecture)
    context = context_of(model, probes={"tokens": 100})
    seen = context.observation

    expected = streams(model, context)
    assert torch.allclose(seen.norms, expected.norm(dim=-1), rtol=1e-5)
    assert seen.features.shape == (len(expected), 100, 24)
    assert torch.allclose(seen.features, expected[:, seen.places.features], rtol=1e-4, atol=1e-5)

    total, predictions, logits = 0.0, 0, []
    for window in context.text.windows:
        output = model(window[None], labels=window[None])
        total += output.loss.item() * (len(window) - 1)
        predictions += len(window) - 1
        logits.append(output.logits[0, :-1])
    assert len(seen.nll) == predictions
    assert seen.nll.double().sum().item() == pytest.approx(total, rel=1e-5)
    assert torch.allclose(seen.reference.head(seen.reference.hidden), torch.cat(logits), atol=1e-4)
    assert seen.nonfinite_logits == 0


def test_the_last_block_is_read_before_the_final_norm(build_model, context_of):
    model = build_model()
    model.transformer.ln_f.weight.mul_(100)
    seen = context_of(model).observation
    normed = seen.features.new_tensor(
        [
            model(window[None], output_hidden_states=True).hidden_states[-1].norm(dim=-1).mean()
            for window in context_of(model).text.windows
        ]
    ).mean()
    assert normed > 10 * seen.norms[-1].mean()


def test_how_documents_are_batched_does_not_matter(build_model, context_of, monkeypatch):
    model = build_model()
    together = context_of(model).observation
    monkeypatch.setattr(observation, "BATCH_TOKENS", 1)
    alone = context_of(model).observation
    for name in PARTS:
        assert torch.allclose(part(together, name), part(alone, name), rtol=1e-4, atol=1e-4), name


def test_the_same_model_gives_the_same_bits_again(build_model, context_of):
    model = build_model()
    first, second = context_of(model).observation, context_of(model).observation
    for name in PARTS:
        assert torch.equal(part(first, name), part(second, name)), name


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.05), (torch.float64, 1e-4)])
def test_any_dtype_is_read_into_float32(dtype, tolerance, build_model, context_of):
    exact = context_of(build_model()).observation
    seen = context_of(build_model().to(dtype)).observation
    for name in PARTS[:-1]:
        assert part(seen, name).dtype == torch.float32
    assert seen.reference.hidden.dtype == dtype
    assert torch.allclose(seen.norms, exact.norms, rtol=tolerance)
    assert seen.nll.mean().item() == pytest.approx(exact.nll.mean().item(), rel=tolerance)


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def look(model: nn.Module, context: Context) -> Observation:
    return observe(model, context.map, context.snapshot, context.text, ProbesSpec())


@pytest.mark.parametrize("broken", [False, True])
def test_the_model_is_left_as_it_was_even_if_it_fails(broken, build_model, context_of):
    model = build_model()
    model.train()
    model.transformer.h[1].eval()
    model.transformer.h[0].mlp.c_fc.weight.requires_grad_(True)
    context = context_of(model)
    modes = [module.training for module in model.modules()]
    state = torch.random.get_rng_state()
    if broken:

        def fail(*_: object) -> None:
            raise RuntimeError("out of memory")

        handle = model.transformer.h[2].register_forward_hook(fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            look(model, context)
        handle.remove()
    else:
        assert not look(model, context).norms.requires_grad
    assert [module.training for module in model.modules()] == modes
    assert hooks(model) == 0
    assert torch.equal(torch.random.get_rng_state(), state)
    assert context.snapshot.changed(model) == ()
    assert torch.is_grad_enabled()


def test_a_model_in_training_mode_is_measured_without_dropout(build_model, context_of):
    model = build_model(resid_pdrop=0.5, embd_pdrop=0.5, attn_pdrop=0.5)
    quiet = context_of(model).observation
    model.train()
    assert torch.equal(context_of(model).observation.norms, quiet.norms)


def test_a_model_that_returns_no_logits_is_a_model_error(build_model, context_of, monkeypatch):
    model = build_model()
    context = context_of(model)
    monkeypatch.setattr(model, "forward", lambda **_: None)
    with pytest.raises(ModelError, match="returns a NoneType without logits"):
        look(model, context)


def test_nan_in_the_logits_is_counted(build_model, context_of):
    model = build_model()
    context = context_of(model)
    model.transformer.wte.weight[5] = torch.nan  # an embedding, and a row of the tied head
    seen = look(model, context)
    others = int(torch.isnan(seen.nll).sum())
    assert seen.nonfinite_logits >= len(seen.nll)
    assert others == len(seen.nll)


@given(
    seed=st.integers(0, 10_000),
    size=st.sampled_from([1e-6, 1.0, 1e4]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
)
@settings(max_examples=examples(40))
def test_logits_that_nearly_cancel_are_the_same_as_those_that_were_summed_in_another_order(seed, size, dtype):
    generator = torch.Generator().manual_seed(seed)
    hidden, weight = torch.randn(3, 64, generator=generator), torch.randn(50, 64, generator=generator)
    weight[0] -= hidden[0] * (weight[0] @ hidden[0]) / hidden[0].square().sum()  # of this a logit of about 0
    hidden, weight = (hidden * size).to(dtype), weight.to(dtype)
    order = torch.randperm(64, generator=generator)
    one, other = (functional.linear(hidden[:, by], weight[:, by]) for by in (torch.arange(64), order))
    assert same_logits(one, other)
    assert not same_logits(one, other * 1.05)
    other[1, 7] = torch.nan
    assert not same_logits(one, other)
