"""Records that no model ever made: synthetic documents, in the form that the judge reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from benchmarks.rates.answers import Documents, Task, score_of
from stability.record import Checkpoint, EditorInfo, ModelInfo, Reading, Record, Run, TaskResult
from stability.suite import SuiteSpec, parse_suite

EDITOR = "none"
SUITE = """
schema: 1
name: rates
checks:
  drop:
    metric: task_score
    for_each: {task: [TASKS]}
    relative_to: AGAINST
    change: CHANGE
    assert: ">= BOUND"
    noise: {confidence: 0.95NOISE}
"""
BOUNDS = {"absolute": -0.05, "ratio": 0.9, "relative": -0.1}  # by what the bound is a number of
PASSAGE = "passage"
Tasks = Mapping[str, Task]  # by name


def suite(tasks: Tasks, against: str = "base", change: str = "absolute", noise: str = "") -> SuiteSpec:
    """One check of these tasks; `noise` is more of that block, such as `, max_detectable: 0.1`."""
    text = SUITE.replace("TASKS", ", ".join(tasks)).replace("AGAINST", against)
    text = text.replace("CHANGE", change).replace("BOUND", str(BOUNDS[change]))
    clustered = any(documents.cluster is not None for task in tasks.values() for documents in task)
    return parsed(text.replace("NOISE", noise + f", cluster: {PASSAGE}" * clustered))


@cache
def parsed(text: str) -> SuiteSpec:
    """A suite of this text."""
    return parse_suite(text, is_recorded=True).spec


def record(base: Tasks, runs: Sequence[Sequence[Tasks]], editor: str = EDITOR) -> Record:
    """The unedited model's results, and those of each seed at each checkpoint."""
    model = ModelInfo(
        name="synthetic", architecture="GPT2LMHeadModel", fingerprint="a" * 64,
        tokenizer_fingerprint="b" * 64, dtype="float32", device="cpu", layers=1, parameters=1, matrices=(),
    )  # fmt: skip
    return Record(
        harness_version="0", suite_name="rates", suite_text="", suite_path="", measured_fingerprint="c" * 64,
        command="", model=model, edits_source="world", text_fingerprint="d" * 64, text_tokens=1,
        base=Checkpoint(edits=0, readings={"task_score": reading(base)}),
        runs=tuple(
            Run(
                editor=EditorInfo(name=editor, source="built-in", settings={}),
                seed=seed,
                checkpoints=tuple(
                    Checkpoint(edits=edits, readings={"task_score": reading(tasks)})
                    for edits, tasks in enumerate(points, start=1)
                ),
            )
            for seed, points in enumerate(runs)
        ),
    )  # fmt: skip


def with_one(
    shape: tuple[int, int, int], before: Task, same: Task, one: Task
) -> tuple[Tasks, list[list[Tasks]]]:
    """The unedited results, and those of each seed at each checkpoint: the same everywhere, but for one.

    `shape`: tasks, checkpoints, seeds.
    """
    tasks, checkpoints, seeds = shape
    names = task_names(tasks)
    others = dict.fromkeys(names, same)
    runs = [[others] * checkpoints for _ in range(seeds)]
    runs[0][0] = {**others, names[0]: one}
    return dict.fromkeys(names, before), runs


def task_names(count: int) -> tuple[str, ...]:
    """`a`, `b` ..."""
    return tuple("abcdefgh"[:count])


def reading(tasks: Tasks) -> Reading:
    """Each task's score, and its results by document."""
    values: dict[str, float] = {}
    results: dict[str, TaskResult] = {}
    for name, task in tasks.items():
        metric, values[name] = score_of(task)
        if len(task) == 1:
            results[name] = result(task[0])
            continue
        members = {f"{name}_{index}": member for index, member in enumerate(task)}
        values |= {member: documents.score for member, documents in members.items()}
        results |= {member: result(documents) for member, documents in members.items()}
        n = sum(len(member.gold) for member in task)
        guess = task[0].guess
        results[name] = TaskResult(metric=metric, n=n, members=tuple(members), guess=guess)
    return Reading(over="task", values=values, tasks=results)


def result(documents: Documents) -> TaskResult:
    """Without a check of every number's type, which would take longer than judging."""
    n = len(documents.gold)
    shared: dict[str, Any] = {
        "metric": documents.metric,
        "n": n,
        "doc_ids": tuple(range(n)),
        "guess": documents.guess,
    }
    if documents.metric == "exact_match":
        return TaskResult.model_construct(**shared, values=tuple(documents.answer.tolist()))
    if documents.cluster is not None:
        shared["clusters"] = {PASSAGE: tuple(documents.cluster.tolist())}
    gold, predicted = tuple(documents.gold.tolist()), tuple(documents.answer.tolist())
    return TaskResult.model_construct(**shared, gold=gold, predicted=predicted)
