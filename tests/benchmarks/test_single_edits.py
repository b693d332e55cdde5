"""Single edits of known facts: each alone, taken back, and made once."""

import argparse
import csv

import pytest
import torch

from benchmarks.single_edits import Ready, edited, make, rows, table
from stability.data.edits import load_stream
from stability.metrics.scoring.known import known_first
from stability.models import Snapshot, load_model
from stability.suite import EditsSpec, ModelSpec


def asked(file, facts=3, skip=0):
    return argparse.Namespace(
        file=file, model="world", editors="rome", source="world", skip=skip, facts=facts
    )


def untimed(found):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in found]


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """The file of three facts edited by ROME."""
    file = tmp_path_factory.mktemp("single") / "edits.csv"
    make(asked(file), {})
    return file


def test_the_first_known_facts_are_edited_and_those_for_choosing_settings_are_left(three, tmp_path):
    loaded = load_model(ModelSpec(name="world", device="cpu"))
    stream = load_stream(EditsSpec(source="world", count=1), 0)
    known = [stream[place].id for place in known_first(loaded.model, loaded.tokenizer, stream, 3)]
    assert [row["edit"] for row in rows(three)] == known
    file = tmp_path / "edits.csv"
    make(asked(file, facts=1, skip=2), {})
    assert [row["edit"] for row in rows(file)] == known[2:]
    assert untimed(rows(file)) == untimed(rows(three))[2:]  # as if no other had been edited before it


def test_the_model_is_as_it_was_after_every_edit():
    loaded = load_model(ModelSpec(name="world", device="cpu"))
    before = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    facts = load_stream(EditsSpec(source="world", count=1), 0)[:2]
    for _ in edited(loaded, Snapshot(loaded.model), Ready.of(loaded, "ft", {"num_steps": 2}), facts):
        assert all(torch.equal(value, before[name]) for name, value in loaded.model.state_dict().items())


def test_what_an_editor_remembers_of_an_edit_is_taken_back_too():
    loaded = load_model(ModelSpec(name="world", device="cpu"))
    facts = load_stream(EditsSpec(source="world", count=1), 0)[:1]
    pristine = Snapshot(loaded.model)
    ready = Ready.of(loaded, "alphaedit", {"v_num_grad_steps": 3})
    first, again = edited(loaded, pristine, ready, [*facts, *facts])
    assert untimed([first]) == untimed([again])


def test_rows_that_are_there_are_not_made_again(three, tmp_path):
    lines = three.read_text().splitlines(keepends=True)
    file = tmp_path / "edits.csv"
    file.write_text("".join(lines[:2]))
    make(asked(file), {})
    assert file.read_text().startswith("".join(lines[:2]))
    assert untimed(rows(file)) == untimed(rows(three))


def test_the_table_has_means_by_editor_and_settings(tmp_path):
    fields = ("editor", "settings", "edit", "success", "accurate", "paraphrase", "neighborhood", "seconds")
    made = [
        ("rome", "", "a", "1", "1", "0.5", "1.0", "2.0"),
        ("rome", "", "b", "0", "1", "1.0", "", "4.0"),
        ("ft", "lr=0.1", "a", "1", "0", "", "", "1.0"),
    ]
    file = tmp_path / "edits.csv"
    with file.open("w", newline="") as lines:
        csv.writer(lines).writerows([fields, *made])
    assert table(rows(file)).splitlines()[2:] == [
        "| `rome` | 2 | 0.50 | 1.00 | 0.75 | 1.00 | 3.0 |",
        "| `ft` lr=0.1 | 1 | 1.00 | 0.00 | – | – | 1.0 |",
    ]
