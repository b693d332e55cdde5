"""A user's own tasks, of every kind that lm-eval knows, against lm-eval's own evaluation of them."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
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

from stability.errors import DataError, MeasurementError
from stability.metrics.tasks.steps.battery import Battery
from stability.metrics.tasks.steps.building import build_battery
from stability.metrics.tasks.steps.outcome import Outcome
from stability.models import LoadedModel, map_model
from stability.suite import TasksSpec
from stability.world import build_world

CHOICE = {"output_type": "multiple_choice", "doc_to_choice": "choices", "doc_to_target": "label"}
PLAIN = {**CHOICE, "doc_to_text": "question"}
SHARED = {"aggregation": "mean", "higher_is_better": True}
TEXT = {"doc_to_text": "", "doc_to_target": "question"}
KINDS: dict[str, dict[str, Any]] = {
    "choices": PLAIN,
    "normalised": {**PLAIN, "metric_list": [{"metric": "acc_norm", **SHARED}, {"metric": "acc", **SHARED}]},
    "bytes": {**PLAIN, "metric_list": [{"metric": "acc_bytes", **SHARED}]},
    "templated": {
        **CHOICE,
        "doc_to_text": "{{question}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nAnswer:",
        "doc_to_choice": ["A", "B", "C"],
    },
    "f1": {
        **PLAIN,
        "doc_to_choice": ["no", "yes"],
        "doc_to_target": "flag",
        "metric_list": [{"metric": "f1"}, {"metric": "mcc"}, {"metric": "acc"}],
    },
    "mutual": {
        **PLAIN,
        "metric_list": [{"metric": "acc_mutual_info", **SHARED}, {"metric": "acc", **SHARED}],
    },
    "exact": {**PLAIN, "metric_list": [{"metric": "exact_match", **SHARED}]},
    "filled": {
        **CHOICE,
        "doc_to_text": "label",
        "doc_to_target": "{{choices[0]}}",
        "doc_to_choice": "choices",
    },
    "last_word": {
        "output_type": "loglikelihood",
        "doc_to_text": "question",
        "doc_to_target": " {{choices[0]}}",
        "metric_list": [{"metric": "perplexity"}, {"metric": "acc", **SHARED}],
    },
    "rolling": {
        **TEXT,
        "output_type": "loglikelihood_rolling",
        "metric_list": [{"metric": "word_perplexity"}],
    },
    "written": {
        "output_type": "generate_until",
        "doc_to_text": "question",
        "doc_to_target": "{{choices[0]}}",
        "generation_kwargs": {"until": ["."], "max_gen_toks": 4, "do_sample": False},
        "metric_list": [{"metric": "exact_match", **SHARED}],
    },
}


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """A random model for the built-in tokenizer, of few enough positions that some documents are cut."""
    config = CONFIG_MAPPING["llama"](
        vocab_size=799,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=40,
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_config(config)
        for parameter in model.parameters():
            parameter.data.normal_(std=0.2)
    return model.eval().requires_grad_(False)


@pytest.fixture(autouse=True)
def no_local_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STABILITY_DATA", raising=False)


@pytest.fixture(scope="module")
def documents() -> list[dict[str, Any]]:
    """Questions of one to forty words, each with three choices of one to four words."""
    rng = random.Random(0)
    names = [fact.subject for fact in build_world().facts][::7]

    def words(n: int) -> str:
        return " ".join(rng.choice(names) for _ in range(n))

    return [
        {
            "question": words(rng.choice([1, 2, 3, 5, 24])),
            "choices": [words(rng.randint(1, 2)) for _ in range(3)],
            "label": rng.randrange(3),
            "flag": rng.randrange(2),
        }
        for _ in range(24)
    ]


@pytest.fixture
def folder(tmp_path: Path, documents: list[dict[str, Any]]) -> Path:
    """A user's `include_path`."""
    data = tmp_path / "documents.jsonl"
    data.write_text("\n".join(json.dumps(document) for document in documents), encoding="utf-8")
    for name, kind in KINDS.items():
        add(tmp_path, name, **kind)
    return tmp_path


def add(folder: Path, name: str, **task: Any) -> None:
    files = {"test": str(folder / "documents.jsonl")}
    common = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": files, "cache_dir": str(folder / "cache")},
        "test_split": "test",
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(common | task), encoding="utf-8")


def battery(model: nn.Module, world: LoadedModel, folder: Path, *names: str, **spec: Any) -> Battery:
    found = map_model(model)
    wanted = TasksSpec(include_path=str(folder), batch_size=5, **spec)
    return build_battery(wanted, names, model, found.head, world.tokenizer)


def score(battery: Battery, model: nn.Module) -> dict[str, Outcome]:
    return battery.score(model, map_model(model).head)


def lm_evals_own(
    model: nn.Module, world: LoadedModel, folder: Path, *names: str, shots: int = 0
) -> dict[str, Any]:
    tasks = TaskManager(include_path=str(folder), include_defaults=False).load(list(names))
    for task in tasks["tasks"].values():
        task.set_config("num_fewshot", shots)
        task.set_fewshot_seed(1234)
    lm = HFLM(pretrained=copy.deepcopy(model), tokenizer=copy.deepcopy(world.tokenizer), batch_size=7)
    results: dict[str, Any] = evaluate(lm, tasks, bootstrap_iters=0)
    return results


@pytest.mark.parametrize("shots", [0, 2])
def test_every_kind_of_task_is_answered_and_scored_as_by_lm_eval(
    model: nn.Module, world: LoadedModel, folder: Path, shots: int
):
    names = [name for name in KINDS if shots == 0 or name not in ("rolling", "filled")]
    ours = battery(model, world, folder, *names, num_fewshot=shots)
    outcomes = score(ours, model)
    theirs = lm_evals_own(model, world, folder, *names, shots=shots)
    for name in names:
        for question, sample in zip(ours.exams[name].questions, theirs["samples"][name], strict=True):
            assert [one.args for one in question.instances] == sample["arguments"]
            for one, answers in zip(question.instances, sample["resps"], strict=True):
                if name == "written":
                    assert one.resps == answers
                else:
                    flat, expected = np.array(one.resps, float).ravel(), np.array(answers, float).ravel()
                    assert flat == pytest.approx(expected, rel=1e-6, abs=2e-5)
        metric = outcomes[name].result.metric
        expected = theirs["results"][name][f"{metric},none"]
        assert outcomes[name].value == pytest.approx(expected, rel=1e-5), name
        assert outcomes[name].result.n == 24


def test_a_tasks_score_is_the_first_metric_that_it_lists(model: nn.Module, world: LoadedModel, folder: Path):
    outcomes = score(battery(model, world, folder, *KINDS, "f1@acc", "f1@mcc"), model)
    metrics = {name: outcome.result.metric for name, outcome in outcomes.items()}
    assert metrics == {
        **dict.fromkeys(["choices", "templated", "filled", "f1@acc"], "acc"),
        "normalised": "acc_norm",
        "bytes": "acc_bytes",
        "f1": "f1",
        "f1@mcc": "mcc",
        "mutual": "acc_mutual_info",
        "exact": "exact_match",
        "last_word": "perplexity",
        "rolling": "word_perplexity",
        "written": "exact_match",
    }


def test_results_by_document_give_the_score_again(
    model: nn.Module, world: LoadedModel, folder: Path, documents: list[dict[str, Any]]
):
    outcomes = score(battery(model, world, folder, *KINDS), model)
    for name in ("choices", "normalised", "bytes"):
        result = outcomes[name].result
        assert list(result.gold) == [document["label"] for document in documents]
        hits = [a == b for a, b in zip(result.gold, result.predicted, strict=True)]
        assert outcomes[name].value == sum(hits) / 24
        assert result.chance == max(result.gold.count(i) for i in range(3)) / 24
    result = outcomes["f1"].result
    assert list(result.gold) == [document["flag"] for document in documents]
    right = sum(a == b == 1 for a, b in zip(result.gold, result.predicted, strict=True))
    assert outcomes["f1"].value == pytest.approx(2 * right / (sum(result.gold) + sum(result.predicted)))
    positive = sum(result.gold) / 24
    assert result.chance == pytest.approx(2 * positive / (1 + positive))
    for name in ("exact", "written"):
        result = outcomes[name].result
        assert (result.gold, len(result.values), result.chance) == ((), 24, None)
        assert outcomes[name].value == sum(result.values) / 24


def test_documents_that_are_cut_are_counted_by_task(model: nn.Module, world: LoadedModel, folder: Path):
    outcomes = score(battery(model, world, folder, "choices", "f1", "written"), model)
    lengths = [len(world.tokenizer(one)["input_ids"]) for one in _questions(folder)]
    assert outcomes["f1"].result.truncated == sum(length + 1 > 41 for length in lengths) > 0
    assert outcomes["choices"].result.truncated >= outcomes["f1"].result.truncated
    assert outcomes["written"].result.truncated == sum(length > 36 for length in lengths)


def _questions(folder: Path) -> list[str]:
    lines = (folder / "documents.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines]


def test_a_limit_takes_the_first_documents(model: nn.Module, world: LoadedModel, folder: Path):
    whole = score(battery(model, world, folder, "choices"), model)["choices"].result
    part = score(battery(model, world, folder, "choices", limit=5), model)["choices"].result
    assert (part.n, part.doc_ids, part.predicted) == (5, (0, 1, 2, 3, 4), whole.predicted[:5])


def test_what_a_guess_scores_does_not_depend_on_the_limit(
    model: nn.Module, world: LoadedModel, folder: Path, documents: list[dict[str, Any]]
):
    add(folder, "flags", **(KINDS["f1"] | {"metric_list": [{"metric": "acc", **SHARED}]}))
    aggregated = [{"metric": "acc", "aggregation": "mean", "weight_by_size": True}]
    group = {"group": "both", "task": ["flags", "templated"], "aggregate_metric_list": aggregated}
    (folder / "both.yaml").write_text(yaml.safe_dump(group), encoding="utf-8")
    names = ("choices", "templated", "flags", "f1", "written", "both")
    whole, part = (
        {
            name: one.result
            for name, one in score(battery(model, world, folder, *names, limit=limit), model).items()
        }
        for limit in (None, 3)
    )
    assert {name: one.guess for name, one in whole.items()} == {name: one.guess for name, one in part.items()}
    assert whole["choices"].guess == pytest.approx(1 / 3)  # they are other ones for each document
    positive = sum(document["flag"] for document in documents) / 24
    assert whole["f1"].guess == pytest.approx(2 * positive / (1 + positive))
    assert whole["flags"].guess in (0.5, max(positive, 1 - positive))
    assert whole["written"].guess is None


def test_documents_that_share_a_field_are_numbered_by_it(
    model: nn.Module, world: LoadedModel, folder: Path, documents: list[dict[str, Any]]
):
    found = map_model(model)
    spec, names = TasksSpec(include_path=str(folder), batch_size=5), ("choices", "templated", "f1@mcc")
    wanted = {"choices": ("label",), "f1@mcc": ("label", "flag")}
    built = build_battery(spec, names, model, found.head, world.tokenizer, wanted)
    results = {name: one.result for name, one in built.score(model, found.head).items()}
    assert {name: set(one.clusters) for name, one in results.items()} == {
        "choices": {"label"},
        "templated": set(),
        "f1@mcc": {"label", "flag"},
    }
    labels = [document["label"] for document in documents]
    pairs = set(zip(labels, results["choices"].clusters["label"], strict=True))
    assert len(pairs) == len(set(labels)) == 3
    with pytest.raises(
        MeasurementError, match=r"task choices: noise\.cluster names 'passage', and its documents"
    ):
        build_battery(spec, names, model, found.head, world.tokenizer, {"choices": ("passage",)})


def test_a_group_is_the_mean_that_lm_eval_gives_it(model: nn.Module, world: LoadedModel, folder: Path):
    aggregated = {"metric": "acc", "aggregation": "mean"}
    (folder / "short.jsonl").write_text(
        "\n".join((folder / "documents.jsonl").read_text(encoding="utf-8").splitlines()[:5]), encoding="utf-8"
    )
    add(folder, "few", **PLAIN, dataset_kwargs={"data_files": {"test": str(folder / "short.jsonl")}})
    for name, weighted in (("by_size", True), ("by_task", False)):
        group = {
            "group": name,
            "task": ["few", "choices"],
            "aggregate_metric_list": [{**aggregated, "weight_by_size": weighted}],
        }
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(group), encoding="utf-8")
    above = {
        "group": "above",
        "task": ["by_size"],
        "aggregate_metric_list": [{**aggregated, "weight_by_size": True}],
    }
    (folder / "above.yaml").write_text(yaml.safe_dump(above), encoding="utf-8")
    for name in ("by_size", "by_task", "above"):
        outcomes = score(battery(model, world, folder, name), model)
        theirs = lm_evals_own(model, world, folder, name)["results"]
        assert outcomes[name].value == pytest.approx(theirs[name]["acc,none"], abs=1e-12)
        assert set(outcomes[name].result.members) == {"few", "choices"}
        assert outcomes[name].result.n == 29
        assert outcomes["few"].value == theirs["few"]["acc,none"]
        few, many = (outcomes[member].result for member in ("few", "choices"))
        weights = (1, 1) if name == "by_task" else (5, 24)
        guess = max(
            sum(w * one.gold.count(i) / one.n for w, one in zip(weights, (few, many), strict=True))
            / sum(weights)
            for i in range(3)
        )
        assert outcomes[name].result.chance == pytest.approx(guess)
        assert few.chance != many.chance
    assert "by_size" in score(battery(model, world, folder, "above"), model)


def test_a_tag_is_the_plain_mean_of_its_tasks(model: nn.Module, world: LoadedModel, folder: Path):
    for name in ("choices", "f1"):
        add(folder, name, **KINDS[name], tag="both")
    outcomes = score(battery(model, world, folder, "both"), model)
    assert set(outcomes) == {"both", "choices", "f1"}
    assert outcomes["both"].value == pytest.approx((outcomes["choices"].value + outcomes["f1"].value) / 2)
    both = outcomes["both"].result
    assert (both.metric, both.members, both.n) == ("mean", ("choices", "f1"), 48)


def test_a_model_that_always_gives_one_answer_has_an_mcc_of_zero(
    model: nn.Module, world: LoadedModel, folder: Path
):
    constant = copy.deepcopy(model)
    for parameter in constant.parameters():
        parameter.data.zero_()
    outcomes = score(battery(constant, world, folder, "f1", "f1@mcc"), constant)
    assert (outcomes["f1"].value, outcomes["f1@mcc"].value) == (0, 0)


def test_a_model_of_nans_generates_nothing(model: nn.Module, world: LoadedModel, folder: Path):
    ours = battery(model, world, folder, "written")
    broken = copy.deepcopy(model)
    for parameter in broken.parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(MeasurementError, match="NaN or infinite"):
        score(ours, broken)


def test_an_empty_file_of_documents_is_an_error(model: nn.Module, world: LoadedModel, folder: Path):
    (folder / "documents.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match=r"^task choices: a file of its documents is empty"):
        battery(model, world, folder, "choices")


def test_a_missing_file_of_documents_is_an_error(model: nn.Module, world: LoadedModel, folder: Path):
    (folder / "documents.jsonl").unlink()
    with pytest.raises(DataError, match=r"^task choices: FileNotFoundError: .*documents.jsonl"):
        battery(model, world, folder, "choices")


def test_a_document_without_a_field_that_the_task_asks_for_is_an_error(
    model: nn.Module, world: LoadedModel, folder: Path
):
    add(folder, "wrong", **{**PLAIN, "doc_to_choice": "chioces"})
    with pytest.raises(DataError, match=r"^task wrong: "):
        battery(model, world, folder, "wrong")


def test_more_shots_than_there_are_documents_are_an_error(model: nn.Module, world: LoadedModel, folder: Path):
    with pytest.raises(DataError, match=r"^task choices: cannot make requests of its documents"):
        battery(model, world, folder, "choices", num_fewshot=60)


def test_an_include_path_that_is_no_folder_is_an_error(model: nn.Module, world: LoadedModel, folder: Path):
    with pytest.raises(DataError, match=r"there is no folder .*nowhere"):
        battery(model, world, folder / "nowhere", "choices")


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hub cannot be reached; the data sets that it was asked for."""
    asked: list[str] = []
    load: Callable[..., Any] = datasets.load_dataset

    def load_dataset(path: str, *args: Any, **kwargs: Any) -> Any:
        if path == "json":
            return load(path, *args, **kwargs)
        asked.append(path)
        raise ConnectionError(f"Couldn't reach '{path}' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked


def test_tasks_whose_documents_cannot_be_had_are_left_out_with_the_reason(
    model: nn.Module, world: LoadedModel, folder: Path, unreachable: list[str]
):
    ours = battery(model, world, folder, "choices", "mmlu", "glue", "mrpc@acc")
    outcomes = score(ours, model)
    assert set(outcomes) == {"choices"}
    assert set(ours.left_out) >= {"mmlu", "glue", "cola", "sst2", "mrpc@acc"}
    assert "no local folder was named (tasks.data, STABILITY_DATA)" in ours.left_out["mmlu"].message
    assert "Couldn't reach 'cais/mmlu' on the Hub" in ours.left_out["mmlu"].message
    assert ours.left_out["glue"].message.startswith("not all of its tasks have documents (cola, ")
    # The hub takes twenty seconds to fail: it is asked once for each data set, not for each task.
    assert unreachable == ["cais/mmlu", "nyu-mll/glue"]


def test_a_suite_that_requires_its_data_has_an_error_instead(
    model: nn.Module, world: LoadedModel, folder: Path, unreachable: list[str]
):
    with pytest.raises(MeasurementError, match=r"task cola: no documents: .*; the suite says require_data"):
        battery(model, world, folder, "choices", "cola", require_data=True)
    assert unreachable == ["nyu-mll/glue"]


@pytest.mark.parametrize("name", ["old", "capitals"])
def test_a_group_in_lm_evals_old_form_says_what_to_write(
    model: nn.Module, world: LoadedModel, folder: Path, name: str
):
    add(folder, "old", **PLAIN, group="capitals")
    with pytest.raises(
        MeasurementError, match=r"old\.yaml.*'group'.*lm-eval's old form: write 'tag"
    ) as caught:
        battery(model, world, folder, name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["old", "capitals", "rivers"])
def test_a_list_of_groups_in_lm_evals_old_form_says_what_to_write(
    model: nn.Module, world: LoadedModel, folder: Path, name: str
):
    add(folder, "old", **PLAIN, group=["capitals", "rivers"])
    with pytest.raises(MeasurementError, match=r"old\.yaml has a list.*: write 'tag: \[capitals, rivers\]'"):
        battery(model, world, folder, name)


def test_a_file_of_a_task_that_lm_eval_cannot_read_says_why(
    model: nn.Module, world: LoadedModel, folder: Path
):
    (folder / "half.yaml").write_text("task: half\ndoc_to_text: [")
    with pytest.raises(DataError, match=r"half\.yaml:2: not a task's YAML: ") as said:
        battery(model, world, folder, "half")
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("changes", "shots"),
    [
        ({"test_split": "tset"}, 0),
        ({"test_split": None, "validation_split": "tset"}, 0),
        ({"training_split": "tset"}, 2),
        ({"fewshot_split": "tset"}, 2),
    ],
)
def test_a_split_that_the_documents_do_not_have_is_named_with_its_file(
    model: nn.Module, world: LoadedModel, folder: Path, changes: dict[str, Any], shots: int
):
    add(folder, "split", **PLAIN, **changes)
    [(key, _)] = [(key, value) for key, value in changes.items() if value]
    with pytest.raises(
        DataError, match=rf"^task split: .*split\.yaml: {key}: its documents have no split 'tset'$"
    ):
        battery(model, world, folder, "split", num_fewshot=shots)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], r"some\.yaml: group some: holds no tasks; expected a list"),
        (None, r"some\.yaml: group some: holds no tasks"),
        (["choices", "chioces"], r"some\.yaml: group some: lm-eval knows no task 'chioces'"),
        (["inside"], r"inside\.yaml: group inside: holds no tasks"),
    ],
)
def test_a_group_without_tasks_is_an_error_that_names_its_file(
    model: nn.Module, world: LoadedModel, folder: Path, members: list[str] | None, message: str
):
    (folder / "some.yaml").write_text(yaml.safe_dump({"group": "some", "task": members}), encoding="utf-8")
    (folder / "inside.yaml").write_text(yaml.safe_dump({"group": "inside", "task": []}), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        battery(model, world, folder, "some")


@pytest.mark.parametrize("kind", ["choices", "generated"])
def test_a_task_whose_documents_are_all_filtered_out_has_none(
    model: nn.Module, world: LoadedModel, folder: Path, kind: str
):
    more = {} if kind == "choices" else {"output_type": "generate_until", "doc_to_target": "question"}
    add(folder, "filtered", **(PLAIN | more))
    (folder / "filters.py").write_text("def none(documents):\n    return documents.filter(lambda _: False)\n")
    with (folder / "filtered.yaml").open("a", encoding="utf-8") as file:
        file.write("process_docs: !function filters.none\n")
    with pytest.raises(
        DataError, match=r"filtered\.yaml:\d+: !function names a function, which can run code"
    ):
        battery(model, world, folder, "filtered")
    with pytest.raises(DataError, match=r"^task filtered: has no documents"):
        battery(model, world, folder, "filtered", trust_code=True)
