from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from stability.judge.noise.holm import holm
from tests.examples import examples

P_VALUES = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=30)


@settings(max_examples=examples(12))
@given(P_VALUES, st.floats(0.01, 0.3))
def test_the_decisions_are_those_of_statsmodels(p_values: list[float], alpha: float) -> None:
    expected = multipletests(p_values, alpha=alpha, method="holm")[0]
    assert [decision.rejected for decision in holm(p_values, alpha)] == expected.tolist()


@given(P_VALUES, st.floats(0.01, 0.3))
def test_each_level_tells_the_decision(p_values: list[float], alpha: float) -> None:
    for p_value, decision in zip(p_values, holm(p_values, alpha), strict=True):
        assert decision.rejected == (p_value <= decision.level)
        assert alpha / len(p_values) <= decision.level <= alpha


def test_a_rejected_hypothesis_makes_room_for_the_next() -> None:
    decisions = holm([0.03, 0.012, 0.02], 0.05)
    assert [decision.rejected for decision in decisions] == [True, True, True]
    assert [decision.level for decision in decisions] == [0.05, 0.05 / 3, 0.025]


def test_an_empty_family_has_no_decisions() -> None:
    assert holm([], 0.05) == []
