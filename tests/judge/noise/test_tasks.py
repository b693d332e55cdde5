"""Tasks and groups: their drops."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stability.judge.noise.drops import ProportionDrop, ResampledDrop
from stability.judge.noise.tasks import drop_of
from stability.judge.problems import CannotJudge
from stability.record import Reading, TaskResult
from tests.examples import examples


def group(
    records: ModuleType, sizes: dict[str, int], losses: int, *, weighted: bool
) -> tuple[Reading, Reading]:
    """Two members, and their group's score: by documents, or the mean of the members'."""
    before: dict[str, TaskResult] = {}
    now: dict[str, TaskResult] = {}
    for index, (task, n) in enumerate(sizes.items()):
        before[task], now[task] = records.graded(round(n * (0.9 - 0.2 * index)), n, losses=losses)
    readings = []
    for results in (before, now):
        scores = [records.accuracy(result) for result in results.values()]
        weights = list(sizes.values()) if weighted else [1] * len(sizes)
        whole = TaskResult(metric="acc", n=sum(sizes.values()), members=tuple(sizes))
        score = float(np.average(scores, weights=weights))
        readings.append(records.tasks({**results, "mmlu": whole}, {"mmlu": score}))
    return readings[0], readings[1]


def test_a_group_weighted_by_documents_is_one_pool_of_documents(records: ModuleType) -> None:
    before, now = group(records, {"a": 100, "b": 300}, 30, weighted=True)
    drop = drop_of("mmlu", before, now, "after 5 edits")
    assert drop == ProportionDrop(n=400, gains=0, losses=60, right=90 + 210, flipped=60, guess=0.25)


def test_any_other_group_is_the_mean_of_its_members_and_resampled_member_by_member(
    records: ModuleType,
) -> None:
    before, now = group(records, {"a": 100, "b": 300}, 30, weighted=False)
    drop = drop_of("mmlu", before, now, "after 5 edits")
    assert isinstance(drop, ResampledDrop)
    assert drop.now - drop.before == pytest.approx(-(0.30 + 0.10) / 2)
    error = np.sqrt((0.3 * 0.7 / 100 + 0.1 * 0.9 / 300) / 4)
    low, high = drop.limits(0.95)
    assert (low, high) == pytest.approx((-0.2 - 1.645 * error, -0.2 + 1.645 * error), abs=0.006)


def test_groups_of_groups_are_taken_apart(records: ModuleType) -> None:
    before, now = group(records, {"a": 100, "b": 300}, 30, weighted=True)
    readings = []
    for reading in (before, now):
        outer = TaskResult(metric="acc", n=400, members=("mmlu",))
        readings.append(
            reading.model_copy(
                update={
                    "tasks": {**reading.tasks, "all": outer},
                    "values": {**reading.values, "all": reading.values["mmlu"]},
                }
            )
        )
    assert drop_of("all", *readings, "after 5 edits") == drop_of("mmlu", *readings, "after 5 edits")


def test_a_score_that_the_documents_do_not_give_is_refused(records: ModuleType) -> None:
    before, now = records.graded(80, 100, losses=10)
    readings = records.tasks({"t": before}), records.tasks({"t": now}, {"t": 0.75})
    with pytest.raises(
        CannotJudge, match=r"says 0.8000 before and 0.7500 .*documents give 0.8000 and 0.7000"
    ):
        drop_of("t", *readings, "after 5 edits")


def test_a_task_without_documents_is_refused(records: ModuleType) -> None:
    reading = Reading(over="task", values={"t": 0.8}, tasks={"t": TaskResult(metric="acc", n=100)})
    with pytest.raises(CannotJudge, match="no results by document"):
        drop_of("t", reading, reading, "after 5 edits")


def test_a_group_that_lost_a_member_is_refused(records: ModuleType) -> None:
    before, now = group(records, {"a": 100, "b": 300}, 30, weighted=True)
    whole = now.tasks["mmlu"].model_copy(update={"members": ("a",)})
    with pytest.raises(CannotJudge, match="members"):
        drop_of("mmlu", before, now.model_copy(update={"tasks": {**now.tasks, "mmlu": whole}}), "now")


@given(
    size=st.sampled_from([1e-8, 1e-3, 1.0, 1e5, 1e12]),
    centre=st.sampled_from([0.0, 1.0, -20.0]),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=examples(40))
def test_a_score_agrees_with_its_documents_if_rounding_of_their_results_explains_the_difference(
    size: float, centre: float, seed: int
) -> None:
    values = (np.random.default_rng(seed).standard_normal((2, 60)) + centre) * size

    def reading(numbers: np.ndarray, score: float) -> Reading:
        result = TaskResult(metric="m", n=60, doc_ids=tuple(range(60)), values=tuple(numbers.tolist()))
        return Reading(over="task", values={"t": score}, tasks={"t": result})

    summed = [float(np.cumsum(one.astype(np.float32))[-1] / 60) for one in values]  # as float32 sums it
    drop = drop_of("t", *(reading(*one) for one in zip(values, summed, strict=True)), "now")
    assert drop.before == pytest.approx(values[0].mean(), rel=1e-6, abs=1e-9 * size)
    far = [summed[0], summed[1] + 1e-3 * size * (1 + abs(centre))]
    with pytest.raises(CannotJudge, match="documents give"):
        drop_of("t", *(reading(*one) for one in zip(values, far, strict=True)), "now")
