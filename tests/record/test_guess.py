"""What a guess scores, by how often each choice is right."""

from __future__ import annotations

import numpy as np
import pytest

from stability.record.guess import Constants, pooled

LETTERS = ("A", "B", "C", "D")


def test_of_choices_that_are_right_equally_often_it_is_one_in_k_however_the_few_documents_fall() -> None:
    rng = np.random.default_rng(0)
    guesses = [
        Constants.of(rng.integers(0, 4, n).tolist(), [LETTERS] * n) for n in (20, 100, 400) for _ in range(50)
    ]
    assert np.mean([one is not None and one.guess == 0.25 for one in guesses]) > 0.9


def test_of_labels_of_which_one_is_frequent_it_is_that_ones_share() -> None:
    found = Constants.of([1] * 70 + [0] * 30, [("no", "yes")] * 100)
    assert found is not None
    assert found.guess == 0.7


def test_of_choices_that_are_other_ones_for_each_document_it_is_one_in_k() -> None:
    found = Constants.of([0, 0, 0, 0], [("a", "b"), ("c", "d"), ("e", "f", "g", "h"), ("i", "j", "k", "l")])
    assert found is not None
    assert found.guess == pytest.approx(0.375)


def test_of_several_tasks_together_it_is_one_answer_to_all_of_them() -> None:
    first = Constants.of([0] * 60 + [1] * 20, [LETTERS] * 80)
    second = Constants.of([1] * 60 + [0] * 20, [LETTERS] * 80)
    assert first is not None
    assert second is not None
    assert (first.guess, second.guess) == (0.75, 0.75)
    assert pooled([first, second], [80, 80]).guess == 0.5
    assert pooled([first, second], [3, 1]).guess == pytest.approx(0.625)
