"""Pairing a task's documents before and now."""

from __future__ import annotations

from collections import Counter
from types import ModuleType

import numpy as np
import pytest

from stability.judge.noise.paired import PairedAnswers, PairedNumbers, pair
from stability.judge.problems import CannotJudge
from stability.record import TaskResult


def test_documents_are_matched_by_id_whatever_their_order(records: ModuleType) -> None:
    before, now = records.graded(60, 100, gains=3, losses=10)
    shuffled = np.random.default_rng(0).permutation(100)
    mixed = now.model_copy(
        update={
            "doc_ids": tuple(int(i) for i in shuffled),
            "gold": tuple(now.gold[i] for i in shuffled),
            "predicted": tuple(now.predicted[i] for i in shuffled),
        }
    )
    paired = pair("choice", before, mixed, "after 5 edits")
    assert isinstance(paired, PairedAnswers)
    assert (paired.n, paired.gains, paired.losses, paired.right) == (100, 3, 10, 60)


def test_an_answer_that_changes_from_wrong_to_wrong_is_a_flip_but_neither_gain_nor_loss(
    records: ModuleType,
) -> None:
    before, now = records.answers([0, 0, 0], [1, 1, 0]), records.answers([0, 0, 0], [2, 1, 0])
    paired = pair("choice", before, now, "after 5 edits")
    assert isinstance(paired, PairedAnswers)
    assert (paired.flipped, paired.gains, paired.losses) == (1, 0, 0)


def test_values_of_zero_and_one_are_right_and_wrong() -> None:
    before = TaskResult(metric="exact_match", n=4, doc_ids=(0, 1, 2, 3), values=(1, 1, 0, 0))
    now = before.model_copy(update={"values": (1.0, 0.0, 1.0, 0.0)})
    paired = pair("recall", before, now, "after 5 edits")
    assert isinstance(paired, PairedAnswers)
    assert (paired.gains, paired.losses, paired.right) == (1, 1, 2)


def test_other_values_are_numbers() -> None:
    before = TaskResult(metric="bleu", n=2, doc_ids=(4, 2), values=(0.5, 0.25))
    paired = pair("translation", before, before, "after 5 edits")
    assert isinstance(paired, PairedNumbers)
    assert paired.before.tolist() == [0.25, 0.5]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"doc_ids": (0, 1, 2, 9)}, "document 3"),
        ({"doc_ids": (0, 1, 2), "gold": (0, 0, 1), "predicted": (0, 0, 1), "n": 3}, "document 3"),
        ({"gold": (0, 0, 1, 0)}, "right answers"),
        ({"doc_ids": ()}, "no results by document"),
        ({"predicted": (0, 0, 1)}, "differ in number"),
        ({"doc_ids": (0, 1, 2, 2)}, "differ in number"),
        ({"doc_ids": (0, 1, 2, 3, 3)}, "differ in number"),
        ({"predicted": (), "gold": (), "values": (1.0, 0.0, 0.0, 1.0)}, "cannot be paired"),
    ],
)
def test_documents_that_do_not_belong_together_are_refused(
    records: ModuleType, changes: dict[str, object], complaint: str
) -> None:
    before = records.answers([0, 0, 1, 1], [0, 1, 1, 1])
    with pytest.raises(CannotJudge, match=complaint):
        pair("pair", before, before.model_copy(update=changes), "after 5 edits")


def test_a_result_that_is_not_finite_is_refused() -> None:
    before = TaskResult(metric="bleu", n=2, doc_ids=(0, 1), values=(0.5, 0.25))
    with pytest.raises(CannotJudge, match="not finite"):
        pair("t", before, before.model_copy(update={"values": (0.5, float("nan"))}), "after 5 edits")


def test_f1_of_three_classes_is_refused(records: ModuleType) -> None:
    before = records.answers([0, 1, 2], [0, 1, 2], metric="f1")
    with pytest.raises(CannotJudge, match="f1 is known for classes 0 and 1"):
        pair("t", before, before, "after 5 edits")


def test_answers_in_classes_that_no_document_has_are_kept_apart(records: ModuleType) -> None:
    rng = np.random.default_rng(0)
    gold, before, now = rng.integers(0, 2, 50), rng.integers(0, 4, 50), rng.integers(0, 3, 50)
    paired = pair(
        "choice", records.answers(gold, before, metric="mcc"), records.answers(gold, now, metric="mcc"), "now"
    )
    assert isinstance(paired, PairedAnswers)
    cells = zip(paired.gold, paired.before, paired.now, paired.counts, strict=True)
    found = {(int(g), int(b), int(n)): int(count) for g, b, n, count in cells}
    assert found == Counter(zip(gold.tolist(), before.tolist(), now.tolist(), strict=True))
