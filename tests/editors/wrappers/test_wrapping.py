import functools

import pytest

from stability.editors import wrap_editor
from stability.errors import EditorError


class Counter:
    def __init__(self):
        self.made = 0

    def __call__(self, model, tokenizer, edits):
        self.made += len(edits)


def with_rate(model, tokenizer, edits, lr):
    edits.append(lr)


def test_an_object_that_can_be_called_is_an_editor():
    counter = Counter()
    editor = wrap_editor(counter)
    assert editor.edit("model", None, ["edit", "edit"]) == "model"
    assert (counter.made, editor.info.name) == (2, "Counter")


def test_a_function_with_its_settings_bound_is_an_editor():
    edits = []
    wrap_editor(functools.partial(with_rate, lr=0.1)).edit("model", None, edits)
    assert edits == [0.1]


def test_an_object_that_cannot_be_called_is_not():
    with pytest.raises(EditorError, match="a str is no editor"):
        wrap_editor("rome")
