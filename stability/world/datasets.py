"""The tasks' test documents as datasets, for lm-eval's `custom_dataset`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from datasets import Dataset, DatasetDict

from stability.world import exam
from stability.world.facts import build_world


def load(task: str, relation: str = "", **_: Any) -> DatasetDict:
    """The split "test" of one task, with the fields prompt, choices and label.

    lm-eval passes the YAML's `dataset_kwargs`, among other things of its own that are not wanted here.
    """
    world = build_world()
    items = {
        "choice": lambda: exam.exam_choice(world, relation),
        "sentiment": lambda: exam.exam_sentiment(world),
        "acceptability": lambda: exam.exam_acceptability(world),
        "pair": lambda: exam.exam_pair(world),
    }[task]()
    rows = [asdict(item) | {"choices": list(item.choices)} for item in items]
    return DatasetDict({"test": Dataset.from_list(rows)})
