"""Edit success, paraphrase and neighborhood success are those that the code of ROME's authors computes.

The oracle is their evaluation of CounterFact (experiments/py/eval_utils_counterfact.py in kmeng01/rome), written
anew: each prefix, one space and each target in one padded batch, the negative mean log-probability of the
target's tokens at the places after the prefix, and the two compared.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from stability.data.edits import Edit, load_edits, read_edits
from stability.editors import wrap_editor
from stability.metrics import edit_outcomes
from stability.models import LoadedModel, Tokenizer, load_model
from stability.record import EditOutcome
from stability.run import Experiment
from stability.suite import EditsSpec, ModelSpec, parse_suite

DATA = Path(os.environ.get("STABILITY_DATA", ""))
LLAMA = DATA / "models" / "stories260K" / "hf"
COUNTERFACT = DATA / "counterfact" / "full_100.json"
METRICS = {
    "edit_success": "success",
    "paraphrase_success": "paraphrase_success",
    "neighborhood_success": "neighborhood_success",
}
TARGETS = ("target_new", "target_true")
needs_data = pytest.mark.skipif(
    not (os.environ.get("STABILITY_DATA") and LLAMA.is_dir() and COUNTERFACT.is_file()),
    reason="STABILITY_DATA names no folder with CounterFact and models/stories260K",
)


def batch_prediction(
    model: nn.Module, tokenizer: Tokenizer, prefixes: Sequence[str], new: str, true: str
) -> list[dict[str, float]]:
    """The authors' `test_batch_prediction`; target tokens are cut from the whole text, as Llama needs it."""
    lengths = [len(ids) for ids in tokenizer(list(prefixes))["input_ids"]]
    rows = [tokenizer(f"{prefix} {suffix}")["input_ids"] for prefix in prefixes for suffix in (new, true)]
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits
    results = []
    for number, row in enumerate(rows):
        start = lengths[number // 2]
        losses = [
            -torch.log_softmax(logits[number, place - 1].double(), dim=0)[row[place]].item()
            for place in range(start, len(row))
        ]
        results.append(sum(losses) / len(losses))
    return [dict(zip(TARGETS, results[i : i + 2], strict=True)) for i in range(0, len(results), 2)]


def evaluated(model: nn.Module, tokenizer: Tokenizer, edit: Edit) -> dict[str, float | None]:
    """What the authors' summary makes of one record: efficacy, paraphrase and neighborhood success."""
    kinds = ([edit.filled], edit.paraphrase_prompts, edit.neighborhood_prompts)
    probs = batch_prediction(
        model, tokenizer, [prefix for kind in kinds for prefix in kind], edit.target, str(edit.target_true)
    )
    split = [probs[:1], probs[1 : 1 + len(kinds[1])], probs[1 + len(kinds[1]) :]]
    new_wins = [[one["target_true"] > one["target_new"] for one in part] for part in split]
    true_wins = [one["target_true"] < one["target_new"] for one in split[2]]
    return {
        "success": sum(new_wins[0]),
        "paraphrase_success": sum(new_wins[1]) / len(new_wins[1]) if new_wins[1] else None,
        "neighborhood_success": sum(true_wins) / len(true_wins) if true_wins else None,
    }


def figures(outcome: EditOutcome) -> dict[str, float | None]:
    return {
        "success": outcome.success,
        "paraphrase_success": outcome.paraphrase_success,
        "neighborhood_success": outcome.neighborhood_success,
    }


@pytest.fixture(scope="module", params=["world", pytest.param("llama", marks=needs_data)])
def case(request: pytest.FixtureRequest) -> tuple[LoadedModel, list[Edit]]:
    """A model, and edits that it answers this way and that: unedited models fail the world's own."""
    if request.param == "llama":
        return load_model(ModelSpec(name=str(LLAMA), device="cpu")), read_edits(COUNTERFACT)[:30]
    edits = load_edits(EditsSpec(source="world", count=20), seed=0)
    turned = [replace(edit, target=str(edit.target_true), target_true=edit.target) for edit in edits[10:]]
    return load_model(ModelSpec(name="world", device="cpu")), [*edits[:10], *turned]


def test_outcomes_are_those_of_the_authors_evaluation(case: tuple[LoadedModel, list[Edit]]) -> None:
    loaded, edits = case
    outcomes = edit_outcomes(loaded.model, loaded.tokenizer, edits)
    expected = [evaluated(loaded.model, loaded.tokenizer, edit) for edit in edits]
    assert [figures(outcome) for outcome in outcomes] == expected
    for name in expected[0]:  # every figure comes out both ways
        assert len({one[name] for one in expected}) > 1
    assert {outcome.space for outcome in outcomes} == {True}


def trained(weight: str, seen: list[dict[str, float | None]]) -> Callable[..., None]:
    """An editor that trains one weight on prompt, space and target, then asks as the authors do."""

    def edit(model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> None:
        parameter = model.get_parameter(weight).requires_grad_(True)
        for item in edits:
            ids = tokenizer(f"{item.filled} {item.target}", return_tensors="pt").input_ids
            labels = ids.clone()
            labels[:, : len(tokenizer(item.filled)["input_ids"])] = -100
            with torch.enable_grad():
                for _ in range(4):
                    (gradient,) = torch.autograd.grad(model(ids, labels=labels).loss, parameter)
                    parameter.data -= 0.1 * gradient
        parameter.requires_grad_(False)
        seen.extend(evaluated(model, tokenizer, item) for item in edits)

    return edit


@pytest.mark.parametrize("name", ["world", pytest.param("llama", marks=needs_data)])
def test_a_runs_metrics_are_the_means_of_the_authors_evaluation_after_each_edit(name: str) -> None:
    llama = name == "llama"
    edits = f"path: {COUNTERFACT}" if llama else "source: world"
    suite = parse_suite(
        f"schema: 1\nname: authors\nmodel: {LLAMA if llama else name}\n"
        f"run: {{edits: {{{edits}, count: 6}}, checkpoints: [3]}}\n"
        "text: {source: world, tokens: 200}\nprobes: {tokens: 100}\n"
        "checks:\n  took: {metric: edit_success, assert: '>= 0'}\n"
        "  wide: {metric: paraphrase_success, assert: '>= 0.01'}\n"
        "  near: {metric: neighborhood_success, assert: '>= 0.01'}\n"
    )
    seen: list[dict[str, float | None]] = []
    weight = "model.layers.2.mlp.down_proj.weight" if llama else "transformer.h.2.mlp.c_proj.weight"
    experiment = Experiment(suite, load_model(suite.spec.model))
    run = experiment.run(wrap_editor(trained(weight, seen)), 0)
    assert run.error is None
    assert [figures(outcome) for outcome in run.edits] == seen
    for point in run.checkpoints:
        if point.edits:
            for metric, key in METRICS.items():
                mean = sum(float(one[key] or 0) for one in seen[: point.edits]) / point.edits
                assert point.readings[metric].values[""] == pytest.approx(mean)
