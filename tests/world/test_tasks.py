from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from lm_eval.tasks import TaskManager
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

import stability
from stability.world import MODEL, TASKS
from tests.processes import run_module
from tools.world.evaluate import TASK_NAMES, task_scores


def test_the_choice_task_is_a_group_of_one_subtask_a_relation():
    loaded = TaskManager(include_path=str(TASKS), include_defaults=False).load(["world_choice"])
    assert set(loaded["tasks"]) == {"world_choice_home", "world_choice_work", "world_choice_music"}
    assert set(loaded["groups"]) == {"world_choice"}


def test_tasks_have_enough_documents_to_show_a_drop():
    loaded = TaskManager(include_path=str(TASKS), include_defaults=False).load(list(TASK_NAMES))
    counts = {name: len(list(task.test_docs())) for name, task in loaded["tasks"].items()}
    choices = sum(count for name, count in counts.items() if name.startswith("world_choice"))
    assert choices == 480
    assert [count for name, count in counts.items() if "choice" not in name] == [400, 400, 400]


@pytest.mark.torture  # elsewhere lm-eval is called in the same process
def test_lm_evals_own_command_line_gives_the_same_figures_from_any_directory(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
):
    (package,) = stability.__path__
    finished = run_module(
        [
            *("lm_eval", "--model", "hf", "--model_args", f"pretrained={MODEL}"),
            *("--tasks", ",".join(TASK_NAMES), "--include_path", str(TASKS)),
            *("--batch_size", "64", "--device", "cpu", "--limit", "30", "--output_path", "results.json"),
        ],
        tmp_path,
        os.environ | {"PYTHONPATH": str(Path(package).parent), "HF_HUB_OFFLINE": "1"},
    )
    assert finished.returncode == 0, finished.stderr
    (written,) = tmp_path.glob("results*.json")
    results = json.loads(written.read_text())["results"]
    told = {name: results[name]["acc,none"] for name in TASK_NAMES}
    assert told == pytest.approx(task_scores(model, tokenizer, limit=30))
