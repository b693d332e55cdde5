"""Markdown for a job's summary."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

from stability.judge import Judgement
from stability.record import Record
from stability.report import render_markdown
from stability.report.steps.markup import code, escape

Gate = Callable[..., tuple[Record, Judgement]]


def columns(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", row))


def test_the_verdicts_come_first_in_a_table_and_the_rest_is_folded(gate: Gate) -> None:
    text = render_markdown(*gate())
    assert text.index("❌ **fail**") < text.index("✅ pass") < text.index("<details>")
    assert text.startswith("## norm-growth: failed\n")
    assert text.count("<details>") == text.count("</details>") == 3


def test_every_row_of_a_table_has_as_many_cells_as_its_head(gate: Gate, hostile: tuple[Any, Any]) -> None:
    for pair in (gate(), hostile):
        text = re.sub(r"(`{3,}).*?\1", "", render_markdown(*pair), flags=re.S)
        for table in re.findall(r"(?:^\|.*\n?)+", text, flags=re.M):
            assert len({columns(row) for row in table.strip().splitlines()}) == 1


def test_a_row_says_what_the_verdict_says(gate: Gate) -> None:
    [row] = [line for line in render_markdown(*gate()).splitlines() if "❌" in line and "weight" in line]
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


def folded(text: str, title: str) -> str:
    """What stands in the block of that title."""
    [found] = re.findall(
        rf"<details><summary>[^<]*{title}</summary>\n\n(.*?)\n\n</details>", text, flags=re.S
    )
    return str(found)


def test_each_check_that_did_not_hold_is_explained_and_no_other(gate: Gate) -> None:
    record, judgement = gate()
    said = folded(render_markdown(record, judgement), "what this means and what to try").replace("\\", "")
    for verdict in judgement.verdicts:
        explained = verdict.status not in ("pass", "skip")
        assert (f"{verdict.check}: {verdict.status}" in said) is explained
    assert "Figure 3" in said
    assert said.index("edited_weight_norm: fail") < said.index("norm_imbalance: warn")


def test_a_remedy_is_a_point_with_what_the_record_shows_and_its_command(
    gate: Gate, records: ModuleType
) -> None:
    _, memit = records.whole_run()
    _, mild = records.whole_run("alphaedit", growth=0.0005)
    path = "suites/norm-growth.stability.yaml"
    body = "".join(f"  {line}\n" for line in records.GATE.strip().splitlines())
    suite = f"schema: 1\nname: norm-growth\neditors: [memit, alphaedit]\nmay_change: {{layers: [1]}}\nchecks:\n{body}"
    text = render_markdown(
        *gate(memit, mild, suite_text=suite, suite_path=path, command=f"stability run {path}")
    )
    assert (
        "- use alphaedit, which leaves alone what the layer does on ordinary text\n"
        "  (alphaedit in this record: 1.06 \\(held\\), against 6.82; edit success 0.98)\n"
        f"  ```\n  stability run {path} --editor alphaedit\n  ```\n"
    ) in text


def test_checks_with_the_same_explanation_share_one(gate: Gate) -> None:
    record, judgement = gate()
    [editor] = judgement.editors
    failed = next(one for one in editor.verdicts if one.check == "edits_took")
    pair = [
        replace(failed, check=name, status="fail", worst=replace(failed.worst, value=0.1))
        for name in ("one", "two")
    ]
    twice = replace(judgement, editors=(replace(editor, verdicts=tuple(pair)),))
    assert "**one: fail, two: fail**" in render_markdown(record, twice)


def test_where_everything_held_nothing_is_explained(gate: Gate, records: ModuleType) -> None:
    record, judgement = gate()
    [editor] = judgement.editors
    held = tuple(one for one in editor.verdicts if one.status == "pass")
    text = render_markdown(record, replace(judgement, editors=(replace(editor, verdicts=held),)))
    assert "what to try" not in text


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
