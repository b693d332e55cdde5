"""Shares of the residual stream against plain transformers, and what they say of a sub-module that grows."""

from collections import Counter

import pytest

from stability.errors import DataError
from stability.metrics.activations.contribution import Contribution
from stability.metrics.plugin.metric import Skipped

WRITERS = {  # where transformers keeps what writes to the residual stream
    "gpt2": ("transformer.h", "attn.c_proj", "mlp.c_proj"),
    "gptj": ("transformer.h", "attn.out_proj", "mlp.fc_out"),
    "llama": ("model.layers", "self_attn.o_proj", "mlp.down_proj"),
}


def run(model, window, blocks, names=()):
    """The stream before the first block and after each, and what the named modules give; [tokens, d] each."""
    stream, outputs = [], {}

    def after_block(_module, _args, output):
        stream.append((output[0] if isinstance(output, tuple) else output).reshape(len(window), -1).double())

    def keep(name):
        return lambda _module, _args, output: outputs.update({name: output[0].double()})

    hooks = [block.register_forward_hook(after_block) for block in model.get_submodule(blocks)]
    hooks += [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    first = model(window[None], output_hidden_states=True).hidden_states[0][0].double()
    for hook in hooks:
        hook.remove()
    return [first, *stream], outputs


def shares_by_transformers(model, windows, blocks, attention, mlp, skip=1):
    """By parameter name: a block adds its two sub-modules' outputs; the MLP's is what the attention's is not."""
    sums, tokens = Counter(), 0
    numbers = range(model.config.num_hidden_layers)
    for window in windows:
        stream, outputs = run(model, window, blocks, [f"{blocks}.{i}.{attention}" for i in numbers])
        end = stream[-1][skip:]
        for i in numbers:
            by_attention = outputs[f"{blocks}.{i}.{attention}"]
            by_mlp = stream[i + 1] - stream[i] - by_attention
            for path, written in ((attention, by_attention), (mlp, by_mlp)):
                share = (written[skip:] * end).sum(1) / end.square().sum(1)
                sums[f"{blocks}.{i}.{path}.weight"] += share.sum().item()
        tokens += len(end)
    return {name: value / tokens for name, value in sums.items()}


@pytest.mark.parametrize("architecture", WRITERS)
def test_it_is_each_sub_modules_projection_on_the_last_stream(architecture, build_model, context_of):
    model = build_model(architecture)
    context = context_of(model)
    reading = Contribution().measure(context)
    expected = shares_by_transformers(model, context.text.windows, *WRITERS[architecture])
    assert reading.over == "matrix"
    assert reading.values == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_shares_and_the_embeddings_make_1(build_model, context_of):
    model = build_model()
    context = context_of(model, text={"skip_tokens": 0})
    embedding, tokens = 0.0, 0
    for window in context.text.windows:
        first, *_, end = run(model, window, "transformer.h")[0]
        embedding += ((first * end).sum(1) / end.square().sum(1)).sum().item()
        tokens += len(end)
    assert sum(Contribution().measure(context).values.values()) + embedding / tokens == pytest.approx(
        1, abs=1e-5
    )


def test_an_edited_mlp_that_writes_ten_times_as_much_takes_over(build_model, context_of):
    model = build_model()
    base = context_of(model)
    before = Contribution().measure(base).values
    name = "transformer.h.1.mlp.c_proj.weight"
    model.get_parameter(name).mul_(10)
    after = Contribution().measure(context_of(model, base=base)).values
    assert max(after, key=after.get) == name
    assert after[name] > 0.5 > before[name]


def test_a_model_that_norms_what_is_added_is_skipped_by_its_name(build_model, context_of):
    with pytest.raises(Skipped, match="gemma2 norms what a sub-module writes"):
        Contribution().measure(context_of(build_model("gemma2")))


def test_a_model_with_experts_is_skipped_since_its_mlps_are_not_known(build_model, context_of):
    with pytest.raises(Skipped, match="mixtral is not the sum"):
        Contribution().measure(context_of(build_model("mixtral")))


def test_no_token_left_is_said(build_model, context_of):
    context = context_of(build_model())
    context.suite = context.suite.model_copy(
        update={"text": context.suite.text.model_copy(update={"skip_tokens": 99})}
    )
    with pytest.raises(DataError, match=r"text\.skip_tokens: 99 leaves no token"):
        Contribution().measure(context)


def test_no_hook_stays_on_the_model(build_model, context_of):
    model = build_model()
    Contribution().measure(context_of(model))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
