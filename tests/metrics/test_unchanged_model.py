"""A model that is as it was reads, in every figure, exactly as it read before."""

import pytest

from stability.metrics import find_metric

WHOLE_MODEL = (
    "activation_direction",
    "activation_norm",
    "activation_norm_median",
    "delta_norm",
    "delta_spectral_norm",
    "dominant_subspace",
    "fluency",
    "frozen_weights",
    "hyperspherical_energy",
    "kl_divergence",
    "nonfinite",
    "perplexity",
    "probe_accuracy",
    "structure_differences",
    "weight_norm",
)


def test_the_metrics_of_weights_activations_and_text_are_registered():
    for name in WHOLE_MODEL:
        assert find_metric(name).head.name == name
        assert find_metric(name).head.summary


def test_on_the_built_in_model_no_figure_moves(world, world_text, context_of):
    base = context_of(world.model, documents=world_text)
    base.tokenizer = world.tokenizer
    metrics = {name: find_metric(name)() for name in WHOLE_MODEL}
    for metric in metrics.values():
        metric.fit(base)
    before = {name: metric.measure(base) for name, metric in metrics.items()}

    weight = world.model.transformer.h[0].mlp.c_proj.weight
    weight.add_(1)
    base.snapshot.restore(world.model)
    again = context_of(world.model, base=base)
    again.tokenizer = world.tokenizer
    after = {name: metric.measure(again) for name, metric in metrics.items()}
    for name in WHOLE_MODEL:
        assert after[name].model_dump_json() == before[name].model_dump_json(), name


@pytest.mark.parametrize("name", sorted({*WHOLE_MODEL} - {"fluency"}))
def test_each_reading_is_over_what_the_metric_says(name, build_model, context_of, world):
    context = context_of(build_model(), probes={"minimum_base_accuracy": 0.5})
    context.tokenizer = world.tokenizer
    metric = find_metric(name)()
    metric.fit(context)
    reading = metric.measure(context)
    assert reading.over == find_metric(name).head.over
    assert reading.values
