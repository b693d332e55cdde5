"""MMLU and GLUE as they are published, on a real pretrained Llama, against lm-eval's own run on the same data."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from lm_eval import evaluate, tasks
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from stability.metrics.tasks.steps.building import build_battery
from stability.metrics.tasks.steps.local_data import find_local
from stability.models import LoadedModel, load_model, map_model
from stability.suite import ModelSpec, TasksSpec

DATA = Path(os.environ.get("STABILITY_DATA", ""))
LLAMA = DATA / "models" / "stories260K" / "hf"
PACKAGED = Path(tasks.__file__).parent
NEAR = 1e-4  # log-likelihoods that are nearer than this may change places

pytestmark = pytest.mark.skipif(
    not (os.environ.get("STABILITY_DATA") and LLAMA.is_dir()),
    reason="STABILITY_DATA names no folder with MMLU, GLUE and models/stories260K",
)


@pytest.fixture(scope="module")
def llama() -> LoadedModel:
    return load_model(ModelSpec(name=str(LLAMA), device="cpu"))


def table(file: str, **options: Any) -> pd.DataFrame:
    """A file by another reader than the harness's own."""
    return pd.read_csv(DATA / file, dtype=str, keep_default_na=False, encoding="utf-8-sig", **options)


def tsv(file: str, *names: str) -> pd.DataFrame:
    return table(f"glue/{file}", sep="\t", quoting=3, names=names or None, header=None if names else 0)


def mmlu_documents(subject: str, split: str) -> list[dict[str, Any]]:
    rows = table(f"mmlu/{split}/{subject}_{split}.csv").itertuples()
    return [
        {
            "question": row.question,
            "choices": [row.choice0, row.choice1, row.choice2, row.choice3],
            "answer": int(row.answer),
        }
        for row in rows
    ]


def glue_documents(task: str) -> list[dict[str, Any]]:
    entails = {"entailment": 0, "not_entailment": 1, "0": 0, "1": 1}
    if task == "cola":
        files = [
            tsv(f"CoLA/{part}_dev.tsv", "source", "label", "mark", "sentence")
            for part in ("in_domain", "out_of_domain")
        ]
        return [{"sentence": row.sentence, "label": int(row.label)} for row in pd.concat(files).itertuples()]
    if task == "sst2":
        return [
            {"sentence": row.text_a, "label": int(row.label)} for row in tsv("SST-2/dev.tsv").itertuples()
        ]
    if task == "mrpc":
        return [
            {"sentence1": row[4], "sentence2": row[5], "label": int(row[1])}
            for row in tsv("MRPC/dev.tsv").itertuples()
        ]
    one, other = ("question", "sentence") if task == "qnli" else ("sentence1", "sentence2")
    return [
        {one: getattr(row, one), other: getattr(row, other), "label": entails[row.label]}
        for row in tsv(f"{task.upper()}/dev.tsv").itertuples()
    ]


def lm_evals_own(
    llama: LoadedModel,
    folder: Path,
    sources: dict[str, tuple[Path, dict[str, list[dict[str, Any]]]]],
    limit: int,
    shots: int,
) -> dict[str, Any]:
    """lm-eval's evaluation of its packaged tasks, on these documents in files that it reads itself."""
    for name, (packaged, splits) in sources.items():
        files = {}
        for split, documents in splits.items():
            files[split] = str(folder / f"{name}.{split}.jsonl")
            Path(files[split]).write_text("\n".join(map(json.dumps, documents)), encoding="utf-8")
        task = {
            "include": str(packaged),
            "task": name,
            "tag": None,
            "dataset_path": "json",
            "dataset_name": None,
            "dataset_kwargs": {"data_files": files, "cache_dir": str(folder / "cache")},
        }
        if "validation" in splits:
            task["training_split"] = None
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(task), encoding="utf-8")
    loaded = TaskManager(include_path=str(folder), include_defaults=False).load(list(sources))
    for task in loaded["tasks"].values():
        task.set_config("num_fewshot", shots)
        task.set_fewshot_seed(1234)
    lm = HFLM(pretrained=copy.deepcopy(llama.model), tokenizer=copy.deepcopy(llama.tokenizer), batch_size=8)
    results: dict[str, Any] = evaluate(lm, loaded, limit=limit, bootstrap_iters=0)
    return results


def check_agreement(
    llama: LoadedModel, folder: Path, sources: dict[str, Any], asked: Sequence[str], limit: int, shots: int
) -> None:
    """Every document's prediction, and every task's score, are lm-eval's own."""
    theirs = lm_evals_own(llama, folder, sources, limit, shots)
    spec = TasksSpec(data=str(DATA), limit=limit, num_fewshot=shots)
    head = map_model(llama.model).head
    outcomes = build_battery(spec, tuple(asked), llama.model, head, llama.tokenizer).score(llama.model, head)
    near = documents = 0
    for name in sources:
        result = outcomes[name].result
        same = True
        for predicted, gold, sample in zip(
            result.predicted, result.gold, theirs["samples"][name], strict=True
        ):
            log_probs = [answer[0][0] for answer in sample["resps"]]
            second, first = sorted(log_probs)[-2:]
            documents += 1
            assert gold == sample["target"]
            if predicted != int(np.argmax(log_probs)):
                assert first - second < NEAR, (name, sample["doc_id"])
                near, same = near + 1, False
        if same:
            assert outcomes[name].value == theirs["results"][name][f"{result.metric},none"]
    assert near <= 0.005 * documents


@pytest.mark.parametrize(("shots", "every"), [(0, 1), (5, 4)], ids=["0-shot", "5-shot"])
def test_mmlu_is_answered_as_by_lm_eval(llama: LoadedModel, tmp_path: Path, shots: int, every: int):
    subjects = sorted(file.name.removesuffix("_test.csv") for file in (DATA / "mmlu/test").glob("*.csv"))
    assert len(subjects) == 57
    subjects = subjects[::every]
    sources = {
        f"mmlu_{subject}": (
            PACKAGED / f"mmlu/default/mmlu_{subject}.yaml",
            {split: mmlu_documents(subject, split)[:20] for split in ("test", "dev")},
        )
        for subject in subjects
    }
    check_agreement(llama, tmp_path, sources, ["mmlu"] if every == 1 else list(sources), 1, shots)


def test_glue_is_answered_as_by_lm_eval(llama: LoadedModel, tmp_path: Path):
    names = ["cola", "mrpc", "qnli", "rte", "sst2", "wnli"]
    sources = {
        name: (PACKAGED / f"glue/{name}/default.yaml", {"validation": glue_documents(name)[:40]})
        for name in names
    }
    check_agreement(llama, tmp_path, sources, names, limit=15, shots=0)


def test_the_published_files_hold_the_official_numbers_of_documents():
    counts = {"cola": 1043, "mrpc": 408, "qnli": 5463, "rte": 277, "sst2": 872, "wnli": 71}
    for name, count in counts.items():
        found = find_local(DATA, name, {"dataset_path": "nyu-mll/glue", "dataset_name": name})
        assert found is not None
        assert len(found.load()["validation"]) == count
    files = sorted((DATA / "mmlu/test").glob("*.csv"))
    subjects = [file.name.removesuffix("_test.csv") for file in files]
    found = [find_local(DATA, one, {"dataset_path": "cais/mmlu", "dataset_name": one}) for one in subjects]
    assert sum(len(one.load()["test"]) for one in found if one is not None) == 14_042
