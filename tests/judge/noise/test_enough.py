"""A bootstrap on too few documents is refused, by name; on just enough it keeps its level."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from stability.judge.noise.drops import ResampledDrop
from stability.judge.noise.enough import OF_MORE, OF_THE_RARER, check_enough, numbers_needed
from stability.judge.noise.paired import PairedAnswers, PairedNumbers
from stability.judge.noise.tasks import drop_of
from stability.judge.problems import CannotJudge
from stability.record import Reading, TaskResult

TOLERANCE = 0.05


def numbers(before: np.ndarray, now: np.ndarray, records: ModuleType) -> tuple[Reading, Reading]:
    results = [
        TaskResult(metric="score", n=len(one), doc_ids=tuple(range(len(one))), values=tuple(one.tolist()))
        for one in (before, now)
    ]
    return records.tasks({"t": results[0]}), records.tasks({"t": results[1]})


def by_class(metric: str, positive: int, n: int, records: ModuleType) -> tuple[Reading, Reading]:
    gold = np.array([1] * positive + [0] * (n - positive))
    now = gold.copy()
    now[0] = 0
    scores = {
        "f1": 2 * (positive - 1) / (2 * positive - 1),
        "mcc": float(np.corrcoef(gold, now)[0, 1]),
    }
    return (
        records.tasks({"t": records.answers(gold, gold, metric=metric)}, {"t": 1.0}),
        records.tasks({"t": records.answers(gold, now, metric=metric)}, {"t": scores[metric]}),
    )


@pytest.mark.parametrize(("n", "words"), [(1, "it has 1 document,"), (29, "it has 29 documents,")])
def test_numbers_of_fewer_than_thirty_documents_are_refused(records: ModuleType, n: int, words: str) -> None:
    before = np.linspace(0.4, 0.6, n)
    with pytest.raises(CannotJudge, match=words) as refused:
        drop_of("t", *numbers(before, before - 0.2 * before, records), "now")
    assert refused.value.problem.kind == "too_few_to_resample"
    assert refused.value.problem.count == n


@pytest.mark.parametrize(
    ("tests", "needed"), [(1, 30), (3, 30), (4, 50), (15, 50), (16, 100), (75, 100), (76, 200), (400, 200)]
)
def test_the_more_drops_are_tested_together_the_more_documents_of_numbers_are_needed(
    tests: int, needed: int
) -> None:
    def drop(n: int) -> ResampledDrop:
        before = np.linspace(0.4, 0.6, n)
        return ResampledDrop(((1.0, PairedNumbers("score", before, 0.9 * before, n)),), (0,))

    check_enough("t", drop(needed), tests)
    together = f" where {tests} drops are tested together" if needed > 30 else ""
    with pytest.raises(CannotJudge, match=f"{needed - 1} documents, .* told from {needed} on{together}: m"):
        check_enough("t", drop(needed - 1), tests)


@pytest.mark.parametrize("tests", [15, 400])
def test_answers_need_no_more_documents_in_a_larger_family(records: ModuleType, tests: int) -> None:
    drop = drop_of("t", *by_class("f1", OF_THE_RARER, 60, records), "now")
    assert isinstance(drop, ResampledDrop)
    assert drop.n < OF_MORE
    check_enough("t", drop, tests)


def test_a_group_of_which_one_task_has_too_few_documents_is_refused(records: ModuleType) -> None:
    members = {"a": records.graded(3, 4), "b": records.graded(60, 100, losses=5)}
    readings = []
    for time in (0, 1):
        results = {task: pair[time] for task, pair in members.items()}
        mean = float(np.mean([records.accuracy(one) for one in results.values()]))
        group = TaskResult(metric="acc", n=104, members=("a", "b"))
        readings.append(records.tasks({**results, "g": group}, {"g": mean}))
    with pytest.raises(CannotJudge, match="a task of the group has 4 documents"):
        drop_of("g", *readings, "now")


@pytest.mark.parametrize(("sizes", "told"), [((100, 5), 19), ((100, 10), None), ((15, 15), None)])
def test_a_group_of_numbers_counts_as_many_documents_as_would_tell_as_much_at_equal_weights(
    records: ModuleType, sizes: tuple[int, int], told: int | None
) -> None:
    rng = np.random.default_rng(0)
    readings: list[dict[str, TaskResult]] = [{}, {}]
    for name, n in zip("ab", sizes, strict=True):
        for time in (0, 1):
            values = tuple(rng.random(n).tolist())
            readings[time][name] = TaskResult(
                metric="score", n=n, doc_ids=tuple(range(n)), values=values, gold=(), predicted=()
            )
    group = TaskResult(metric="score", n=sum(sizes), members=("a", "b"))
    pair = [
        records.tasks(
            {**one, "g": group},
            {"g": float(np.mean([np.mean(result.values) for result in one.values()]))},
        )
        for one in readings
    ]
    if told is None:
        assert drop_of("g", *pair, "now").n == sum(sizes)
    else:
        with pytest.raises(CannotJudge, match=f"tells as much as a task of {told} documents.* from 30 on"):
            drop_of("g", *pair, "now")


@pytest.mark.parametrize("metric", ["f1", "mcc"])
def test_scores_by_class_are_refused_below_a_number_of_documents_of_the_rarer_class(
    records: ModuleType, metric: str
) -> None:
    assert drop_of("t", *by_class(metric, OF_THE_RARER, 200, records), "now").n == 200
    with pytest.raises(CannotJudge, match=f"{OF_THE_RARER - 1} .*noise of {metric}.* from {OF_THE_RARER} on"):
        drop_of("t", *by_class(metric, OF_THE_RARER - 1, 200, records), "now")


@pytest.mark.parametrize("before", [np.full(30, 0.5), np.linspace(0.3, 0.9, 30)], ids=["equal", "unequal"])
def test_documents_that_all_changed_by_the_same_amount_are_no_measure_of_noise(
    records: ModuleType, before: np.ndarray
) -> None:
    with pytest.raises(CannotJudge, match=r"all 30 documents changed by the same -0\.25"):
        drop_of("t", *numbers(before, before - 0.25, records), "now")


def test_documents_that_did_not_change_are_judged(records: ModuleType) -> None:
    before = np.linspace(0.2, 0.8, 30)
    low, high = drop_of("t", *numbers(before, before, records), "now").limits(0.95)
    assert -0.2 < low < 0 < high


def share_that_fails(members: list[tuple[tuple[float, PairedAnswers | PairedNumbers], ...]]) -> float:
    return float(np.mean([ResampledDrop(one, (0,)).p_value(TOLERANCE) <= 0.05 for one in members]))


@pytest.mark.parametrize("shape", ["normal", "skewed"])
def test_numbers_of_few_documents_fail_one_in_twenty_at_the_tolerance(shape: str) -> None:
    n, rng = numbers_needed(1), np.random.default_rng(7)
    before = rng.normal(0.6, 0.2, (400, n))
    noise = rng.normal(0, 1, (400, n)) if shape == "normal" else rng.exponential(1, (400, n)) - 1
    now = before - TOLERANCE + 0.15 * noise
    pairs = [((1.0, PairedNumbers("score", one, other, n)),) for one, other in zip(before, now, strict=True)]
    assert share_that_fails(pairs) <= 0.06 + 2 * np.sqrt(0.06 * 0.94 / 400)


def test_a_group_whose_smallest_members_hardly_changed_covers_what_they_may_have_lost() -> None:
    rng = np.random.default_rng(4)
    cells = np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0])  # right before, right now
    shares = [0.525, 0.075, 0.025, 0.375]
    covered = []
    for _ in range(150):
        counts = [rng.multinomial(n, shares) for n in (5, 5, 5, 200, 200)]
        members = [PairedAnswers("acc", np.ones(4, int), *cells, one.astype(float), 0) for one in counts]
        drop = ResampledDrop(tuple((1 / 5, one) for one in members), (0,))
        covered.append(drop.limits(0.95)[0] <= -TOLERANCE)
    assert np.mean(covered) >= 0.90 - 2 * np.sqrt(0.09 / 150)


@pytest.mark.torture
def test_a_group_of_small_members_fails_one_in_twenty_at_the_tolerance() -> None:
    rng = np.random.default_rng(3)
    cells = np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0])  # right before, right now
    shares = [0.475, 0.125, 0.075, 0.325]
    groups = []
    for _ in range(400):
        counts = [rng.multinomial(n, shares) for n in (5, 5, 5, 5, 5, 5, 60, 60)]
        groups.append(
            tuple(
                (1 / 8, PairedAnswers("acc", np.ones(4, int), *cells, count.astype(float), 0))
                for count in counts
            )
        )
    assert share_that_fails(groups) <= 0.06 + 2 * np.sqrt(0.06 * 0.94 / 400)


@pytest.mark.torture
def test_f1_of_just_enough_positives_keeps_its_level_and_its_lower_limit() -> None:
    rng = np.random.default_rng(5)
    gold, before, now = np.array(
        [[1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 1, 1], [1, 0, 1, 0, 0, 1, 1, 0]]
    )
    shares = np.array([0.0975, 0.009, 0.00375, 0.015, 0.855, 0.001, 0.013, 0.00575])
    shares = shares / shares.sum()
    whole = PairedAnswers("f1", gold, before, now, shares, 0)
    was, is_now = whole.scores(shares)
    true = float(is_now - was)
    failed = covered = 0
    for _ in range(500):
        counts = rng.multinomial(200, shares).astype(float)
        drop = ResampledDrop(((1.0, PairedAnswers("f1", gold, before, now, counts, 0)),), (0,))
        failed += drop.p_value(-true) <= 0.05
        covered += drop.limits(0.95)[0] <= true
    assert failed / 500 <= 0.06 + 2 * np.sqrt(0.06 * 0.94 / 500)
    assert covered / 500 >= 0.90
