import pytest

from stability.data.edits import Edit
from stability.errors import DataError
from stability.metrics import edit_outcomes, refuse_too_long
from stability.models import stated_context_length
from stability.testing.tiny import tiny_model

SHORT = Edit("short", "{} is a", "Ada", "porter", "nurse")


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def tiny(request):
    return tiny_model(request.param)


@pytest.mark.parametrize("where", ["prompt", "paraphrase", "neighborhood"])
def test_a_prompt_longer_than_the_context_names_the_edit_its_tokens_and_the_limit(tiny, where):
    limit = stated_context_length(tiny.model)
    long = " is" * limit  # of a token or more each
    fields = {
        "prompt": {"prompt": f"{long} {{}} is"},
        "paraphrase": {"paraphrase_prompts": ("Ada is", long)},
        "neighborhood": {"neighborhood_prompts": (long,)},
    }[where]
    edit = Edit(**({"id": "q7", "prompt": "{} is a", "subject": "Ada", "target": "porter"} | fields))
    for ask in (refuse_too_long, edit_outcomes):
        with pytest.raises(DataError, match=rf"edit q7: its {where}.* has [\d,]+ tokens.* takes {limit} at"):
            ask(tiny.model, tiny.tokenizer, [SHORT, edit])


def test_a_prompt_that_just_fits_is_measured(tiny):
    limit = stated_context_length(tiny.model)
    words = 0
    while True:
        text = " is" * (words + 1)
        count = len(tiny.tokenizer(f"Ada{text} porter")["input_ids"])
        if count > limit:
            break
        words += 1
    fits = Edit("fits", "{}" + " is" * words, "Ada", "porter")
    refuse_too_long(tiny.model, tiny.tokenizer, [fits])
    (outcome,) = edit_outcomes(tiny.model, tiny.tokenizer, [fits])
    assert outcome.accurate is not None
    longer = Edit("longer", "{}" + " is" * (words + 1), "Ada", "porter")
    with pytest.raises(DataError, match="edit longer: its prompt"):
        refuse_too_long(tiny.model, tiny.tokenizer, [longer])


def test_a_model_that_states_no_limit_has_none(tiny):
    stated = tiny.model.config.max_position_embeddings
    tiny.model.config.max_position_embeddings = 0
    try:
        assert stated_context_length(tiny.model) is None
        refuse_too_long(tiny.model, tiny.tokenizer, [Edit("x", "{}" + " is" * 3 * stated, "Ada", "porter")])
    finally:
        tiny.model.config.max_position_embeddings = stated
