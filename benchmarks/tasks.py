"""Scoring tasks at a checkpoint: lm-eval's `simple_evaluate`, its task manager passed in, against our scorer.

    python -m benchmarks.tasks [--documents 100] [--repeats 3]

Both score the same documents with the same model in one process on one thread, in turn, from the second
checkpoint on. Seconds are CPU seconds, the median over the repeats. `differ` counts documents whose best
choice is another one, `max diff` is the largest difference between log-probabilities.

Two random models bound what to expect. Where the vocabulary outweighs the blocks, as in small models with a
large tokenizer, most of lm-eval's work is logits that nobody asks for. Where the blocks outweigh it, letters
without examples cost what their prompts cost; phrases gain by sharing their prompt, and documents by sharing
their examples.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
import yaml
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from transformers import GPT2Config, GPT2LMHeadModel

from stability.metrics.tasks.steps.building import build_battery
from stability.models import load_model, map_model
from stability.suite import ModelSpec, TasksSpec
from stability.world import build_world

BATCH = 32
LETTERS = ["A", "B", "C", "D"]


def main() -> None:
    """Print one line for each kind of choice, shot count and model."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--documents", type=int, default=100)
    arguments.add_argument("--repeats", type=int, default=3)
    asked = arguments.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    tokenizer = load_model(ModelSpec(name="world", device="cpu")).tokenizer
    models = {
        "vocabulary outweighs": random_model(vocab_size=50_257, n_embd=64, n_layer=4, n_inner=256),
        "blocks outweigh": random_model(vocab_size=799, n_embd=96, n_layer=8, n_inner=1024),
    }
    print(
        f"{'choices':10} {'shots':>5}  {'model':22} {'simple_evaluate':>16} {'ours':>8} {'ratio':>7}", end=" "
    )
    print(f"{'differ':>7} {'max diff':>9}")
    with tempfile.TemporaryDirectory() as folder:
        write_tasks(Path(folder), asked.documents)
        for name, shots in (("letters", 0), ("phrases", 0), ("letters", 5)):
            for label, model in models.items():
                line = compare(Path(folder), name, shots, model, tokenizer, asked.repeats)
                print(f"{name:10} {shots:5}  {label:22} {line}", flush=True)


def random_model(**shape: int) -> torch.nn.Module:
    """A GPT-2 with random weights."""
    torch.manual_seed(0)
    config = GPT2Config(n_head=4, n_positions=1024, bos_token_id=0, eos_token_id=0, **shape)
    return GPT2LMHeadModel(config).eval().requires_grad_(False)


def compare(folder: Path, name: str, shots: int, model: torch.nn.Module, tokenizer: Any, repeats: int) -> str:
    """Score one task both ways, in turn."""
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    with redirect_stderr((folder / "log").open("w")):
        lm = HFLM(pretrained=copy.deepcopy(model), tokenizer=copy.deepcopy(tokenizer), batch_size=BATCH)
        spec = TasksSpec(include_path=str(folder), num_fewshot=shots, batch_size=BATCH)
        head = map_model(model).head
        battery = build_battery(spec, (name,), model, head, tokenizer)

        def theirs() -> Any:
            return simple_evaluate(
                lm, tasks=[name], task_manager=manager, num_fewshot=shots, bootstrap_iters=0
            )

        results, score = theirs(), battery.score(model, head)
        slow, fast = [], []
        for _ in range(repeats):
            slow.append(seconds(theirs))
            fast.append(seconds(lambda: battery.score(model, head)))
    ours = [[request.resps[0][0] for request in one.instances] for one in battery.exams[name].questions]
    lm_eval = [[answer[0][0] for answer in sample["resps"]] for sample in results["samples"][name]]
    differ = sum(int(np.argmax(a) != np.argmax(b)) for a, b in zip(ours, lm_eval, strict=True))
    largest = float(np.abs(np.array(ours) - np.array(lm_eval)).max())
    assert score[name].value == results["results"][name]["acc,none"]
    before, after = statistics.median(slow), statistics.median(fast)
    return f"{before:14.2f} s {after:6.2f} s {before / after:6.1f}x {differ:7d} {largest:9.1e}"


def seconds(function: Callable[[], Any]) -> float:
    """CPU seconds of one call."""
    started = time.process_time()
    function()
    return time.process_time() - started


def write_tasks(folder: Path, count: int) -> None:
    """Two tasks in lm-eval's YAML, their prompts templated as MMLU's are: one by letters, one by phrases."""
    rng = random.Random(0)
    world = build_world()
    sentences = sorted({fact.subject for fact in world.facts})
    phrases = [" ".join(rng.sample(sentences, 3)) for _ in range(4 * count)]
    rows = []
    for i in range(count):
        question = " ".join(rng.sample(sentences, 8))
        rows.append({"question": question, "choices": phrases[4 * i : 4 * i + 4], "answer": rng.randrange(4)})
    data, examples = folder / "test.jsonl", folder / "dev.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    examples.write_text("\n".join(map(json.dumps, rows[:5])), encoding="utf-8")
    options = "".join(f"{letter}. {{{{choices[{i}]}}}}\n" for i, letter in enumerate(LETTERS))
    common = {
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": {"test": str(data), "dev": str(examples)},
            "cache_dir": str(folder / "cache"),
        },
        "test_split": "test",
        "fewshot_split": "dev",
        "fewshot_config": {"sampler": "first_n"},
        "output_type": "multiple_choice",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    letters = {"doc_to_text": "{{question.strip()}}\n" + options + "Answer:", "doc_to_choice": LETTERS}
    for name, own in (
        ("letters", letters),
        ("phrases", {"doc_to_text": "{{question.strip()}}\nAnswer:", "doc_to_choice": "choices"}),
    ):
        text = yaml.safe_dump({"task": name, **common, **own})
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
