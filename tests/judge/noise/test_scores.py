"""Scores from counts, held against scikit-learn's on the documents themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from stability.judge.noise.scores import score


def documents(classes: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    label = st.integers(0, classes - 1)
    return st.lists(st.tuples(label, label), min_size=1, max_size=60)


def from_counts(metric: str, pairs: list[tuple[int, int]]) -> float:
    cells, counts = np.unique(np.array(pairs), axis=0, return_counts=True)
    return float(score(metric, cells[:, 0], cells[:, 1], counts.astype(np.float64)))


@given(documents(2))
def test_f1_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    gold, answer = zip(*pairs, strict=True)
    assert from_counts("f1", pairs) == pytest.approx(f1_score(gold, answer, zero_division=0), abs=1e-12)


@given(documents(4))
def test_matthews_correlation_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    gold, answer = zip(*pairs, strict=True)
    expected = matthews_corrcoef(gold, answer) if len({*gold, *answer}) > 1 else 0.0
    assert from_counts("mcc", pairs) == pytest.approx(expected, abs=1e-9)


@given(documents(5))
def test_anything_else_is_the_share_of_right_answers(pairs: list[tuple[int, int]]) -> None:
    gold, answer = zip(*pairs, strict=True)
    assert from_counts("acc_norm", pairs) == pytest.approx(accuracy_score(gold, answer))


@pytest.mark.parametrize("metric", ["acc", "f1", "mcc"])
def test_rows_of_counts_are_scored_row_by_row(metric: str) -> None:
    gold, answer = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    counts = np.random.default_rng(0).integers(1, 50, (7, 4)).astype(np.float64)
    together = score(metric, gold, answer, counts)
    np.testing.assert_allclose(together, [score(metric, gold, answer, row) for row in counts])
