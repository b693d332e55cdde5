"""A comparison in words, on a terminal and as Markdown."""

from __future__ import annotations

from dataclasses import replace

from stability.judge.side_by_side.change import ChangeCell
from stability.judge.side_by_side.editors import CheckRow, EditorComparison, Standing
from stability.report import render_comparison, render_comparison_markdown

COMPARISON = EditorComparison(
    suite="norm-growth",
    model="world",
    edits=20,
    seeds=(0, 1),
    confidence=0.95,
    standings=(Standing("rome", 20, 0.25), Standing("ft|x", None, None)),
    rows=(
        CheckRow(
            "norm",
            "weight_norm",
            "<= 2.0",
            (ChangeCell(1.27, None, None, "same"), ChangeCell(1.52, 0.25, (0.21, 0.29), "worse")),
        ),
        CheckRow(
            "took",
            "edit_success",
            ">= 0.9",
            (ChangeCell(1.0, None, None, "same"), ChangeCell(1.0, 0.0, None, "same")),
        ),
        CheckRow(
            "quiet",
            "kl_divergence",
            "<= 1",
            (ChangeCell(0.5, None, None, "same"), ChangeCell(0.4, -0.1, None, "untold", "one seed")),
        ),
        CheckRow("gone", "perplexity", "<= 1", (ChangeCell(), ChangeCell())),
    ),
)


def test_the_table_reads_line_by_line() -> None:
    assert [line.rstrip() for line in render_comparison(COMPARISON).splitlines()] == [
        "norm-growth on world · after 20 edits · seeds 0, 1 · against rome",
        "",
        "  check                           bound   rome  ft|x",
        "  norm                            <= 2.0  1.27  1.52 worse +0.25 [0.21, 0.29]",
        "  took                            >= 0.9  1     1 same",
        "  quiet                           <= 1    0.5   0.4 -0.1 (one seed)",
        "  gone                            <= 1    –     –",
        "  edits to which all checks held          20    –",
        "  seconds an edit                         0.25  –",
        "",
        "ft|x: 1 worse (norm), 1 same, 1 not told from noise, 1 not measured",
    ]


def test_a_contender_that_ended_early_is_said_to_have() -> None:
    first, other = COMPARISON.standings
    ended = replace(other, ended_early="failed at edit 3: no room")
    comparison = replace(COMPARISON, standings=(first, ended))
    assert render_comparison(comparison).splitlines()[-1] == "ft|x: failed at edit 3: no room"
    assert "- ft\\|x: failed at edit 3: no room" in render_comparison_markdown(comparison)


def test_the_markdown_is_a_table_whatever_the_names() -> None:
    text = render_comparison_markdown(COMPARISON)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace(r"\|", "").count("|") for line in table} == {5}
    assert r"| norm | &lt;= 2.0 | 1.27 | 🔴 1.52 worse \+0.25 \[0.21, 0.29\] |" in table
    assert r"- ft\|x: 1 worse \(norm\), 1 same, 1 not told from noise, 1 not measured" in text


def test_contenders_that_do_not_fit_beside_each_other_stand_in_blocks_with_the_first() -> None:
    names = [f"editor-{number:02}-of-a-long-name" for number in range(9)]
    many = replace(
        COMPARISON,
        standings=tuple(Standing(name, 20, 0.25) for name in names),
        rows=(
            CheckRow(
                "norm", "weight_norm", "<= 2.0", tuple(ChangeCell(1.0, None, None, "same") for _ in names)
            ),
        ),
    )
    lines = render_comparison(many).splitlines()
    headers = [line for line in lines if line.startswith("  check")]
    assert len(headers) > 1
    assert all(len(line) <= 120 and names[0] in line for line in headers)
    assert [name for line in headers for name in line.split()[3:]] == names[1:]


def test_a_value_that_the_first_lacks_stands_alone_and_is_explained_once() -> None:
    rows = (
        CheckRow("norm", "weight_norm", "<= 2.0", (ChangeCell(), ChangeCell(1.52, outcome="alone"))),
        CheckRow("rank", "delta_rank", "<= 9", (ChangeCell(), ChangeCell(1.0, outcome="alone"))),
    )
    lines = [line.rstrip() for line in render_comparison(replace(COMPARISON, rows=rows)).splitlines()]
    assert lines[3] == "  norm                            <= 2.0  –     1.52"
    assert lines[-2:] == ["ft|x: 2 not compared", "not compared: rome has no value there (–)"]
    assert "| norm | &lt;= 2.0 | – | 1.52 |" in render_comparison_markdown(replace(COMPARISON, rows=rows))
