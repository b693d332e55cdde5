"""The table on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stability.judge import Judgement
from stability.record import Record
from stability.report import render_terminal, terminal_text

Gate = Callable[..., tuple[Record, Judgement]]


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


def test_a_verdict_says_value_bound_place_bracket_and_margin(gate: Gate) -> None:
    text = render_terminal(*gate())
    [row] = [line for line in lines(text) if "edited_weight_norm" in line]
    assert (
        row.split() == "FAIL edited_weight_norm 6.82 <= 2.0 h.1.mlp.c_proj held to 40, failed at 60".split()
    )
    assert "margin -241 %" in text


def test_failed_checks_come_first_and_skipped_ones_last(gate: Gate) -> None:
    rows = [line.split()[0] for line in lines(render_terminal(*gate())) if line.startswith("  ")]
    order = [row for row in rows if row in ("FAIL", "warn", "inconclusive", "pass", "skip")]
    assert order == sorted(order, key=["FAIL", "warn", "inconclusive", "pass", "skip"].index)
    assert order[0] == "FAIL"


def test_the_last_lines_count_and_say_how_to_run_it_again(gate: Gate) -> None:
    record, judgement = gate()
    *_, tally, again = lines(render_terminal(record, judgement, folder=Path("reports/x")))
    assert (
        tally
        == "2 failed, 5 passed, 1 warned, 2 inconclusive, 1 skipped (task_drop[wnli]) · reports/x/report.html"
    )
    assert again == f"again: {record.command}"


def test_a_suite_that_is_in_no_file_has_no_command_to_repeat(gate: Gate) -> None:
    assert "again" not in render_terminal(*gate(command=""))


@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_line_is_longer_than_the_terminal(gate: Gate, records: ModuleType, width: int) -> None:
    _, rome = records.whole_run("rome", growth=0.004)
    _, memit = records.whole_run()
    text = render_terminal(*gate(memit, rome), width=width)
    assert max(map(len, text.splitlines())) <= width


def test_each_editor_has_a_block_with_a_headline(gate: Gate, records: ModuleType) -> None:
    _, rome = records.whole_run("rome", growth=0.004)
    _, memit = records.whole_run()
    text = render_terminal(*gate(memit, rome))
    assert "norm-growth · memit on world · 120 edits (N/d_k 0.23) · seed 0 · 15 s" in lines(text)
    assert "norm-growth · rome on world · 120 edits (N/d_k 0.23) · seed 0 · 15 s" in lines(text)


def test_several_seeds_are_named_with_the_value(gate: Gate, records: ModuleType) -> None:
    runs = [records.whole_run(seed=seed, growth=growth)[1] for seed, growth in ((0, 0.01), (4, 0.02))]
    text = render_terminal(*gate(*runs))
    assert "· seeds 0, 4 ·" in text
    [row] = [line for line in lines(text) if "edited_weight_norm" in line]
    assert "h.1.mlp.c_proj, seed 4" in row


def test_a_run_that_failed_says_so_with_its_error(gate: Gate, records: ModuleType) -> None:
    run = records.whole_run(growth=0.001)[1]
    failed = run.model_copy(
        update={"status": "failed", "error": records.poor("rome: edit 121: boom"), "failed_at": 120}
    )
    text = render_terminal(*gate(failed))
    assert "ERROR" in text
    assert "run failed after 120 edits" in text
    assert text.count("rome: edit 121: boom") == 1


def test_colours_change_nothing_but_colour(gate: Gate) -> None:
    pair = gate()
    coloured = terminal_text(*pair)
    assert coloured.plain == render_terminal(*pair)
    styles = {str(span.style) for span in coloured.spans}
    assert {"bold red", "green", "yellow"} <= styles


def test_hostile_names_cannot_move_the_cursor(hostile: tuple[Any, Any]) -> None:
    text = render_terminal(*hostile)
    assert not set(text) & {"\x1b", "\x00", "\u202e"}
    assert "<script>" in text


def test_facts_that_the_model_did_not_know_are_counted_below_the_verdicts(gate: Gate) -> None:
    record, judgement = gate()
    known = record.model_copy(update={"edits_source": "counterfact", "passed_over": {0: 778}})
    *_, counted, _, _ = lines(render_terminal(known, judgement))
    assert counted == "edits: counterfact, facts that the unedited model knows (passed over: 778 at seed 0)"
    assert "passed over" not in render_terminal(record, judgement)
