"""The claim ledger: each of its figures stands in a committed record, and each verdict is one of four."""

from pathlib import Path

import pytest

from tools.paper.ledger import FIGURES, PAGE, RECORDS, ROW, as_shown, recorded, shown_figures

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
SHOWN = list(shown_figures(TEXT))
ROWS = [line for line in TEXT.splitlines() if ROW.match(line)]
VERDICTS = ("reproduced", "not reproduced", "opposite", "not run here")


@pytest.fixture(scope="module")
def records():
    return {model: recorded(ROOT, model) for model in {figure.model for figure in SHOWN}}


def test_there_is_a_row_for_each_experiment_with_a_verdict_for_each_model():
    assert [ROW.match(line)[1] for line in ROWS] == list("abcdefghi")
    for line in ROWS:
        verdicts = line.strip("|").split("|")[4].strip()
        assert all(verdict.strip() in VERDICTS for verdict in verdicts.split("/")), line


@pytest.mark.parametrize("figure", SHOWN, ids=str)
def test_a_figure_of_the_ledger_stands_in_its_record(figure, records):
    value = records[figure.model][figure.editor, figure.edits, FIGURES[figure.row]]
    assert as_shown(value, figure.shown) == figure.shown


def test_a_row_without_figures_is_said_not_to_have_been_run():
    figures = {(figure.row, figure.model) for figure in SHOWN}
    for line in ROWS:
        row = ROW.match(line)[1]
        verdicts = [verdict.strip() for verdict in line.strip("|").split("|")[4].split("/")]
        for model, verdict in zip(RECORDS, verdicts, strict=True):
            assert ((row, model) in figures) == (verdict != "not run here"), (row, model)
