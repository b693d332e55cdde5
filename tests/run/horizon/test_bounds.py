"""The search by itself: answers of any kind in, the horizon and its ends out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rates.answers import Choices, Fate
from benchmarks.rates.horizon import HorizonCell, search
from benchmarks.rates.records import record, suite
from stability.judge import NoiseFigures, Status, Verdict
from stability.record import EditorInfo
from stability.run.horizon.bounds import HorizonBounds, Predicate, Search
from stability.run.horizon.point import Answer, PointSuite
from stability.run.horizon.search import EditorHorizon, SeedHorizon

EDITS = 40


def answer(status: Status, *, shown: bool | None = None, likely: bool = False) -> Answer:
    """Of a single check."""
    noise = NoiseFigures(shown_to_hold=shown)
    verdict = Verdict("editor", "drop", "drop", "task_score", status, ">= -0.05", noise=noise)
    return Answer((verdict,), frozenset({"drop"}) if likely else frozenset())


SHOWN, HOLDS = answer("pass", shown=True), answer("pass", shown=False)
DOUBTFUL, FAILS = answer("inconclusive", shown=False, likely=True), answer("fail")


def searched(answers: list[Answer], *, every: bool = False, first: tuple[int, ...] = (EDITS,)):
    """The bounds that are found, and how often was asked; the first of the answers is that after one edit."""
    asked = []

    def ask(edits: int, _: Predicate) -> Answer:
        asked.append(edits)
        return answers[edits - 1]

    asking = Search(ask, range(1, EDITS + 1))
    return asking.every() if every else asking.bisect(first), asked


@given(
    st.lists(st.integers(0, EDITS), min_size=3, max_size=3).map(sorted), st.booleans(), st.integers(1, EDITS)
)
def test_what_is_shown_what_holds_and_what_fails_are_each_found_exactly(
    ends: list[int], every: bool, first: int
) -> None:
    shown, held, last = ends
    answers = (
        [SHOWN] * shown + [HOLDS] * (held - shown) + [DOUBTFUL] * (last - held) + [FAILS] * (EDITS - last)
    )
    found, asked = searched(answers, every=every, first=(first, EDITS))
    assert found == HorizonBounds(
        shown, held, held + 1 if held < EDITS else None, last + 1 if last < EDITS else None
    )
    assert len(set(asked)) == len(asked)
    if not every:
        assert len(asked) <= 2 + 3 * np.log2(EDITS)


@given(st.integers(0, EDITS))
def test_without_noise_one_bisection_is_all_there_is(held: int) -> None:
    found, asked = searched([answer("pass")] * held + [FAILS] * (EDITS - held))
    assert (found.shown, found.held) == (held, held)
    assert found.failed == found.fails
    assert len(asked) <= 1 + np.ceil(np.log2(EDITS))


def test_measured_everywhere_the_estimate_is_where_the_fewest_are_on_the_wrong_side() -> None:
    answers = [SHOWN] * 5 + [HOLDS] * 5 + [DOUBTFUL] + [HOLDS] * 9 + [DOUBTFUL] * 3 + [HOLDS] + [DOUBTFUL] * 6
    found, asked = searched(answers + [FAILS] * 10, every=True)
    assert found == HorizonBounds(shown=5, held=20, failed=21, fails=31)
    assert asked == list(range(1, 32))


def test_what_is_within_noise_does_not_count_as_holding() -> None:
    found, _ = searched([DOUBTFUL] * EDITS)
    assert found == HorizonBounds(shown=0, held=0, failed=1, fails=None)


def test_an_editor_that_can_go_no_further_ends_all_three() -> None:
    asking = Search(lambda edits, _: SHOWN if edits <= 17 else None, range(1, EDITS + 1))
    assert asking.bisect((20, EDITS)) == HorizonBounds(17, 17, 18, 18)


def test_a_search_pays_for_every_number_of_edits_that_it_may_look_at() -> None:
    rng = np.random.default_rng(0)
    before = {"a": Choices().draw(rng, 1000)}
    point = PointSuite.of(suite(before))
    for drop, alone, searching in ((0.075, "fail", "inconclusive"), (0.15, "fail", "fail")):
        now = Choices().edited(before["a"], Fate.draw(rng, 1000, 1, 0)[0], 0.2, drop)
        made = record(before, [[{"a": now}]])
        assert point.answer(made, made.runs[0]).verdicts[0].status == alone
        assert point.one_of(300, made, made.runs[0]).verdicts[0].status == searching


def test_what_the_documents_leave_open_is_left_open() -> None:
    cell = HorizonCell("rising, .05 at 50", "bisected", tasks=1, n=5000)
    found = search(cell, np.random.default_rng(0))
    assert 0 < found.shown < found.held < found.fails
    assert found.shown <= cell.truth < found.fails


def seed(number: int, edits: int, at_least: int, at_most: int | None) -> SeedHorizon:
    return SeedHorizon(number, edits, at_least, at_most, edits + 1, (), None, 0, 0, 0, {})


def test_what_is_open_at_the_seeds_is_open_for_their_median_and_worst() -> None:
    info = EditorInfo(name="ft", source="built-in", settings={})
    seeds = (seed(0, 20, 15, 30), seed(1, 12, 3, None), seed(2, 26, 24, 28))
    found = EditorHorizon(info, seeds)
    assert (found.median, found.median_at) == (20, (15, 30))
    assert (found.worst, found.worst_at) == (12, (3, 28))
    assert (found.orders, found.orders_confidence) == ((3, None), 0.75)
    assert EditorHorizon(info, seeds[:1]).orders is None


@pytest.mark.parametrize("count", [2, 3, 6])
def test_the_seeds_ends_hold_the_median_order_as_often_as_is_said(count: int) -> None:
    drawn = np.random.default_rng(0).random((20_000, count))
    inside = (drawn.min(axis=1) <= 0.5) & (drawn.max(axis=1) >= 0.5)
    seeds = tuple(seed(number, 1, 1, 1) for number in range(count))
    said = EditorHorizon(EditorInfo(name="ft", source="built-in", settings={}), seeds).orders_confidence
    assert inside.mean() == pytest.approx(said, abs=0.01)
