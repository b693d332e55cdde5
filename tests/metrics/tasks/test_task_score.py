from __future__ import annotations

import copy
import logging
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lm_eval import evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from torch import nn
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from stability.errors import MeasurementError
from stability.metrics import Context, Metric, find_metric
from stability.models import (
    LoadedModel,
    Snapshot,
    map_model,
    model_fingerprint,
    tokenizer_fingerprint,
)
from stability.record import Reading
from stability.suite import SuiteSpec
from stability.world import TASKS

CHOICES = ("world_choice_home", "world_choice_work", "world_choice_music")
SINGLE = ("world_sentiment", "world_acceptability", "world_pair")
LIMIT = 40


def context_of(model: nn.Module, tokenizer: Any, *names: str, **tasks: Any) -> Context:
    check = {"metric": "task_score", "for_each": {"task": list(names)}, "assert": ">= 0"}
    suite = SuiteSpec.model_validate(
        {"schema": 1, "name": "test", "tasks": {"limit": LIMIT, **tasks}, "checks": {"tasks": check}}
    )
    return Context(model, tokenizer, map_model(model), Snapshot(model), suite, text=None)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def no_local_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STABILITY_DATA", raising=False)


def fitted(context: Context) -> Metric:
    metric = find_metric("task_score")()
    metric.fit(context)
    return metric


def reading(model: nn.Module, tokenizer: Any, *names: str, **tasks: Any) -> Reading:
    context = context_of(model, tokenizer, *names, **tasks)
    return fitted(context).measure(context)


def lm_evals_own(
    model: nn.Module, tokenizer: Any, *names: str, limit: int | None = LIMIT, folder: Path = TASKS
) -> dict[str, Any]:
    """lm-eval's own evaluation of a copy of the model."""
    tasks = TaskManager(include_path=str(folder), include_defaults=False).load(list(names))
    lm = HFLM(pretrained=copy.deepcopy(model), tokenizer=copy.deepcopy(tokenizer), batch_size=16)
    results: dict[str, Any] = evaluate(lm, tasks, limit=limit, bootstrap_iters=0)
    return results


def tiny(**changes: Any) -> nn.Module:
    """A random model for the built-in tokenizer."""
    config = CONFIG_MAPPING["gpt2"](
        vocab_size=799,
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=128,
        bos_token_id=1,
        eos_token_id=1,
        **changes,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
        for parameter in model.parameters():
            parameter.data.normal_(std=0.3)
    return model.eval().requires_grad_(False)


@pytest.mark.parametrize("which", ["built-in", "random"])
def test_every_document_is_answered_as_in_lm_evals_own_evaluation(world: LoadedModel, which: str):
    model = world.model if which == "built-in" else tiny()
    ours = reading(model, world.tokenizer, "world_choice", *SINGLE)
    theirs = lm_evals_own(model, world.tokenizer, "world_choice", *SINGLE)
    for name in (*CHOICES, *SINGLE):
        samples = theirs["samples"][name]
        task = ours.tasks[name]
        assert task.doc_ids == tuple(sample["doc_id"] for sample in samples)
        assert task.gold == tuple(sample["target"] for sample in samples)
        assert task.predicted == tuple(
            int(np.argmax([answer[0][0] for answer in sample["resps"]])) for sample in samples
        )
        assert ours.values[name] == theirs["results"][name]["acc,none"]
    assert ours.values["world_choice"] == theirs["results"]["world_choice"]["acc,none"]


def test_a_reading_has_the_group_its_members_and_what_stands_behind_them(world: LoadedModel):
    ours = reading(tiny(), world.tokenizer, "world_choice", "world_pair", limit=None)
    assert set(ours.values) == set(ours.tasks) == {"world_choice", *CHOICES, "world_pair"}
    assert (ours.over, ours.left_out) == ("task", {})
    group, pair = ours.tasks["world_choice"], ours.tasks["world_pair"]
    assert (group.metric, group.n, set(group.members), group.gold) == ("acc", 480, set(CHOICES), ())
    assert (pair.metric, pair.n, pair.truncated, pair.values) == ("acc", 400, 0, ())
    assert len(pair.gold) == len(pair.predicted) == len(pair.doc_ids) == 400
    majority = max(pair.gold.count(0), pair.gold.count(1)) / 400
    assert pair.chance == majority
    members = [ours.tasks[name] for name in CHOICES]
    pool = [choice for one in members for choice in one.gold]
    assert group.chance == pytest.approx(max(map(pool.count, set(pool))) / 480)
    weighted = sum(one.n * ours.values[name] for one, name in zip(members, CHOICES, strict=True)) / 480
    assert ours.values["world_choice"] == pytest.approx(weighted, abs=1e-12)


def test_a_task_may_be_asked_for_by_another_of_its_metrics(world: LoadedModel, tmp_path: Path):
    task = {"include": str(TASKS / "world_acceptability.yaml"), "task": "graded"}
    metrics = [{"metric": "acc", "aggregation": "mean"}, {"metric": "mcc"}]
    (tmp_path / "graded.yaml").write_text(yaml.safe_dump(task | {"metric_list": metrics}), encoding="utf-8")
    own = {"include_path": str(tmp_path)}
    ours = reading(world.model, world.tokenizer, "graded", "graded@mcc", **own)
    theirs = lm_evals_own(world.model, world.tokenizer, "graded", folder=tmp_path)["results"]["graded"]
    assert ours.values == {"graded": theirs["acc,none"], "graded@mcc": theirs["mcc,none"]}
    by_mcc = ours.tasks["graded@mcc"]
    assert (by_mcc.metric, by_mcc.chance) == ("mcc", 0)
    assert by_mcc.predicted == ours.tasks["graded"].predicted
    with pytest.raises(MeasurementError, match="no metric 'f2'; it has acc, mcc"):
        reading(world.model, world.tokenizer, "graded@f2", **own)


def test_a_model_edited_in_place_and_one_put_in_its_place_are_both_measured_as_they_are(world: LoadedModel):
    model = tiny()
    context = context_of(model, world.tokenizer, "world_sentiment")
    metric = fitted(context)
    before = metric.measure(context)
    assert metric.measure(context) == before
    edited = copy.deepcopy(model)
    edited.transformer.h[1].mlp.c_proj.weight.data.mul_(-3)
    other = metric.measure(context_of(edited, world.tokenizer, "world_sentiment"))
    assert other.tasks["world_sentiment"].predicted != before.tasks["world_sentiment"].predicted
    assert metric.measure(context) == before
    model.load_state_dict(edited.state_dict())
    assert metric.measure(context) == other


def test_tasks_are_measured_only_where_a_check_names_them(world: LoadedModel):
    other = {"schema": 1, "name": "none", "checks": {"any": {"metric": "nonfinite", "assert": "== 0"}}}
    context = replace(context_of(tiny(), None, "world_pair"), suite=SuiteSpec.model_validate(other))
    assert not find_metric("task_score")().wanted(context.suite)
    with pytest.raises(MeasurementError, match="no check names a task"):
        find_metric("task_score")().fit(context)


def test_an_unknown_task_is_an_error_that_names_what_is_near(
    world: LoadedModel, monkeypatch: pytest.MonkeyPatch
):
    # lm-eval's index of all its tasks takes ten seconds to read, and is read only for names not found before.
    read: list[Any] = []
    original = TaskManager.__init__

    def without_defaults(self: Any, *, include_path: Any, include_defaults: bool = True) -> None:
        read.append(include_defaults)
        original(self, include_path=include_path, include_defaults=False)

    monkeypatch.setattr(TaskManager, "__init__", without_defaults)
    with pytest.raises(
        MeasurementError, match="no task, group or tag 'world_pairs'; did you mean world_pair"
    ):
        reading(tiny(), world.tokenizer, "world_pairs")
    assert read == [False, True]


def test_measuring_leaves_model_tokenizer_and_random_numbers_alone(world: LoadedModel):
    model = tiny(tie_word_embeddings=True)
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.detach() * 1.5)  # an editor has untied it
    model.config.tie_word_embeddings = True
    tokenizer = copy.deepcopy(world.tokenizer)
    tokenizer.pad_token = None  # lm-eval sets one
    before = (
        model_fingerprint(model),
        tokenizer_fingerprint(tokenizer),
        tokenizer.pad_token,
        tokenizer.padding_side,
        random.getstate(),
        str(np.random.get_state()),
        torch.get_rng_state().tolist(),
    )
    context = context_of(model, tokenizer, "world_sentiment")
    metric = fitted(context)
    metric.measure(context)
    after = (
        model_fingerprint(model),
        tokenizer_fingerprint(tokenizer),
        tokenizer.pad_token,
        tokenizer.padding_side,
        random.getstate(),
        str(np.random.get_state()),
        torch.get_rng_state().tolist(),
    )
    assert after == before
    assert model.lm_head.weight is not model.transformer.wte.weight
    assert not any(parameter.requires_grad for parameter in model.transformer.parameters())


def test_untied_embeddings_are_scored_as_they_are(world: LoadedModel):
    model = tiny()
    tied = reading(model, world.tokenizer, "world_sentiment").tasks["world_sentiment"].predicted
    model.lm_head.weight = nn.Parameter(-model.lm_head.weight.detach())
    untied = reading(model, world.tokenizer, "world_sentiment").tasks["world_sentiment"].predicted
    assert untied == tuple(1 - choice for choice in tied)


def test_a_model_left_in_training_mode_is_scored_without_dropout_and_left_in_it(world: LoadedModel):
    model = tiny(resid_pdrop=0.9, embd_pdrop=0.9)
    context = context_of(model, world.tokenizer, "world_sentiment")
    metric = fitted(context)
    evaluated = metric.measure(context)
    model.train()
    assert metric.measure(context) == evaluated
    assert all(module.training for module in model.modules())


def test_a_model_of_nans_is_an_error_and_not_at_chance(world: LoadedModel):
    model = tiny()
    context = context_of(model, world.tokenizer, "world_sentiment")
    metric = fitted(context)
    for parameter in model.parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(MeasurementError, match="NaN or infinite"):
        metric.measure(context)


def test_measuring_without_a_fit_is_an_error(world: LoadedModel):
    with pytest.raises(MeasurementError, match="not fitted"):
        find_metric("task_score")().measure(context_of(tiny(), world.tokenizer, "world_pair"))


def test_documents_longer_than_the_model_are_cut_as_lm_eval_cuts_them_and_counted(world: LoadedModel):
    model = tiny()
    model.config.n_positions = model.config.max_position_embeddings = 12
    ours = reading(model, world.tokenizer, "world_pair")
    theirs = lm_evals_own(model, world.tokenizer, "world_pair")
    lengths = [
        len(world.tokenizer(sample["arguments"][0][0])["input_ids"]) + 1
        for sample in theirs["samples"]["world_pair"]
    ]
    task = ours.tasks["world_pair"]
    assert task.truncated == sum(length > 13 for length in lengths) > 0
    assert task.predicted == tuple(
        int(np.argmax([answer[0][0] for answer in sample["resps"]]))
        for sample in theirs["samples"]["world_pair"]
    )


def test_neither_lm_eval_nor_datasets_writes_to_the_terminal(
    world: LoadedModel, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    level = logging.getLogger("lm_eval").level
    context = context_of(tiny(), world.tokenizer, "world_choice", "world_acceptability")
    fitted(context).measure(context)
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if not record.name.startswith("stability")]
    assert logging.getLogger("lm_eval").level == level
