"""Tasks that were kept are answered and scored as lm-eval scores them, without lm-eval."""

from __future__ import annotations

import copy
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from stability.metrics import Fitted
from stability.metrics.tasks.steps.battery import Battery
from stability.metrics.tasks.steps.building import build_battery
from stability.metrics.tasks.steps.keeping import digest, keep, kept
from stability.metrics.tasks.steps.kept import KeptSheet
from stability.metrics.tasks.steps.outcome import mark
from stability.metrics.tasks.task_score import TaskScore
from stability.models import LoadedModel, map_model
from stability.suite import TasksSpec

MEAN = {"aggregation": "mean", "higher_is_better": True}
PLAIN = {
    "output_type": "multiple_choice",
    "doc_to_choice": "choices",
    "doc_to_target": "label",
    "doc_to_text": "question",
    "dataset_path": "json",
    "test_split": "test",
}
FLAGS = {**PLAIN, "doc_to_choice": ["no", "yes"], "doc_to_target": "flag"}
KEPT: dict[str, dict[str, Any]] = {
    "choices": PLAIN,
    "normalised": {**PLAIN, "metric_list": [{"metric": "acc_norm", **MEAN}, {"metric": "acc", **MEAN}]},
    "bytes": {**PLAIN, "metric_list": [{"metric": "acc_bytes", **MEAN}]},
    "pairs": {**FLAGS, "metric_list": [{"metric": "f1"}, {"metric": "mcc"}, {"metric": "acc"}]},
    "flags": FLAGS,
}
OTHERS: dict[str, dict[str, Any]] = {
    "exact": {**PLAIN, "metric_list": [{"metric": "exact_match", **MEAN}]},
    "best": {**PLAIN, "metric_list": [{"metric": "acc", "aggregation": "median", "higher_is_better": True}]},
    "filtered": {
        **PLAIN,
        "filter_list": [{"name": "first", "filter": [{"function": "take_first"}]}],
    },
    "filled": {**PLAIN, "doc_to_text": "label", "doc_to_target": "{{choices[0]}}"},
    "written": {
        "output_type": "generate_until",
        "doc_to_text": "question",
        "doc_to_target": "{{choices[0]}}",
        "dataset_path": "json",
        "test_split": "test",
        "generation_kwargs": {"until": ["."], "max_gen_toks": 2, "do_sample": False},
        "metric_list": [{"metric": "exact_match", **MEAN}],
    },
}
GROUPS = {
    "sized": {
        "task": ["choices", "flags"],
        "aggregate_metric_list": [{"metric": "acc", **{"aggregation": "mean"}}],
    },
    "even": {
        "task": ["choices", "sized", "normalised"],
        "aggregate_metric_list": [{"metric": "acc", "aggregation": "mean", "weight_by_size": False}],
    },
    "bare": {"task": ["bytes", "pairs"]},
}
NAMES = (*KEPT, *GROUPS, "pairs@mcc", "pairs@acc", "choices@acc_norm", "some")


@pytest.fixture(autouse=True)
def no_other_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STABILITY_DATA", raising=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tasks, groups and a tag, with local documents: of each task another number of them."""
    folder, rng = tmp_path_factory.mktemp("tasks"), random.Random(0)
    names = ["Ann", "Zoë Berg", "the quick brown fox", "Rome", "a"]
    for number, (name, task) in enumerate({**KEPT, **OTHERS}.items()):
        (folder / name).mkdir()
        documents = [
            {
                "question": f"{rng.choice(names)} likes {rng.choice(names)}",
                "choices": [f"{rng.choice(names)} {choice}" for choice in range(3)],
                "label": rng.randrange(3),
                "flag": rng.randrange(2),
            }
            for _ in range(8 + number)
        ]
        lines = "\n".join(json.dumps(document) for document in documents)
        (folder / name / "test.jsonl").write_text(lines, encoding="utf-8")
        tags = {"tag": "some"} if name in ("bytes", "flags") else {}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"task": name, **task, **tags}), encoding="utf-8")
    for name, group in GROUPS.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"group": name, **group}), encoding="utf-8")
    return folder


Build = Callable[..., Battery]


@pytest.fixture(scope="module")
def build(world: LoadedModel, folder: Path) -> Build:
    def make(*names: str, **spec: Any) -> Battery:
        wanted = TasksSpec(include_path=str(folder), data=str(folder), batch_size=5, **spec)
        model: nn.Module = world.model
        battery = build_battery(wanted, names, model, map_model(model).head, world.tokenizer)
        score(battery, world.model)
        return battery

    return make


@pytest.fixture(scope="module")
def both(build: Build) -> tuple[Battery, Battery]:
    """All that can be kept, as lm-eval has built it, and as it is read back."""
    battery = build(*NAMES)
    again = kept(read_back(keep(battery)))
    assert again is not None
    return battery, again


def read_back(fitted: Fitted) -> Fitted:
    """What was fitted, as it comes from a file."""
    return Fitted(json.loads(json.dumps(dict(fitted.values))), fitted.tensors)


def score(battery: Battery, model: nn.Module) -> Any:
    return battery.score(model, map_model(model).head)


def test_a_model_is_scored_as_by_lm_eval(both: tuple[Battery, Battery], world: LoadedModel) -> None:
    edited = copy.deepcopy(world.model)
    edited.transformer.h[2].mlp.c_proj.weight.data.mul_(3)  # type: ignore[union-attr, operator, index]
    for model in (world.model, edited):
        expected, found = (score(battery, model) for battery in both)
        assert found == expected
        assert list(found) == list(expected)


def test_any_answers_are_scored_as_by_lm_eval(both: tuple[Battery, Battery]) -> None:
    rng = random.Random(1)
    for _ in range(40):
        equal = rng.random() < 0.2  # all answers alike: no F1, no MCC, and ties
        for name, exam in both[0].exams.items():
            for question, other in zip(exam.questions, both[1].exams[name].questions, strict=True):
                for one, again in zip(question.instances, other.instances, strict=True):
                    answer = (
                        -1.0 if equal else round(rng.gauss(-20, 9), rng.choice([0, 9])),
                        rng.random() < 0.5,
                    )
                    one.resps, again.resps = [answer], [answer]
        expected, found = ({name: mark(exam) for name, exam in one.exams.items()} for one in both)
        for name in KEPT:
            assert found[name].scores == expected[name].scores
            assert list(found[name].scores) == list(expected[name].scores)
            for key, values in expected[name].by_document.items():
                assert list(found[name].by_document[key]) == list(values)


def test_the_plan_is_the_same_to_the_bit(both: tuple[Battery, Battery]) -> None:
    plan, again = (battery.sheet.plan for battery in both)
    assert (plan.n, plan.requests, plan.shared) == (again.n, again.requests, again.shared)
    assert torch.equal(plan.lengths, again.lengths)
    assert len(plan.batches) == len(again.batches) > 1
    for batch, other in zip(plan.batches, again.batches, strict=True):
        assert vars(batch).keys() == vars(other).keys()
        for name, value in vars(batch).items():
            read = getattr(other, name)
            assert (value is None and read is None) or (
                value.dtype == read.dtype and torch.equal(value, read)
            )


def test_documents_that_are_cut_clusters_and_a_limit_are_kept(world: LoadedModel, folder: Path) -> None:
    model: nn.Module = world.model
    wanted = TasksSpec(include_path=str(folder), data=str(folder), limit=6, num_fewshot=0)
    battery = build_battery(
        wanted, ("choices",), model, map_model(model).head, world.tokenizer, {"choices": ("question",)}
    )
    expected = score(battery, model)
    again = kept(read_back(keep(battery)))
    assert again is not None
    assert score(again, model) == expected
    assert expected["choices"].result.clusters["question"]
    assert isinstance(again.sheet, KeptSheet)


@pytest.mark.parametrize("name", OTHERS)
def test_of_what_lm_eval_scores_by_other_rules_a_digest_is_kept(
    build: Build, folder: Path, name: str
) -> None:
    battery = build(name, "choices")
    fitted = read_back(keep(battery))
    assert kept(fitted) is None
    assert fitted.values == {"digest": digest(build(name, "choices"))}
    file = folder / name / "test.jsonl"
    lines = file.read_text(encoding="utf-8")
    try:
        file.write_text(lines.replace("likes", "hates", 1), encoding="utf-8")
        assert digest(build(name, "choices")) != fitted.values["digest"]
    finally:
        file.write_text(lines, encoding="utf-8")


def test_documents_that_are_not_at_hand_are_not_kept(build: Build, folder: Path) -> None:
    task = {**PLAIN, "dataset_kwargs": {"data_files": {"test": str(folder / "choices" / "test.jsonl")}}}
    (folder / "elsewhere.yaml").write_text(yaml.safe_dump({"task": "elsewhere", **task}), encoding="utf-8")
    assert kept(read_back(keep(build("elsewhere")))) is None


def test_tasks_that_may_bring_code_are_not_kept(build: Build, context_of: Any, world: LoadedModel) -> None:
    metric = TaskScore()
    metric._battery = build("choices")
    assert metric.fitted() is not None
    metric._runs_code = True
    assert metric.fitted() is None


def test_kept_tasks_are_scored_in_a_process_that_has_not_loaded_lm_eval() -> None:
    code = (
        "import sys\n"
        "import stability.metrics.tasks.steps.keeping, stability.metrics.tasks.steps.outcome\n"
        "print({'lm_eval', 'datasets', 'sklearn', 'pandas'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
