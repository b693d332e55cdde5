from dataclasses import replace

from stability.data.edits import Edit
from stability.data.edits.plugin.reading import parse_edit
from stability.editors.adapters.steps.requests import flat, nested

FULL = Edit(
    id="7",
    prompt="{} plays the",
    subject="Anna Berg",
    target="oboe",
    target_true="cello",
    paraphrase_prompts=("Anna Berg gives lessons on the", "On stage Anna Berg performs on the"),
    neighborhood_prompts=("Zoe Angstrom plays the", "Karl Olson plays the"),
)
BARE = Edit(id="zsre", prompt="Where was {} born?", subject="Anna Berg", target="Lyon")


def test_the_nested_form_is_that_of_romes_authors():
    request = nested(FULL)
    assert request["case_id"] == 7
    assert request["prompt"].format(request["subject"]) == "Anna Berg plays the"
    assert request["target_new"] == {"str": "oboe"}
    assert request["target_true"] == {"str": "cello"}


def test_an_edit_survives_the_way_through_the_nested_form():
    request = nested(FULL)
    assert parse_edit({"case_id": 7, "requested_rewrite": request, **request}, 0) == replace(FULL, space=True)


def test_the_flat_form_is_that_of_easyedit():
    request = flat(FULL)
    assert request["prompt"] == "Anna Berg plays the"
    assert (request["target_new"], request["ground_truth"]) == ("oboe", "cello")
    assert request["target_neg"] == "cello"
    assert request["rephrase_prompt"] == "Anna Berg gives lessons on the"
    assert request["locality"]["neighborhood"] == {
        "prompt": ["Zoe Angstrom plays the", "Karl Olson plays the"],
        "ground_truth": ["cello", "cello"],
    }
    assert request["loc_prompt"] == "Zoe Angstrom plays the cello"


def test_a_neighboring_statement_has_a_space_where_the_edit_has_one():
    chinese = Edit("c", "{}的首都是", "中国", "纽约", "北京", neighborhood_prompts=("北平是",))
    assert flat(chinese)["loc_prompt"] == "北平是北京"
    assert flat(replace(chinese, space=True))["loc_prompt"] == "北平是 北京"


def test_what_an_edit_does_not_say_is_left_out_or_as_the_systems_have_it():
    assert nested(BARE)["case_id"] == "zsre"
    assert nested(BARE)["target_true"] == {"str": "<|endoftext|>"}
    assert flat(BARE)["ground_truth"] is None
    assert flat(BARE)["locality"] == {}
    assert not {"rephrase_prompt", "loc_prompt", "target_neg"} & flat(BARE).keys()
