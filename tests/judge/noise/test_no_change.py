"""Documents of which none changed: what they could have hidden."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stability.judge.noise.drops import ResampledDrop, documents_right
from stability.judge.noise.no_change import NoChange
from stability.judge.noise.paired import PairedAnswers

PATH = np.linspace(0, 1, 101)


def unchanged(*sizes: int, metric: str = "acc", positive: float = 1.0) -> ResampledDrop:
    """Members of equal weight, all of whose documents are right, before and now."""
    members = []
    for n in sizes:
        gold = np.array([1, 0])
        counts = np.array([positive * n, n - positive * n])
        members.append((1 / len(sizes), PairedAnswers(metric, gold, gold, gold, counts, 0)))
    return ResampledDrop(tuple(members), (0,))


def test_as_many_may_be_lost_unseen_as_would_go_unseen_one_time_in_twenty() -> None:
    for documents in (20, 100, 1000):
        none = NoChange(PATH, PATH, documents)
        assert (1 + none.limit(0.05)) ** documents == pytest.approx(0.05)
        assert none.limit(0.95) == -none.limit(0.05)


def test_the_p_value_at_a_limit_is_its_level() -> None:
    whole = NoChange(PATH, 0.8 * PATH, 50)
    for level in (0.001, 0.05, 0.3, 0.7, 0.95):
        assert whole.p_value(whole.limit(1 - level)) == pytest.approx(level)


def test_a_group_that_is_all_right_and_unchanged_holds_with_an_interval() -> None:
    drop = unchanged(50, 50, 50)
    low, high = drop.limits(0.95)
    assert low == pytest.approx(0.05 ** (1 / 150) - 1)
    assert high == -low
    assert drop.p_value(0.05) > 0.99


def test_a_group_is_as_uncertain_as_its_smallest_members_make_it() -> None:
    equal, unequal = unchanged(50, 50, 50).limits(0.95), unchanged(5, 5, 140).limits(0.95)
    assert unequal[0] < 3 * equal[0] < 0


def test_f1_that_is_right_and_unchanged_has_an_interval() -> None:
    low, _ = unchanged(200, metric="f1", positive=0.2).limits(0.95)
    lost = 1 - 0.05 ** (1 / 200)
    assert low == pytest.approx(2 * 40 * (1 - lost) / (40 * (2 - lost) + 160 * lost) - 1, abs=1e-3)


def test_no_drop_at_all_is_as_likely_as_not_and_a_gain_as_unlikely_as_a_loss() -> None:
    none = NoChange(PATH, PATH, 50)
    assert none.p_value(0.0) == 0.5
    assert none.p_value(-0.05) == 1 - none.p_value(0.05)
    assert none.p_value(1.0) == 0.0


def test_clusters_that_are_right_can_be_lost_no_more_often_than_there_are_clusters() -> None:
    gold, counts = np.array([1, 1]), np.array([80.0, 20.0])  # right and wrong
    answers = np.array([1, 0])
    alone = PairedAnswers("acc", gold, answers, answers, counts, 0)
    assert documents_right(alone) == 80
    clustered = replace(alone, by_cluster=np.tile(counts / 10, (10, 1)))
    assert documents_right(clustered) == 10
    assert documents_right(replace(alone, by_cluster=np.tile(counts / 90, (90, 1)))) == 80
