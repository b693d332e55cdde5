"""Markdown for a job's summary."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

from stability.judge import Judgement
from stability.record import Record
from stability.report import render_markdown
from stability.report.markdown import code, escape

Gate = Callable[..., tuple[Record, Judgement]]


def columns(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", row))


def test_the_verdicts_come_first_in_a_table_and_the_rest_is_folded(gate: Gate) -> None:
    text = render_markdown(*gate())
    assert text.index("❌ **fail**") < text.index("✅ pass") < text.index("<details>")
    assert text.startswith("## norm-growth: failed\n")
    assert text.count("<details>") == text.count("</details>") == 2


def test_every_row_of_a_table_has_as_many_cells_as_its_head(gate: Gate, hostile: tuple[Any, Any]) -> None:
    for pair in (gate(), hostile):
        text = re.sub(r"(`{3,}).*?\1", "", render_markdown(*pair), flags=re.S)
        for table in re.findall(r"(?:^\|.*\n?)+", text, flags=re.M):
            assert len({columns(row) for row in table.strip().splitlines()}) == 1


def test_a_row_says_what_the_verdict_says(gate: Gate) -> None:
    [row] = [line for line in render_markdown(*gate()).splitlines() if "fail**" in line and "weight" in line]
    cells = [cell.strip().replace("\\", "") for cell in row.strip("|").split(" | ")]
    assert cells[1:] == [
        "edited_weight_norm",
        "6.82 &lt;= 2.0",
        "h.1.mlp.c_proj",
        "held to 40, failed at 60",
        "margin -241 %",
    ]


def test_it_holds_the_suite_the_settings_and_the_command(gate: Gate, records: ModuleType) -> None:
    record, judgement = gate()
    text = render_markdown(record, judgement)
    for part in (
        record.suite_text.rstrip(),
        record.command,
        record.model.fingerprint,
        '"layers": [\n  1\n ]',
    ):
        assert part in text


def test_hostile_names_stay_text(hostile: tuple[Any, Any]) -> None:
    text = re.sub(r"(`{3,}).*?\1", "", render_markdown(*hostile), flags=re.S)
    assert "<script" not in text
    text = re.sub(r"<summary>.*", "", text)  # a line of HTML, in which Markdown means nothing
    assert not re.search(r"(?<!\\)\]\(", text)
    assert not re.search(r"(?<!\\)@all", text)
    assert "\x1b" not in text


def test_a_block_of_code_cannot_be_ended_from_within() -> None:
    assert code("a\n```\n<b>") == "````\na\n```\n<b>\n````"


def test_escaping_leaves_plain_words_alone() -> None:
    assert escape("h.1.mlp, block 7 and 0.98 >= 0.9") == "h.1.mlp, block 7 and 0.98 &gt;= 0.9"
    assert escape("a|b\n<i>") == "a\\|b &lt;i&gt;"
