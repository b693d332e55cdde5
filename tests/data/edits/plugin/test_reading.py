import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stability.data.edits import Edit, read_edits
from stability.data.edits.plugin.reading import parse_edit
from stability.errors import DataError
from stability.parts import EDIT_FORMS

OURS = {"id": "a", "prompt": "{} plays the", "subject": "Ada", "target": "harp", "target_true": "flute"}
REQUEST = {
    "case_id": 3,
    "prompt": "{} plays the",
    "subject": "Ada",
    "target_new": {"str": "harp"},
    "target_true": {"str": "flute"},
}
KNOWEDIT = {
    "subject": "Ada",
    "prompt": "What does Ada play?",
    "target_new": "harp",
    "ground_truth": ["flute", "the flute"],
    "rephrase_prompt": "Ada plays?",
    "portability": {},
    "locality": {
        "Relation_Specificity": [
            {"prompt": "Ada was born in", "ground_truth": [["Oslo", "Christiania"]]},
            {"prompt": ["What does Bo play?"], "ground_truth": [["the flute"]]},
        ],
        "Forgetfulness": None,
    },
}
FLAT = {
    "prompt": "Ada plays the",
    "subject": "Ada",
    "target_new": "harp",
    "ground_truth": "flute",
    "rephrase_prompt": "Ada plays?",
    "locality_prompt": "Bo plays the",
    "locality_ground_truth": "flute",
}
ZSRE = {"src": "What does Ada play?", "subject": "Ada", "alt": "harp", "rephrase": "Ada plays?"}
COUNTERFACT = {
    "requested_rewrite": {
        "prompt": "{} plays the",
        "subject": "Ada",
        "target_new": {"str": "harp"},
        "target_true": {"str": "flute"},
    },
    "paraphrase_prompts": ["Ada plays?"],
    "neighborhood_prompts": ["Bo plays the"],
}
FORMS = {
    "counterfact": COUNTERFACT,
    "flat": FLAT,
    "knowedit": KNOWEDIT,
    "ours": OURS,
    "rome_request": REQUEST,
    "zsre": ZSRE,
}


def written(folder: Path, content: str, encoding: str = "utf-8") -> Path:
    path = folder / "edits.json"
    path.write_text(content, encoding=encoding, newline="")
    return path


def test_every_form_has_an_entry_here_and_takes_no_other_ones():
    assert set(FORMS) == set(EDIT_FORMS.names())
    for entry in FORMS.values():
        edit = parse_edit(entry, 0)
        assert (edit.subject, edit.target) == ("Ada", "harp")


def test_knowedit_takes_the_first_true_answer_and_the_prompts_that_one_of_them_answers(tmp_path):
    (edit,) = read_edits(written(tmp_path, json.dumps([KNOWEDIT])))
    prompts = (("Ada plays?",), ("What does Bo play?",))
    assert edit == Edit("0", "What does {} play?", "Ada", "harp", "flute", *prompts)


def test_knowedit_without_an_old_answer_has_no_true_target_and_no_neighborhood():
    recent = {name: value for name, value in KNOWEDIT.items() if name != "ground_truth"}
    edit = parse_edit(recent, 0)
    assert (edit.target_true, edit.neighborhood_prompts) == (None, ())


def test_a_locality_prompt_with_another_answer_is_no_neighborhood_prompt():
    assert parse_edit(FLAT, 0).neighborhood_prompts == ("Bo plays the",)
    assert parse_edit(FLAT | {"locality_ground_truth": "Oslo"}, 0).neighborhood_prompts == ()


def test_a_request_of_romes_is_an_edit(tmp_path):
    (edit,) = read_edits(written(tmp_path, json.dumps([REQUEST])))
    assert edit == Edit("3", "{} plays the", "Ada", "harp", "flute", space=True)
    bare = {name: value for name, value in REQUEST.items() if name != "target_true"}
    assert parse_edit(bare, 0).target_true is None


SPACED = {
    "counterfact": True,
    "flat": None,
    "knowedit": None,
    "ours": None,
    "rome_request": True,
    "zsre": True,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_says_whether_a_space_stands_before_targets_and_an_entry_overrides_it(form):
    assert parse_edit(FORMS[form], 0).space is SPACED[form]
    assert parse_edit(FORMS[form] | {"space": None}, 0).space is SPACED[form]
    for space in (True, False):
        assert parse_edit(FORMS[form] | {"space": space}, 0).space is space
    for value in (1, "true", []):
        with pytest.raises(DataError, match="edit 0: space: expected true or false, got"):
            parse_edit(FORMS[form] | {"space": value}, 0)


@pytest.mark.parametrize(
    ("form", "field"), [("ours", "target"), ("flat", "target_new"), ("knowedit", "target_new")]
)
def test_white_space_that_a_target_begins_with_is_not_lost(form, field):
    edit = parse_edit(FORMS[form] | {field: " harp"}, 0)
    assert (edit.target, edit.space) == ("harp", True)
    assert parse_edit(FORMS[form] | {field: " harp", "space": False}, 0).space is False
    with pytest.raises(
        DataError, match=rf"edit 0: {field}: begins with '\\n'; write white space at the prompt's end"
    ):
        parse_edit(FORMS[form] | {field: "\nharp"}, 0)


def test_a_prompt_keeps_the_white_space_that_it_is_written_with():
    prompts = {"paraphrase_prompts": ["Ada?\n"], "neighborhood_prompts": ["Bo?\n\n"]}
    edit = parse_edit({"prompt": "\tWho is {}?\n", "subject": "Ada", "target": "harp", **prompts}, 0)
    assert edit.filled == "\tWho is Ada?\n"
    assert (edit.paraphrase_prompts, edit.neighborhood_prompts) == (("Ada?\n",), ("Bo?\n\n",))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "null"),
        (1989, "a number"),
        (0.5, "a number"),
        (True, "true or false"),
        (["Ada"], "a list"),
        ({"name": "Ada"}, "an object"),
        ("\ud83d", "half of a surrogate pair"),
    ],
)
def test_a_subject_that_is_no_text_is_named_and_never_made_one(tmp_path, form, value, said):
    broken = json.loads(json.dumps(FORMS[form]))
    broken.get("requested_rewrite", broken)["subject"] = value
    path = written(tmp_path, json.dumps([FORMS[form] | {"id" if form == "ours" else "case_id": 8}, broken]))
    with pytest.raises(DataError) as caught:
        read_edits(path)
    field = "requested_rewrite.subject" if form == "counterfact" else "subject"
    assert str(caught.value).startswith(f"{path}: edit 1: {field}: expected text, got {said}")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (OURS | {"target": 1989}, "edit 0: target: expected text, got a number"),
        (OURS | {"target_true": ["flute"]}, "edit 0: target_true: expected text, got a list"),
        (OURS | {"subject": None}, "edit 0: subject: expected text, got null"),
        (OURS | {"paraphrase_prompts": ["one", 2]}, "paraphrase_prompts[1]: expected text, got a number"),
        (OURS | {"neighborhood_prompts": {"a": "b"}}, "expected text or a list of texts, got an object"),
        (OURS | {"id": 1.5}, "id: expected text or a whole number, got a number"),
        (OURS | {"id": "a\nb"}, r"edit 'a\nb': id: expected one line of text"),
        (REQUEST | {"target_new": {"str": None}}, "target_new.str: expected text, got null"),
        (REQUEST | {"target_true": "flute"}, "target_true: expected an object with 'str', got text"),
        (FLAT | {"target_new": None}, "target_new: expected text, got null"),
        (FLAT | {"ground_truth": 3}, "ground_truth: expected text or a list of texts, got a number"),
        (KNOWEDIT | {"locality": ["x"]}, "locality: expected an object, got a list"),
        (KNOWEDIT | {"locality": {"A": [3]}}, "locality.A[0]: expected an object, got a number"),
        ({"requested_rewrite": [REQUEST]}, "requested_rewrite: expected an object with 'prompt', got a list"),
    ],
)
def test_a_field_of_another_kind_is_named_with_what_was_expected(tmp_path, entry, message):
    path = written(tmp_path, json.dumps([entry]))
    with pytest.raises(DataError) as caught:
        read_edits(path)
    assert str(caught.value).startswith(f"{path}: edit ")
    assert message in str(caught.value)


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_a_line_separator_inside_a_value_ends_no_line(tmp_path, character):
    said = f"One.{character}Ada plays the"
    lines = [json.dumps(OURS | {"id": i, "paraphrase_prompts": [said]}, ensure_ascii=False) for i in "ab"]
    edits = read_edits(written(tmp_path, "\n".join(lines)))
    assert [edit.paraphrase_prompts for edit in edits] == [(said,)] * 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", " "])
@pytest.mark.parametrize("indent", [None, 2])
def test_objects_over_one_line_or_several_with_or_without_a_bom(tmp_path, encoding, end, indent):
    entries = [OURS, OURS | {"id": "b", "subject": "Zoë"}]
    content = end.join(json.dumps(entry, indent=indent, ensure_ascii=False) for entry in entries)
    edits = read_edits(written(tmp_path, content + "\n", encoding))
    assert [edit.subject for edit in edits] == ["Ada", "Zoë"]


@pytest.mark.parametrize(
    "content", [{"data": [OURS]}, {"version": 2, "authors": ["x"], "edits": [OURS]}, [OURS], OURS]
)
def test_a_list_may_be_wrapped_and_one_edit_stand_alone(tmp_path, content):
    assert [edit.id for edit in read_edits(written(tmp_path, json.dumps(content)))] == ["a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps({"train": [OURS], "test": [OURS]}), "'train', 'test' each hold a list of objects"),
        (
            json.dumps({"a": OURS, "b": OURS}),
            "edit 0 has the fields a, b; expected prompt, subject and target",
        ),
        (json.dumps({"x\ny": 1}), r"has the fields 'x\ny'"),
        (json.dumps([[OURS]]), "edit 0: expected an object with the fields of an edit, got a list"),
        (json.dumps(OURS, indent=1) + "\n{oops", "edits.json:8: not JSON"),
        ("[" * 100_000, "edits.json:1: not JSON that can be read"),
        ('{"id": ' + "9" * 5_000 + "}", "edits.json:1: not JSON that can be read"),
        ("", "holds no edits"),
        ("[]", "holds no edits"),
    ],
)
def test_a_file_of_another_shape_says_in_one_line_what_it_holds(tmp_path, content, message):
    with pytest.raises(DataError) as caught:
        read_edits(written(tmp_path, content))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inside: st.lists(inside, max_size=2) | st.dictionaries(st.text(max_size=3), inside, max_size=2),
    max_leaves=4,
)


@given(data=st.data())
def test_whatever_stands_in_a_field_is_read_as_text_or_refused_in_one_line(data):
    entry = json.loads(json.dumps(data.draw(st.sampled_from(list(FORMS.values())))))
    inside = data.draw(
        st.sampled_from([entry, *(value for value in entry.values() if isinstance(value, dict))])
    )
    if inside:
        inside[data.draw(st.sampled_from(sorted(inside)))] = data.draw(json_values)
    try:
        edit = parse_edit(entry, 0)
    except DataError as error:
        assert len(str(error).splitlines()) == 1
        assert str(error).startswith("edit ")
    else:
        written_out = json.dumps(entry, ensure_ascii=False)
        assert edit is None or json.dumps(edit.subject, ensure_ascii=False)[1:-1] in written_out


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", 3),
        ("id", ""),
        ("prompt", None),
        ("subject", 7),
        ("target", 1989),
        ("target_true", 1990),
        ("paraphrase_prompts", "Ada plays the"),
        ("neighborhood_prompts", (None,)),
        ("space", "true"),
        ("space", 1),
    ],
)
def test_an_edit_made_in_python_holds_text_and_nothing_else(field, value):
    with pytest.raises(DataError, match=f"{field}: expected"):
        Edit(**(OURS | {field: value}))


@pytest.mark.skipif("STABILITY_DATA" not in os.environ, reason="STABILITY_DATA names no folder of real data")
def test_every_locality_prompt_of_the_flat_counterfact_shares_the_old_answer():
    edits = read_edits(Path(os.environ["STABILITY_DATA"], "counterfact", "flat_10000.json"))
    assert all(len(edit.neighborhood_prompts) == 1 for edit in edits)
