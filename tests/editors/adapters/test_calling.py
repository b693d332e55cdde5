import copy
import re

import pytest
import torch
from torch import nn

from stability.editors.adapters.steps.calling import edited_model, keyword_arguments
from stability.errors import EditorError, SettingsError


class Wrapper(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model


def raised(model):
    edited = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in edited.parameters():
            parameter.add_(1)
    return edited


@pytest.mark.parametrize(
    "behind",
    [(), ({"w": 1},), ({"w": 1}, {"norms": 2}), ({}, {}, None, 0.5), (lambda: None,), ((1, 2), 3, 4, 5)],
)
def test_the_model_is_the_first_of_whatever_comes_back(gpt2, behind):
    other = raised(gpt2.model)
    assert edited_model((other, *behind), gpt2.model, "f") is other
    assert edited_model([other, *behind], gpt2.model, "f") is other
    assert edited_model((gpt2.model, *behind), gpt2.model, "f") is gpt2.model


def test_a_bare_model_is_the_edited_one_and_nothing_means_in_place(gpt2):
    other = raised(gpt2.model)
    assert edited_model(other, gpt2.model, "f") is other
    assert edited_model(None, gpt2.model, "f") is gpt2.model
    assert edited_model((None, {}), gpt2.model, "f") is gpt2.model


def test_a_language_model_with_a_part_called_model_is_no_wrapper(build):
    llama = build("llama").model
    assert edited_model(llama, build("llama").model, "f") is llama


def test_weights_under_a_wrapper_are_written_back_by_name(gpt2):
    before = {name: value.clone() for name, value in gpt2.model.named_parameters()}
    assert edited_model((Wrapper(raised(gpt2.model)), {}), gpt2.model, "f") is gpt2.model
    for name, value in gpt2.model.named_parameters():
        torch.testing.assert_close(value, before[name] + 1)


def test_a_wrapper_round_the_given_model_stands_for_it(gpt2):
    before = {name: value.clone() for name, value in gpt2.model.named_parameters()}
    assert edited_model(Wrapper(gpt2.model), gpt2.model, "f") is gpt2.model
    assert all(torch.equal(value, before[name]) for name, value in gpt2.model.named_parameters())


def test_weights_of_another_shape_are_not_written_back_at_all(gpt2):
    edited = raised(gpt2.model)
    edited.resize_token_embeddings(len(gpt2.tokenizer) + 1, mean_resizing=False)
    before = {name: value.clone() for name, value in gpt2.model.named_parameters()}
    message = r"f: the wrapped model it returned has a \(\d+, 24\) transformer.wte.weight for the given one's"
    with pytest.raises(EditorError, match=message):
        edited_model(Wrapper(edited), gpt2.model, "f")
    assert all(torch.equal(value, before[name]) for name, value in gpt2.model.named_parameters())


@pytest.mark.parametrize("returned", [["a text"], ("a text",), {}, 3])
def test_what_holds_no_model_is_an_error(gpt2, returned):
    with pytest.raises(EditorError, match=r"^f: returned a (str|dict|int) where the edited model should be"):
        edited_model(returned, gpt2.model, "f")


def test_a_function_is_given_only_what_it_names():
    def rome(model, tok, requests, hparams, copy=False, return_orig_weights=False): ...
    def easyedit(model, tok, request, hparams, copy=False, keep_original_weight=False, **kwargs): ...
    def bare(model, tok, requests, hparams): ...

    assert keyword_arguments(rome, "f", {}, {}) == {"copy": False, "return_orig_weights": False}
    assert keyword_arguments(easyedit, "f", {}, {}) == {"copy": False, "keep_original_weight": False}
    assert keyword_arguments(bare, "f", {}, {}) == {}


def test_further_arguments_go_by_name():
    def alphaedit(model, tok, requests, hparams, cache_template=None, cache_c=None, P=None): ...

    made = keyword_arguments(alphaedit, "f", {"cache_template": "x"}, {"cache_c": 1, "P": 2, "other": 3})
    assert made == {"cache_template": "x", "cache_c": 1, "P": 2}


def test_an_argument_that_only_fits_keywords_is_given_too():
    def easyedit(model, tok, requests, hparams, **kwargs): ...

    assert keyword_arguments(easyedit, "f", {"train_ds": 1}, {}) == {"train_ds": 1}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tempalte": 1, "needed": 2}, "f takes no 'tempalte'; it takes copy, template, needed"),
        ({}, "f needs needed; give a value, such as `arguments: {needed: ...}`"),
        ({"copy": True, "needed": 2}, "'copy' is the harness's to give; leave it out"),
    ],
)
def test_a_wrong_argument_is_one_line(given, message):
    def function(model, tok, requests, hparams, copy=False, *, template=None, needed): ...

    with pytest.raises(SettingsError, match=re.escape(message)):
        keyword_arguments(function, "f", given, {})


def test_a_function_of_another_form_is_refused():
    def function(model, requests): ...

    message = re.escape("f(model, requests) cannot be called as (model, tok, requests, hparams)")
    with pytest.raises(EditorError, match=message):
        keyword_arguments(function, "f", {}, {})
