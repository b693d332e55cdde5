"""Changed elements, parameter by parameter."""

import torch
from torch import nn

from stability.metrics.weights.frozen_weights import FrozenWeights


def test_the_unedited_model_reads_0_for_every_parameter(build_model, context_of):
    model = build_model()
    reading = FrozenWeights().measure(context_of(model))
    assert reading.over == "parameter"
    assert reading.values == {name: 0.0 for name, _ in model.named_parameters()}


def test_each_changed_element_counts_once_and_no_other_does(build_model, context_of):
    model = build_model()
    context = context_of(model)
    model.transformer.h[2].mlp.c_proj.weight[3:5, 7] += 1.0
    model.transformer.ln_f.bias[0] = -0.0 if model.transformer.ln_f.bias[0] == 0 else 0.0
    model.transformer.wte.weight[4, 4] = torch.nan
    values = FrozenWeights().measure(context_of(model, base=context)).values
    changed = {name: count for name, count in values.items() if count}
    assert changed == {
        "transformer.wte.weight": 1,
        "transformer.h.2.mlp.c_proj.weight": 2,
        "transformer.ln_f.bias": 1,
    }


def test_a_parameter_that_was_added_or_removed_counts_whole(build_model, context_of):
    model = build_model()
    context = context_of(model)
    model.transformer.h[0].adapter = nn.Linear(3, 5, bias=False)
    model.transformer.ln_f.bias = None
    values = FrozenWeights().measure(context_of(model, base=context)).values
    assert values["transformer.h.0.adapter.weight"] == 15
    assert values["transformer.ln_f.bias"] == 24


def test_a_persistent_buffer_is_listed_once_it_has_changed(build_model, context_of):
    model = build_model()
    model.register_buffer("scale", torch.ones(4))
    context = context_of(model)
    assert "scale" not in FrozenWeights().measure(context).values
    model.scale[1:] = 2.0
    assert FrozenWeights().measure(context_of(model, base=context)).values["scale"] == 3
