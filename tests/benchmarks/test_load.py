"""Large loads in their small form: an edit costs what the first one did, and nothing grows with the square."""

import pytest

from benchmarks.load.growth import with_checks, with_editors
from benchmarks.load.long_run import long_run, quarters, suite_text
from benchmarks.load.rank_one import RankOne
from benchmarks.load.table import LINEAR, Row, past
from benchmarks.load.work import calls, exponent
from stability.api import Suite
from stability.run import Silent
from stability.testing.tiny import tiny_model

EDITS, CHECKPOINTS = 15, 3


class Counting(Silent):
    """Notes the calls that were made from one edit to the next."""

    def __init__(self):
        self.counts = []
        self.total = 0

    def edits(self, label, done, total):
        self.counts.append(self.total)


def test_an_edit_makes_as_many_calls_as_the_first_one_did(tmp_path):
    model = tiny_model("gpt2")
    suite = Suite.parse(suite_text(EDITS, CHECKPOINTS, tmp_path))
    listener = Counting()

    def note():
        listener.total += 1

    calls(
        lambda: suite.run(RankOne, model=model.model, tokenizer=model.tokenizer, listener=listener), note=note
    )
    made = [after - before for before, after in zip(listener.counts, listener.counts[1:], strict=False)]
    each = EDITS // CHECKPOINTS
    between = [count for number, count in enumerate(made, start=1) if number % each]  # without a checkpoint
    first, last = between[: each - 1], between[1 - each :]
    assert sum(last) == pytest.approx(sum(first), rel=0.02)
    assert len(listener.counts) == EDITS


def test_a_run_of_twice_the_edits_leaves_twice_the_bytes_at_most(tmp_path):
    found = []
    for edits in (10, 20):
        (folder := tmp_path / str(edits)).mkdir()
        found.append(long_run(edits, 2, folder))
    once, twice = found
    assert (twice.edits, twice.checkpoints) == (20, 2)
    assert twice.bytes_an_edit * 20 < 2 * once.bytes_an_edit * 10
    assert min(*twice.run_mib, *twice.record_mib, *twice.seconds) > 0


@pytest.mark.parametrize(("growth", "sizes"), [(with_checks, (20, 80)), (with_editors, (4, 16))])
def test_no_stage_grows_with_the_square_of_checks_or_editors(growth, sizes):
    grown = {stage: exponent(counts) for stage, counts in growth(*sizes).items()}
    assert [(stage, power) for stage, power in grown.items() if power > LINEAR] == []


def test_what_grows_with_the_square_is_told_from_what_does_not():
    def pairs(size):
        return [abs(one - other) for one in range(size) for other in range(size)]

    def each(size):
        return [abs(one) for one in range(size)]

    assert exponent({size: calls(lambda size=size: pairs(size)) for size in (10, 100)}) > 1.9
    assert exponent({size: calls(lambda size=size: each(size)) for size in (10, 100)}) < 1.1


def test_quarters_are_the_first_and_the_last():
    assert quarters([1, 2, 3, 4, 5, 6, 7, 8, 9], max) == (2, 9)
    assert quarters([5], min) == (5, 5)


def test_a_figure_past_its_limit_is_told():
    wrong = Row("load", "memory", 1.2, 1.05)
    assert past([Row("load", "time", 1.2, 1.2), wrong]) == [wrong]
