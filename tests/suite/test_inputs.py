"""The fingerprint of the files that a suite names."""

import pytest

from stability.suite import parse_suite


@pytest.fixture
def files(tmp_path):
    """Edits, a text, and folders of tasks and of their data."""
    for name in ("edits.json", "text.txt", "tasks/a.yaml", "tasks/deep/b.yaml", "data/rte.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def suite(folder):
    return parse_suite(
        "schema: 1\nname: x\nchecks: {a: {metric: weight_norm, assert: '<= 2'}}\n"
        f"run: {{edits: {{source: file, path: {folder}/edits.json}}}}\n"
        f"text: {{source: file, path: {folder}/text.txt}}\n"
        f"tasks: {{include_path: {folder}/tasks, data: {folder}/data}}\n"
    )


@pytest.mark.parametrize(
    "name", ["edits.json", "text.txt", "tasks/a.yaml", "tasks/deep/b.yaml", "data/rte.jsonl"]
)
def test_it_changes_with_each_file(files, name):
    before = suite(files).inputs_fingerprint
    assert suite(files).inputs_fingerprint == before
    (files / name).write_text("another")
    assert suite(files).inputs_fingerprint != before


def test_it_does_not_depend_on_where_the_files_are(files):
    before = suite(files).inputs_fingerprint
    moved = files.rename(files.with_name("moved"))
    assert suite(moved).inputs_fingerprint == before


def test_a_file_that_is_missing_is_as_an_empty_one(files):
    (files / "edits.json").write_text("")
    empty = suite(files).inputs_fingerprint
    (files / "edits.json").unlink()
    assert suite(files).inputs_fingerprint == empty


def test_without_files_there_is_one_too():
    text = "schema: 1\nname: x\nchecks: {a: {metric: weight_norm, assert: '<= 2'}}\n"
    assert len(parse_suite(text).inputs_fingerprint) == 64
