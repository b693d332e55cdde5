import json
import os
from pathlib import Path

import pytest

from stability.data.edits import Edit, load_edits, read_edits
from stability.errors import DataError
from stability.parts import EDIT_FORMS, EDIT_SOURCES
from stability.suite import EditsSpec

OURS = {"prompt": "{} plays the", "subject": "Ada", "target": "harp", "target_true": "flute"}
COUNTERFACT = {
    "case_id": 5,
    "requested_rewrite": {
        "prompt": "{} plays the",
        "subject": "Ada",
        "target_new": {"str": " harp"},
        "target_true": {"str": "flute"},
    },
    "paraphrase_prompts": ["The instrument of Ada is the"],
    "neighborhood_prompts": ["Bo plays the"],
}
FLAT = {
    "case_id": 5,
    "prompt": "Ada plays the",
    "subject": "Ada",
    "target_new": "harp",
    "ground_truth": "flute",
    "rephrase_prompt": "The instrument of Ada is the",
    "locality_prompt": "Bo plays the",
}
ZSRE = {
    "src": "What does Ada play?",
    "subject": "Ada",
    "alt": "harp",
    "rephrase": "Ada plays?",
    "answers": ["flute"],
}


def written(folder: Path, entries: list, lines: bool = False) -> Path:
    path = folder / ("edits.jsonl" if lines else "edits.json")
    path.write_text("\n".join(map(json.dumps, entries)) if lines else json.dumps(entries))
    return path


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("entry", [OURS, COUNTERFACT, FLAT], ids=["ours", "counterfact", "flat"])
def test_each_form_gives_the_same_edit(tmp_path, entry, lines):
    (edit,) = read_edits(written(tmp_path, [entry], lines))
    assert (edit.prompt, edit.subject, edit.target, edit.target_true) == (
        "{} plays the",
        "Ada",
        "harp",
        "flute",
    )
    assert edit.filled == "Ada plays the"


def test_the_published_forms_keep_their_prompts(tmp_path):
    for entry in (COUNTERFACT, FLAT):
        (edit,) = read_edits(written(tmp_path, [entry]))
        assert edit.id == "5"
        assert edit.paraphrase_prompts == ("The instrument of Ada is the",)
        assert edit.neighborhood_prompts == ("Bo plays the",)


def test_zsre_has_no_true_target(tmp_path):
    (edit,) = read_edits(written(tmp_path, [ZSRE]))
    assert edit == Edit("0", "What does {} play?", "Ada", "harp", None, ("Ada plays?",), space=True)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "holds no edits"),
        ([3], "edit 0: expected an object with the fields of an edit, got a number"),
        ([{"prompt": "x"}], "expected prompt, subject and target"),
        ([OURS | {"targe": "x"}], "unknown field 'targe'"),
        ([OURS | {"prompt": "Ada plays"}], "must hold exactly one '{}'"),
        ([OURS | {"target": " "}], "target is empty"),
        ([OURS | {"id": 1}, OURS | {"id": 1}], "two edits have the id '1'"),
        ([FLAT | {"subject": "Eve"}], "the subject 'Eve' does not occur"),
        ([{"requested_rewrite": {}}], "requested_rewrite.prompt: expected text, it is missing"),
    ],
)
def test_a_malformed_file_says_which_edit_and_why(tmp_path, entries, message):
    path = written(tmp_path, entries)
    with pytest.raises(DataError) as caught:
        read_edits(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_broken_line_is_named(tmp_path):
    path = tmp_path / "edits.jsonl"
    path.write_text(json.dumps(OURS) + "\n{oops\n")
    with pytest.raises(DataError, match=r"edits.jsonl:2: not JSON"):
        read_edits(path)


def test_a_seed_decides_the_order_and_more_edits_extend_fewer():
    few = load_edits(EditsSpec(count=5), seed=1)
    many = load_edits(EditsSpec(count=50), seed=1)
    assert many[:5] == few
    assert load_edits(EditsSpec(count=5), seed=2) != few


def test_a_files_edits_are_shuffled_by_the_seed(tmp_path):
    path = written(tmp_path, [OURS | {"id": number} for number in range(30)])
    orders = [
        [edit.id for edit in load_edits(EditsSpec(path=str(path), count=30), seed)] for seed in (0, 0, 1)
    ]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2])


def test_too_few_edits_are_refused(tmp_path):
    path = written(tmp_path, [OURS])
    with pytest.raises(DataError, match="holds 1 edits, the run asks for 2"):
        load_edits(EditsSpec(path=str(path), count=2), 0)


def test_an_unknown_source_lists_the_known_ones(monkeypatch):
    known = ", ".join(EDIT_SOURCES.names())
    assert {"counterfact", "file", "world"} <= set(EDIT_SOURCES.names())
    with pytest.raises(DataError, match=f"no edits are called 'conterfact'; known: {known}; or give a file"):
        load_edits(EditsSpec(source="conterfact"), 0)
    monkeypatch.delenv("STABILITY_DATA", raising=False)
    with pytest.raises(DataError, match="set STABILITY_DATA"):
        load_edits(EditsSpec(source="counterfact"), 0)


def test_the_source_file_needs_a_path(tmp_path):
    with pytest.raises(DataError, match="edits 'file': needs 'path'"):
        load_edits(EditsSpec(source="file"), 0)
    path = str(written(tmp_path, [OURS]))
    same = [load_edits(EditsSpec(source=source, path=path, count=1), 0) for source in ("file", "world")]
    assert same[0] == same[1]


SHINY = """
from pathlib import Path
from stability.data.edits import Edit
from stability.parts import SourceHead, part

@part(SourceHead("shiny", "edits that shine", takes_path=True))
def shiny(spec, seed):
    word = Path(spec.path).read_text() if spec.path else "shines"
    return [Edit(f"{seed}-{number}", "{} says", "Ada", word) for number in range(spec.count + 3)]

def bare(spec, seed):
    return [Edit("1", "{} says", "Ada", "bare")]

def raising(spec, seed):
    raise KeyError("no such table")

def twice(spec, seed):
    return bare(spec, seed) * 2

def wrong(spec, seed):
    return ["not an edit"]
"""
POINTS = "[stability.edits]\n" + "".join(
    f"{name} = shiny_edits:{name}\n" for name in ("shiny", "bare", "raising", "twice", "wrong")
)


def test_a_source_of_another_package_comes_by_entry_point(tmp_path, install):
    install("shiny_edits", SHINY, POINTS)
    edits = load_edits(EditsSpec(source="shiny", count=2), seed=4)
    assert [(edit.id, edit.target) for edit in edits] == [("4-0", "shines"), ("4-1", "shines")]
    (tmp_path / "word.txt").write_text("glows")
    (glows,) = load_edits(EditsSpec(source="shiny", path=str(tmp_path / "word.txt"), count=1), 0)
    assert glows.target == "glows"


def test_a_path_is_a_file_of_edits_for_a_source_that_takes_none(tmp_path, install):
    install("shiny_edits", SHINY, POINTS)
    path = str(written(tmp_path, [OURS]))
    (edit,) = load_edits(EditsSpec(source="bare", path=path, count=1), 0)
    assert edit.target == "harp"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("bare", r"edits 'bare' holds 1 edits, the run asks for 2"),
        (
            "raising",
            r"edits 'raising': reading them failed at .*shiny_edits\.py:\d+: KeyError: 'no such table'",
        ),
        ("twice", r"edits 'twice': two edits have the id '1'"),
        ("wrong", r"edits 'wrong': number 0 is a str, not an Edit"),
    ],
)
def test_a_source_that_does_not_keep_to_what_is_asked_is_one_line(install, source, message):
    install("shiny_edits", SHINY, POINTS)
    with pytest.raises(DataError, match=message) as caught:
        load_edits(EditsSpec(source=source, count=2), 0)
    assert "\n" not in str(caught.value)


def test_an_entry_has_one_form():
    forms = {name: part.head for name, part in EDIT_FORMS.built_in().items()}
    for name, entry in {"ours": OURS, "counterfact": COUNTERFACT, "flat": FLAT, "zsre": ZSRE}.items():
        fits = [
            form
            for form, head in forms.items()
            if head.fields <= entry.keys() and not head.without & entry.keys()
        ]
        assert fits == [name]


@pytest.mark.skipif("STABILITY_DATA" not in os.environ, reason="STABILITY_DATA names no folder of real data")
@pytest.mark.parametrize(("source", "count"), [("counterfact", 10_000), ("zsre", 998)])
def test_the_published_data_sets_load(source, count):
    edits = load_edits(EditsSpec(source=source, count=count), 0)
    assert len(edits) == count
    assert all(edit.subject in edit.filled for edit in edits)
    assert all((edit.target_true is None) == (source == "zsre") for edit in edits)
