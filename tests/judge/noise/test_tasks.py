"""Tasks and groups: their drops, and whether the unedited model can do them at all."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from stability.judge.noise.drops import ProportionDrop, ResampledDrop
from stability.judge.noise.tasks import at_chance, chance, drop_of
from stability.judge.problems import CannotJudge
from stability.record import Reading, TaskResult


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
    assert drop == ProportionDrop(n=400, gains=0, losses=60, right=90 + 210, flipped=60)


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


class TestChance:
    """A score that is not surely above a guess cannot show a drop."""

    def test_of_an_accuracy_it_is_as_stated_or_else_the_majoritys_rate(self, records: ModuleType) -> None:
        stated = records.tasks({"t": records.answers([0, 1, 1, 1], [0, 1, 1, 1], chance=0.25)})
        counted = records.tasks({"t": records.answers([0, 1, 1, 1], [0, 1, 1, 1])})
        assert chance("t", stated) == 0.25
        assert chance("t", counted) == 0.75

    def test_of_matthews_correlation_it_is_zero_and_of_f1_that_of_calling_everything_positive(
        self, records: ModuleType
    ) -> None:
        gold = [0, 0, 1, 1, 1]
        assert chance("t", records.tasks({"t": records.answers(gold, gold, metric="mcc")})) == 0.0
        assert chance("t", records.tasks({"t": records.answers(gold, gold, metric="f1")})) == pytest.approx(
            2 * 3 / (5 + 3)
        )

    @pytest.mark.parametrize("limit", [5, 20, 100])
    def test_of_a_group_it_is_the_best_single_answer_however_few_documents_each_member_has(
        self, records: ModuleType, limit: int
    ) -> None:
        rng = np.random.default_rng(limit)
        golds = {f"subject_{i}": rng.integers(0, 4, limit) for i in range(57)}
        members = {name: records.answers(gold, gold) for name, gold in golds.items()}
        stated = float(np.mean([np.bincount(gold).max() / limit for gold in golds.values()]))
        whole = TaskResult(metric="acc", n=57 * limit, members=tuple(members), chance=stated)
        reading = records.tasks({"mmlu": whole, **members}, {"mmlu": 1.0})
        pool = np.bincount(np.concatenate(list(golds.values()))).max() / (57 * limit)
        assert chance("mmlu", reading) == pytest.approx(pool)
        assert pool < 0.31

    def test_of_a_group_of_other_scores_it_is_the_mean_of_its_members_by_documents(
        self, records: ModuleType
    ) -> None:
        reading, _ = group(records, {"a": 100, "b": 300}, 0, weighted=True)
        members = {
            "a": reading.tasks["a"].model_copy(update={"chance": 0.5}),
            "b": reading.tasks["b"].model_copy(update={"chance": 0.25}),
            "mmlu": reading.tasks["mmlu"].model_copy(update={"metric": "mean"}),
        }
        mixed = reading.model_copy(update={"tasks": {**reading.tasks, **members}})
        assert chance("mmlu", mixed) == pytest.approx((0.5 * 100 + 0.25 * 300) / 400)

    @pytest.mark.parametrize(("right", "n", "is_chance"), [(36, 71, True), (60, 71, False), (10, 30, True)])
    def test_a_base_score_whose_interval_reaches_down_to_chance_is_at_chance(
        self, records: ModuleType, right: int, n: int, is_chance: bool
    ) -> None:
        result = records.graded(right, n)[0].model_copy(update={"chance": 0.5})
        reason = at_chance("wnli", records.tasks({"wnli": result}), 0.95)
        assert (reason is not None) == is_chance
        if reason:
            assert reason.message.startswith(f"base at chance ({right / n:.2f} of {n} documents")

    def test_of_a_group_that_lacks_a_member_s_documents_nothing_is_said(self, records: ModuleType) -> None:
        before, _ = group(records, {"a": 100, "b": 300}, 30, weighted=True)
        without = before.model_copy(update={"tasks": {"mmlu": before.tasks["mmlu"]}})
        assert at_chance("mmlu", without, 0.95) is None

    @pytest.mark.parametrize("metric", ["f1", "mcc"])
    def test_a_model_that_always_says_yes_is_at_chance(self, records: ModuleType, metric: str) -> None:
        gold = [1] * 60 + [0] * 40
        score = 2 * 60 / 160 if metric == "f1" else 0.0
        reading = records.tasks({"t": records.answers(gold, [1] * 100, metric=metric)}, {"t": score})
        assert at_chance("t", reading, 0.95) is not None

    @pytest.mark.parametrize("metric", ["f1", "mcc"])
    def test_a_model_that_knows_the_task_is_not(self, records: ModuleType, metric: str) -> None:
        gold = np.array([1] * 60 + [0] * 40)
        answers = gold.copy()
        answers[::20] = 1 - answers[::20]
        tp, fp, fn, tn = 57, 2, 3, 38
        scores = {
            "f1": 2 * tp / (2 * tp + fp + fn),
            "mcc": (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)),
        }
        reading = records.tasks({"t": records.answers(gold, answers, metric=metric)}, {"t": scores[metric]})
        assert at_chance("t", reading, 0.95) is None
