"""Who fails where first."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from stability.judge import Judgement, judge
from stability.record import Record
from stability.report.charts.matrix import matrix

Gate = Callable[..., tuple[Record, Judgement]]


def test_editors_stand_in_the_order_in_which_they_fail(gate: Gate, records: ModuleType) -> None:
    growths = {"none": 0.0, "memit": 0.016, "rome": 0.004, "ft": 0.04}
    base, _ = records.whole_run()
    runs = [records.whole_run(name, growth=growth)[1] for name, growth in growths.items()]
    rows = matrix(gate(*runs, base=base)[1]).rows
    assert [(row.editor.editor, row.index) for row in rows] == [
        ("ft", 3), ("memit", 1), ("none", 0), ("rome", 2)
    ]  # fmt: skip
    assert [row.first.split(" at ")[-1] for row in rows] == ["20", "60", "", ""]


def test_one_that_could_not_be_measured_comes_after_those_that_failed(
    gate: Gate, records: ModuleType
) -> None:
    base, failed = records.whole_run()
    _, held = records.whole_run("rome", growth=0.004)
    broken = records.run([], editor="ft", status="failed", error="boom", failed_at=0, edits=0)
    rows = matrix(gate(held, broken, failed, base=base)[1]).rows
    assert [row.editor.editor for row in rows] == ["memit", "ft", "rome"]


def test_a_check_that_only_warned_is_never_what_failed_first(gate: Gate, records: ModuleType) -> None:
    base, early = records.whole_run("early", growth=0.04)
    _, late = records.whole_run("late")
    record, _ = gate(late, early, base=base)
    suite = records.suite("""
norm: {metric: weight_norm, where: {matrices: edited}, relative_to: base, assert: "<= 2.0", severity: warn}
took: {metric: edit_success, assert: "<= 1"}
""")
    rows = matrix(judge(suite, record)).rows
    assert [(row.editor.editor, row.first, row.cells[0].status) for row in rows] == [
        ("early", "", "warn"),
        ("late", "", "warn"),
    ]
    assert "held to 40, warned at 60" in rows[1].cells[0].words
    assert [row.editor.held_to for row in rows] == [120, 120]


def test_a_cell_says_the_status_the_edits_and_the_value(gate: Gate) -> None:
    found = matrix(gate()[1])
    cells = dict(zip(found.checks, found.rows[0].cells, strict=True))
    norm, frozen = cells["edited_weight_norm"], cells["frozen"]
    assert (norm.status, norm.sign, norm.at) == ("fail", "✗", 60)
    assert norm.words == "fail 6.82 <= 2.0 held to 40, failed at 60"
    assert (frozen.status, frozen.sign, frozen.at) == ("pass", "✓", None)
    assert cells["task_drop[wnli]"].sign == "–"


def test_a_check_that_an_editor_was_not_asked_is_an_empty_cell(gate: Gate, records: ModuleType) -> None:
    base, run = records.whole_run()
    _, judgement = gate(run, records.whole_run("rome")[1], base=base)
    less = judgement.editors[1]
    kept = type(less)(less.editor, less.verdicts[1:], less.runs)
    rows = matrix(type(judgement)(judgement.suite, judgement.model, (judgement.editors[0], kept))).rows
    [cell] = [row.cells[0] for row in rows if row.editor.editor == "rome"]
    assert (cell.status, cell.words) == (None, "not asked")


def test_checks_that_any_editor_fails_come_first_and_the_skipped_last(
    gate: Gate, records: ModuleType
) -> None:
    base, failed = records.whole_run()
    _, held = records.whole_run("rome", growth=0.004)
    found = matrix(gate(held, failed, base=base)[1])
    statuses = [[cell.status for cell in row.cells] for row in found.rows]
    worst = ["fail" if "fail" in column else column[0] for column in zip(*statuses, strict=True)]
    order = ["fail", "warn", "inconclusive", "pass", "skip"]
    assert worst == sorted(worst, key=order.index)
    assert (worst[0], worst[-1]) == ("fail", "skip")
