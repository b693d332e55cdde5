"""The edits that hypothesis draws are valid, hard, and told by a tokenizer of bytes where they are."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from hypothesis import find, given

from stability.data.edits.plugin.reading import parse_edit
from stability.errors import UsageError
from stability.models import encode, subject_last_index
from stability.testing import strategies
from stability.testing.strategies import edit_lists, edits
from stability.testing.tiny import tiny_model

TOKENIZER = tiny_model("gpt2").tokenizer


@given(edit=edits())
def test_a_drawn_edit_is_one_that_a_file_could_hold(edit):
    entry = {
        "id": edit.id,
        "prompt": edit.prompt,
        "subject": edit.subject,
        "target": edit.target,
        "target_true": edit.target_true,
    }
    assert parse_edit(entry, 0) == edit
    assert edit.target != edit.target_true


@given(edit=edits())
def test_tokens_of_bytes_find_every_drawn_subject_and_target(edit):
    encoded = encode(TOKENIZER, edit.filled, edit.target)
    assert TOKENIZER.decode(encoded.target_ids).strip() in (
        edit.target,
        TOKENIZER.decode(TOKENIZER(edit.target).input_ids),
    )
    last = subject_last_index(TOKENIZER, edit.prompt, edit.subject)
    start = edit.prompt.index("{}")
    offsets = TOKENIZER(edit.filled, return_offsets_mapping=True)["offset_mapping"]
    first, end = offsets[last]
    assert first < start + len(edit.subject) <= end


@given(drawn=edit_lists(min_size=2))
def test_edits_of_one_list_have_ids_of_their_own(drawn):
    assert len({edit.id for edit in drawn}) == len(drawn) >= 2


@pytest.mark.parametrize(
    "hard",
    [
        lambda edit: not edit.subject.isascii(),
        lambda edit: edit.prompt.startswith("{}"),
        lambda edit: edit.prompt.endswith("{}"),
        lambda edit: edit.subject in edit.prompt,
        lambda edit: edit.target_true is None,
        lambda edit: " " in edit.target,
        lambda edit: "\u200d" in edit.subject,
    ],
    ids=["unicode", "at the start", "at the end", "twice", "no true target", "a long target", "joined emoji"],
)
def test_hard_edits_are_drawn(hard):
    assert hard(find(edits(), hard))


def test_without_hypothesis_one_line_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    spec = importlib.util.spec_from_file_location("strategies_again", strategies.__file__)
    with pytest.raises(UsageError, match=r"pip install 'stability-harness\[testing\]'"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
