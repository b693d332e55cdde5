"""Documents that share a passage are resampled together."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from scipy.stats import norm

from stability.judge import judge
from stability.judge.noise.drops import ResampledDrop
from stability.judge.noise.paired import PairedNumbers
from stability.judge.noise.tasks import drop_of
from stability.judge.problems import CannotJudge
from stability.record import Reading, TaskResult

TOLERANCE = 0.05
CHECK = """
task_drop:
  metric: task_score
  where: {task: reading}
  relative_to: base
  change: absolute
  assert: ">= -0.05"
  noise: {confidence: 0.95CLUSTER}
"""


def answered(right: np.ndarray, records: ModuleType, passage: np.ndarray | None = None) -> TaskResult:
    """A four-choice task whose documents are right or wrong [documents]."""
    gold = np.arange(len(right)) % 4
    clusters = {} if passage is None else {"passage": tuple(passage.tolist())}
    return records.answers(gold, np.where(right, gold, (gold + 1) % 4), chance=0.25, clusters=clusters)


def readings(before: TaskResult, now: TaskResult, records: ModuleType) -> tuple[Reading, Reading]:
    return records.tasks({"reading": before}), records.tasks({"reading": now})


def test_documents_that_are_copies_count_once(records: ModuleType) -> None:
    rng = np.random.default_rng(0)
    right, lost = rng.random(100) < 0.8, rng.random(100) < 0.2
    passage = np.arange(100)
    once = readings(answered(right, records, passage), answered(right & ~lost, records, passage), records)
    copied = readings(
        *(answered(np.repeat(one, 5), records, np.repeat(passage, 5)) for one in (right, right & ~lost)),
        records,
    )
    single = drop_of("reading", *once, "now", cluster="passage")
    together = drop_of("reading", *copied, "now", cluster="passage")
    assert (together.n, together.before, together.now) == (500, single.before, single.now)
    assert together.limits(0.95) == pytest.approx(single.limits(0.95))
    apart = drop_of("reading", *copied, "now").limits(0.95)
    assert apart[1] - apart[0] == pytest.approx(
        (single.limits(0.95)[1] - single.limits(0.95)[0]) / 5**0.5, rel=0.1
    )


@pytest.mark.parametrize("clustered", [True, False])
def test_a_record_is_judged_by_its_passages(records: ModuleType, clustered: bool) -> None:
    right = np.ones(500, dtype=bool)
    now = right.copy()
    now[:60] = False  # all the documents of twelve passages
    passage = np.repeat(np.arange(100), 5)
    before, after = readings(answered(right, records, passage), answered(now, records, passage), records)
    record = records.record(
        records.checkpoint(0, task_score=before), [records.run([records.checkpoint(20, task_score=after)])]
    )
    suite = records.suite(CHECK.replace("CLUSTER", ", cluster: passage" if clustered else ""))
    (verdict,) = judge(suite, record).verdicts
    assert verdict.value == pytest.approx(-0.12)
    low, high = verdict.interval
    n, changed = (100, 12) if clustered else (500, 60)
    width = 1.645 * np.sqrt(0.12 * 0.88 / n * (1 + 2 / changed))
    assert high - low == pytest.approx(2 * width, rel=0.1)


def test_a_record_without_the_field_says_so_in_a_line(records: ModuleType) -> None:
    right = np.arange(100) < 80
    pair = readings(answered(right, records), answered(right, records), records)
    with pytest.raises(
        CannotJudge, match=r"does not have the documents' 'passage' \(noise.cluster\)"
    ) as refused:
        drop_of("reading", *pair, "now", cluster="passage")
    assert refused.value.problem.kind == "not_in_record"
    assert "\n" not in refused.value.problem.message


def test_fewer_than_ten_clusters_are_refused(records: ModuleType) -> None:
    right, now = np.arange(200) < 180, np.arange(200) < 170
    passage = np.arange(200) % 4
    pair = readings(answered(right, records, passage), answered(now, records, passage), records)
    with pytest.raises(CannotJudge, match="it has 4 clusters, and noise can be told from 10 on"):
        drop_of("reading", *pair, "now", cluster="passage")


def test_documents_that_are_copies_do_not_detect_a_smaller_drop(records: ModuleType) -> None:
    passage, right = np.repeat(np.arange(200), 5), np.repeat(np.arange(200) < 160, 5)
    for lost in (0, 10):
        now = right & (np.repeat(np.arange(200), 5) >= lost)
        copied = readings(answered(right, records, passage), answered(now, records, passage), records)
        single = (answered(one[::5], records, passage[::5]) for one in (right, now))
        found, expected = (
            drop_of("reading", *pair, "now", cluster="passage").detects(TOLERANCE, 0.05)
            for pair in (copied, readings(*single, records))
        )
        assert found == pytest.approx(expected, rel=0.01)


def failing(drops: list[ResampledDrop]) -> float:
    return float(np.mean([drop.p_value(TOLERANCE) <= 0.05 for drop in drops]))


def test_a_few_clusters_fail_one_in_twenty_at_the_tolerance() -> None:
    rng = np.random.default_rng(1)
    drops = []
    for _ in range(400):
        cluster = np.repeat(np.arange(10), 10)
        before = rng.normal(0.6, 0.2, 100)
        now = before - TOLERANCE + rng.normal(0, 0.1, 10)[cluster] + rng.normal(0, 0.1, 100)
        drops.append(ResampledDrop(((1.0, PairedNumbers("score", before, now, 100, cluster)),), (0,)))
    assert failing(drops) <= 0.06 + 2 * np.sqrt(0.06 * 0.94 / 400)


@pytest.mark.torture
@pytest.mark.parametrize("correlation", [0.1, 0.6])
def test_correlated_answers_fail_one_in_twenty_at_the_tolerance(
    records: ModuleType, correlation: float
) -> None:
    rng = np.random.default_rng(2)
    passage = np.repeat(np.arange(100), 5)
    together, apart = [], []
    for _ in range(400):
        shared = rng.normal(size=100)[passage]
        drawn = norm.cdf(np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * rng.normal(size=500))
        right = rng.random(500) < 0.6
        now = np.where(right, drawn >= 0.15 / 2 / 0.6, drawn > 1 - 0.05 / 2 / 0.4)
        pair = readings(answered(right, records, passage), answered(now, records, passage), records)
        together.append(drop_of("reading", *pair, "now", cluster="passage"))
        apart.append(drop_of("reading", *pair, "now"))
    assert failing(together) <= 0.06 + 2 * np.sqrt(0.06 * 0.94 / 400)
    assert correlation < 0.5 or failing(apart) > 0.08
