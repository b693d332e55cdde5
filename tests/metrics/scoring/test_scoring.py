from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.overrides import TorchFunctionMode
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from stability.errors import DataError, MeasurementError, ModelError
from stability.metrics.scoring import (
    Request,
    best_plan,
    make_plan,
    score,
    score_targets,
)
from stability.models import LoadedModel, map_model, model_fingerprint
from stability.models.modes import evaluating
from tests.examples import examples

LENGTH = 24
VOCABULARY = 40
_LLAMA = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": LENGTH,
}
_GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": LENGTH}
_EXPERTS = {
    **_LLAMA,
    "num_experts": 3,
    "num_local_experts": 3,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 24,
}
CONFIGS = {
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "falcon": {key: value for key, value in _LLAMA.items() if "key_value" not in key and "inter" not in key},
    "gemma": {**_LLAMA, "head_dim": 8},
    "gemma2": {**_LLAMA, "head_dim": 8, "query_pre_attn_scalar": 8, "final_logit_softcapping": 3.0},
    "gemma3_text": {**_LLAMA, "head_dim": 8, "query_pre_attn_scalar": 8},
    "mixtral": _EXPERTS,
    "opt": {**_LLAMA, "word_embed_proj_dim": 32, "ffn_dim": 48},
    "phi3": _LLAMA,
    "qwen2_moe": _EXPERTS,
    "qwen3_moe": {**_EXPERTS, "head_dim": 8},
    "gpt2": _GPT,
    "gptj": {**_GPT, "rotary_dim": 4, "tie_word_embeddings": False},
    "gpt_neox": {key: value for key, value in _LLAMA.items() if key != "num_key_value_heads"},
    "llama": _LLAMA,
    "mistral": {**_LLAMA, "sliding_window": None},
    "qwen2": _LLAMA,
    "qwen3": {**_LLAMA, "head_dim": 8},
}


def build(architecture: str, **changes: object) -> nn.Module:
    ends = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
    config = CONFIG_MAPPING[architecture](**{**CONFIGS[architecture], **ends, **changes})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
        for parameter in model.parameters():  # initial weights are so small that every token is as likely
            parameter.data.normal_(std=0.3)
    return model.eval().requires_grad_(False)


def head(model: nn.Module) -> nn.Module:
    return map_model(model).head


def reference(model: nn.Module, requests: Sequence[Request]) -> tuple[list[float], list[bool]]:
    """One request at a time through the whole model; the softmax in numpy float64."""
    totals, greedy = [], []
    for request in requests:
        whole = (request.context + request.continuation)[-(LENGTH + 1) :]
        with torch.no_grad():
            logits = model(torch.tensor([whole[:-1]])).logits[0].double().numpy()
        n = len(request.continuation)
        rows = logits[-n:]
        norms = np.log(np.exp(rows - rows.max(1, keepdims=True)).sum(1)) + rows.max(1)
        totals.append(float(sum(rows[i, t] - norms[i] for i, t in enumerate(request.continuation))))
        greedy.append(all(rows[i].argmax() == t for i, t in enumerate(request.continuation)))
    return totals, greedy


def sample_requests(seed: int = 0) -> list[Request]:
    """Contexts with several continuations of one to six tokens, some of which begin others; one is too long."""
    rng = np.random.default_rng(seed)

    def ids(n: int) -> tuple[int, ...]:
        return tuple(int(i) for i in rng.integers(0, VOCABULARY, n))

    requests = []
    for length in (1, 5, 9, 9, 14):
        context, whole = ids(length), ids(6)
        requests += [Request(context, whole[:cut]) for cut in (1, 3, 6)]
        requests += [Request(context, ids(n)) for n in (1, 1, 4)]
    requests += [requests[0], Request(ids(40), ids(5)), Request(ids(40), ids(1))]
    return requests


@pytest.fixture(scope="module")
def gpt2() -> nn.Module:
    return build("gpt2")


@pytest.mark.parametrize("share", [True, False], ids=["shared", "apart"])
@pytest.mark.parametrize("architecture", sorted(CONFIGS))
def test_log_probabilities_are_those_of_a_softmax_over_one_request_at_a_time(architecture: str, share: bool):
    model = build(architecture)
    requests = sample_requests()
    plan = make_plan(requests, LENGTH, 4, share=share)
    if share and architecture == "bloom":  # works out its positions from a mask of two dimensions
        plan = best_plan(requests, model, head(model), LENGTH, 4)
        assert all(batch.segment is None for batch in plan.batches)
    scores = score(plan, model, head(model))
    log_probs, greedy = reference(model, requests)
    assert scores.log_probs.tolist() == pytest.approx(log_probs, abs=2e-5)
    assert scores.greedy.tolist() == greedy


def test_a_continuation_that_is_the_models_own_is_greedy_and_another_is_not(gpt2: nn.Module):
    context = (1, 2, 3)
    best = int(gpt2(torch.tensor([context])).logits[0, -1].argmax())
    then = int(gpt2(torch.tensor([(*context, best)])).logits[0, -1].argmax())
    requests = [Request(context, (best, then)), Request(context, (best, (then + 1) % VOCABULARY))]
    assert score(make_plan(requests, LENGTH, 4, share=True), gpt2, head(gpt2)).greedy.tolist() == [
        True,
        False,
    ]


ids = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=6).map(tuple)
batches = st.lists(st.builds(Request, ids, ids), min_size=1, max_size=12)


@settings(max_examples=examples(25))
@given(requests=batches, batch_size=st.integers(1, 5), random=st.randoms())
def test_scores_depend_neither_on_order_nor_on_batches_nor_on_sharing(
    gpt2: nn.Module, requests: list[Request], batch_size: int, random: Random
):
    shuffled = random.sample(range(len(requests)), len(requests))
    together = score(make_plan(requests, LENGTH, 64, share=False), gpt2, head(gpt2))
    other = score(
        make_plan([requests[i] for i in shuffled], LENGTH, batch_size, share=True), gpt2, head(gpt2)
    )
    torch.testing.assert_close(other.log_probs, together.log_probs[shuffled], atol=2e-5, rtol=0)


def test_a_shared_context_is_run_once():
    context = tuple(range(20))
    choices = [Request(context, (i, i + 1, i + 2)) for i in range(2)]
    assert make_plan(choices, LENGTH, 8, share=True).tokens == 20 + 2 * 2
    assert make_plan(choices, LENGTH, 8, share=False).tokens == 2 * 22


def test_documents_share_the_examples_that_stand_before_them(gpt2: nn.Module):
    examples = tuple(range(12))
    requests = [Request((*examples, i, i + 1), (i, j)) for i in range(3) for j in (5, 6)]
    requests.append(Request((30, 31, 32), (1,)))  # has none of it
    plan = make_plan(requests, LENGTH, 1, share=True)
    assert plan.tokens == 12 + 3 * 3 + 3
    log_probs = score(plan, gpt2, head(gpt2)).log_probs.tolist()
    assert log_probs == pytest.approx(reference(gpt2, requests)[0], abs=2e-5)


def test_documents_that_do_not_fit_into_one_row_share_several(gpt2: nn.Module):
    examples = tuple(range(12))
    requests = [Request((*examples, 13 + i, i, i + 1, i + 2, i + 3), (1,)) for i in range(7)]
    plan = make_plan(requests, LENGTH, 8, share=True)
    (batch,) = (one for one in plan.batches if one.segment is not None)
    assert batch.input_ids.shape == (3, 12 + 2 * 5)
    log_probs = score(plan, gpt2, head(gpt2)).log_probs.tolist()
    assert log_probs == pytest.approx(reference(gpt2, requests)[0], abs=2e-5)


def test_documents_that_have_little_in_common_stay_apart():
    requests = [Request((1, 2, *[10 * i + j for j in range(3)]), (1,)) for i in range(1, 4)]
    plan = make_plan(requests, LENGTH, 8, share=True)
    assert [batch.input_ids.shape for batch in plan.batches] == [(3, 5)]


def test_single_tokens_after_one_context_cost_one_row_even_apart():
    letters = [Request((1, 2, 3, 4), (i,)) for i in range(4)]
    for share in (True, False):
        assert make_plan(letters, LENGTH, 8, share=share).tokens == 4


def test_choices_that_part_at_their_last_token_are_one_row_even_if_it_fills_the_model():
    context = tuple(i % VOCABULARY for i in range(LENGTH - 1))
    letters = [Request(context, (1, i)) for i in range(4)]  # a token for the space, then the letter
    assert make_plan(letters, LENGTH, 8, share=True).tokens == LENGTH


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_of_tokens_that_are_exactly_as_likely_the_first_is_the_greedy_one(dtype: torch.dtype):
    model = build("gpt2").to(dtype)
    weight = head(model).weight
    best = int(model(torch.tensor([[3, 4]])).logits[0, -1].argmax())
    later = best + 1 if best + 1 < VOCABULARY else best - 1
    weight.data[later] = weight.data[best]
    first, last = sorted((best, later))
    requests = [Request((3, 4), (token,)) for token in (first, last)]
    scores = score(make_plan(requests, LENGTH, 8, share=True), model, head(model))
    assert scores.log_probs[0] == scores.log_probs[1]
    assert scores.greedy.tolist() == [True, False]


def test_branches_that_do_not_fit_into_the_model_go_into_further_rows(gpt2: nn.Module):
    context = tuple(range(10))
    requests = [Request(context, tuple((7 * i + j) % VOCABULARY for j in range(9))) for i in range(4)]
    plan = make_plan(requests, LENGTH, 8, share=True)
    assert max(batch.input_ids.shape[1] for batch in plan.batches) <= LENGTH
    assert score(plan, gpt2, head(gpt2)).log_probs.tolist() == pytest.approx(
        reference(gpt2, requests)[0], abs=2e-5
    )


def test_only_the_places_that_are_asked_for_reach_the_head(gpt2: nn.Module):
    seen: list[int] = []

    class Watching(TorchFunctionMode):
        """Sees the head's products; a hook on it would have the whole forward pass taken."""

        def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            if func is torch.nn.functional.linear and args[1] is head(gpt2).weight:
                seen.append(args[0][..., 0].numel())
            return func(*args, **(kwargs or {}))

    plan = make_plan([Request(tuple(range(20)), (1, 2))], LENGTH, 8, share=True)
    with Watching():
        score(plan, gpt2, head(gpt2))
    assert seen == [2]
    seen.clear()
    handle = head(gpt2).register_forward_hook(lambda *_: None)
    with Watching():
        score(plan, gpt2, head(gpt2))
    handle.remove()
    assert seen == [21]


def test_a_sliding_window_is_not_seen_through_when_contexts_are_shared():
    model = build("mistral", sliding_window=4)
    requests = sample_requests()
    plan = best_plan(requests, model, head(model), LENGTH, 4)
    assert all(batch.segment is None for batch in plan.batches)
    assert score(plan, model, head(model)).log_probs.tolist() == pytest.approx(
        reference(model, requests)[0], abs=2e-5
    )


def test_contexts_are_shared_where_the_model_can(gpt2: nn.Module):
    plan = best_plan(sample_requests(), gpt2, head(gpt2), LENGTH, 4)
    assert any(batch.segment is not None for batch in plan.batches)


def test_requests_that_are_cut_are_counted():
    requests = [Request((1,) * 23, (1, 1)), Request((1,) * 24, (1, 1)), Request((1,), (1,))]
    assert make_plan(requests, LENGTH, 8, share=True).truncated == {1}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request((), (1,)), "at least one token"),
        (Request((1,), ()), "at least one token"),
        (Request((1,), (1,) * 25), "25 tokens cannot be scored by a model that takes 24"),
    ],
)
def test_what_cannot_be_scored_is_an_error(request_: Request, message: str):
    with pytest.raises(DataError, match=message):
        make_plan([request_], LENGTH, 8, share=True)


def test_scoring_leaves_the_model_as_it_was(gpt2: nn.Module):
    gpt2.train()
    gpt2.transformer.h[0].eval()
    before = model_fingerprint(gpt2), [module.training for module in gpt2.modules()], torch.get_rng_state()
    log_probs = score(make_plan(sample_requests(), LENGTH, 4, share=True), gpt2, head(gpt2)).log_probs
    assert (model_fingerprint(gpt2), [module.training for module in gpt2.modules()]) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert not head(gpt2)._forward_pre_hooks
    gpt2.eval()
    # Dropout was off although the model was in training mode.
    assert log_probs.tolist() == pytest.approx(reference(gpt2, sample_requests())[0], abs=2e-5)


def test_modes_are_put_back_after_an_error(gpt2: nn.Module):
    def measure() -> None:
        with evaluating(gpt2):
            assert not any(module.training for module in gpt2.modules())
            raise RuntimeError("on purpose")

    gpt2.train()
    with pytest.raises(RuntimeError, match="on purpose"):
        measure()
    assert all(module.training for module in gpt2.modules())
    gpt2.eval()


def test_a_model_of_nans_has_no_score():
    model = build("gpt2")
    model.transformer.h[1].mlp.c_proj.weight[0, 0] = float("nan")
    plan = make_plan(sample_requests(), LENGTH, 4, share=True)
    with pytest.raises(MeasurementError, match="NaN or infinite"):
        score(plan, model, head(model))
    assert not head(model)._forward_pre_hooks


def test_a_model_that_does_not_call_its_head_is_refused(gpt2: nn.Module):
    with pytest.raises(ModelError, match="output embedding"):
        score(make_plan(sample_requests(), LENGTH, 4, share=True), gpt2, nn.Linear(32, VOCABULARY))


def test_half_precision_is_scored_as_coarsely_as_lm_eval_scores_it():
    model = build("gpt2").bfloat16()
    requests = [Request((3, 1, 4), (first, 5, 9)) for first in range(12)]
    scores = score(make_plan(requests, LENGTH, 1, share=False), model, head(model))
    for request, total in zip(requests, scores.log_probs.tolist(), strict=True):
        with torch.no_grad():
            whole = torch.tensor([[*request.context, *request.continuation[:-1]]])
            rows = model(whole).logits[0, -3:].log_softmax(-1)
        expected = float(rows.gather(1, torch.tensor(request.continuation)[:, None]).sum())
        assert total == pytest.approx(expected, rel=2**-7)
        assert total == float(torch.tensor(total).bfloat16())


def test_a_prompt_is_not_cut_where_the_model_does_not_say_how_long_one_may_be(world: LoadedModel):
    def answers(model: nn.Module, prompt: str) -> float:
        return score_targets(model, world.tokenizer, [(prompt, "Hanoi")]).mean_log_prob.item()

    model = build("bloom", vocab_size=len(world.tokenizer)).double()  # far tokens count for little
    same_end = " She lives in" * 350  # more than 1,024 tokens
    assert answers(model, f"Ida{same_end}") != answers(model, f"Hanoi{same_end}")


def test_targets_are_scored_by_their_mean_token_log_probability(world: LoadedModel):
    tokenizer, model = world.tokenizer, world.model
    pairs = [("The house of", "Ida"), ("The house of", "Ida Danstone in the"), ("She lives in", "Hanoi")]
    scores = score_targets(model, tokenizer, pairs)
    for (prompt, target), mean, accurate in zip(
        pairs, scores.mean_log_prob.tolist(), scores.accurate.tolist(), strict=True
    ):
        start = len(tokenizer(prompt)["input_ids"])
        whole = tokenizer(f"{prompt} {target}")["input_ids"]
        with torch.no_grad():
            rows = model(torch.tensor([whole])).logits[0, start - 1 : -1].double().log_softmax(-1)
        picked = rows[range(len(whole) - start), whole[start:]]
        assert mean == pytest.approx(float(picked.mean()), abs=1e-5)
        assert accurate == bool((rows.argmax(-1) == torch.tensor(whole[start:])).all())
