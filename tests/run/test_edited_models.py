"""Edited models of every build are measured like the same change made plainly in the weights."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from stability.editors import wrap_editor
from stability.models import Snapshot, load_model
from stability.run import Experiment
from stability.suite import ModelSpec, parse_suite

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

SUITE = parse_suite(
    """
schema: 1
name: builds
run: {edits: {source: world, count: 1}, checkpoints: [1]}
text: {source: world, tokens: 600}
probes: {tokens: 200}
tasks: {limit: 12}
record: [hyperspherical_energy, dominant_subspace]
checks:
  task: {metric: task_score, for_each: {task: [world_choice]}, relative_to: base, assert: ">= 0"}

"""
)
LAYER = 1
MATRIX = f"transformer.h.{LAYER}.mlp.c_proj.weight"
BIAS = f"transformer.h.{LAYER}.mlp.c_proj.bias"
RANK = 3


@pytest.fixture(scope="module")
def loaded():
    return load_model(ModelSpec(name="world", device="cpu"))


@pytest.fixture(scope="module")
def experiment(loaded):
    return Experiment(SUITE, loaded)


def factors(model):
    """Two factors [d_in, rank] and [rank, d_out] of a change of the matrix, as a Conv1D stores it."""
    d_in, d_out = model.transformer.h[LAYER].mlp.c_proj.weight.shape
    generator = torch.Generator().manual_seed(3)
    first = torch.randn(d_in, RANK, generator=generator) / d_in**0.5
    return first, torch.randn(RANK, d_out, generator=generator) / RANK**0.5


def place(model):
    return model.transformer.h[LAYER].mlp


def plainly(model, tokenizer, edits):
    first, second = factors(model)
    with torch.no_grad():
        place(model).c_proj.weight += first @ second


class Beside(nn.Module):
    """A linear layer with a further one of low rank beside it."""

    def __init__(self, layer, first, second):
        super().__init__()
        self.first, self.second = nn.Parameter(first), nn.Parameter(second)
        self.layer = layer

    def forward(self, x):
        return self.layer(x) + x @ self.first @ self.second


class Plus(nn.Module):
    """A parametrization that adds a change to a weight."""

    def __init__(self, change):
        super().__init__()
        self.change = nn.Parameter(change)

    def forward(self, weight):
        return weight + self.change


class Around(nn.Module):
    """A wrapper that passes everything on."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, **kwargs):
        return self.model(**kwargs)


class Parallel(nn.Module):
    """As data-parallel wrappers are built."""

    def __init__(self, model):
        super().__init__()
        self.module = model

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)


class Called(nn.Module):
    """A wrapper with a `config` of its own that is called without a `forward`, as WISE's is."""

    def __init__(self, model):
        super().__init__()
        self.config = {"layers": [LAYER]}
        self.model = model

    def __call__(self, **kwargs):
        return self.model(**kwargs)


class Holder:
    """An object that is no module and cannot be called."""

    def __init__(self, model):
        self.model = model


def with_peft(model, tokenizer, edits):
    import peft

    config = peft.LoraConfig(
        r=RANK, lora_alpha=RANK, target_modules=[f"h.{LAYER}.mlp.c_proj"], fan_in_fan_out=True
    )
    first, second = factors(model)
    adapted = peft.get_peft_model(model, config)
    layer = place(model).c_proj
    with torch.no_grad():
        layer.lora_A["default"].weight.copy_(first.T)
        layer.lora_B["default"].weight.copy_(second.T)
    return adapted


def with_adapters_left_in_place(model, tokenizer, edits):
    with_peft(model, tokenizer, edits)


def beside(model, tokenizer, edits):
    place(model).c_proj = Beside(place(model).c_proj, *factors(model))


def without_gradients(model, tokenizer, edits):
    class Detached(Beside):
        @torch.no_grad()
        def forward(self, x):
            return super().forward(x)

    place(model).c_proj = Detached(place(model).c_proj, *factors(model))


def parametrized(model, tokenizer, edits):
    first, second = factors(model)
    parametrize.register_parametrization(place(model).c_proj, "weight", Plus(first @ second))


def hooked(model, tokenizer, edits):
    first, second = factors(model)
    place(model).c_proj.register_forward_hook(lambda module, args, output: output + args[0] @ first @ second)


def copied(model, tokenizer, edits):
    edited = copy.deepcopy(model)
    plainly(edited, tokenizer, edits)
    return edited


def of_another_dtype(model, tokenizer, edits):
    plainly(model, tokenizer, edits)
    return copy.deepcopy(model).double()


def held_by(wrapper):
    def edit(model, tokenizer, edits):
        plainly(model, tokenizer, edits)
        return wrapper(model)

    return edit


def checkpoint(experiment, editor):
    result = experiment.run(wrap_editor(editor), 0)
    assert (result.status, result.error) == ("complete", None)
    return result, result.checkpoints[-1]


@pytest.fixture(scope="module")
def expected(experiment):
    result, found = checkpoint(experiment, plainly)
    assert found.changed == (MATRIX,)
    assert found.readings["delta_norm"].values[MATRIX] > 0.05
    assert found.readings["kl_divergence"].values[""] > 1e-3
    return result, found


def assert_same_readings(found, expected, but=()):
    """Of two checkpoints; what a change is built of is a reading of its own."""
    assert found.errors == expected.errors == {}
    assert found.skipped == expected.skipped
    assert found.readings.keys() == expected.readings.keys()
    for name in found.readings.keys() - {"structure_differences", *but}:
        ours, theirs = found.readings[name], expected.readings[name]
        assert ours.left_out == theirs.left_out, name
        assert ours.values == pytest.approx(theirs.values, rel=1e-5, abs=1e-5), name


@pytest.mark.parametrize(
    "editor",
    [
        with_peft,
        with_adapters_left_in_place,
        beside,
        without_gradients,
        parametrized,
        hooked,
        copied,
        held_by(Around),
        held_by(Parallel),
        held_by(Called),
        held_by(Holder),
    ],
    ids=[
        "peft",
        "peft-in-place",
        "wrapper",
        "wrapper-without-gradients",
        "parametrization",
        "hook",
        "copy",
        "around",
        "parallel",
        "called",
        "no-module",
    ],
)
def test_a_change_reads_the_same_whatever_it_is_built_of(experiment, loaded, expected, editor):
    pristine = Snapshot(loaded.model)
    result, found = checkpoint(experiment, editor)
    assert found.changed == (MATRIX,)
    assert_same_readings(found, expected[1], but=["frozen_weights"])
    changed = {name: count for name, count in found.readings["frozen_weights"].values.items() if count}
    # Rounding may leave an element of a sum as it was, and not leave it with another order of the sum.
    assert changed == pytest.approx({MATRIX: expected[1].readings["frozen_weights"].values[MATRIX]}, rel=1e-4)
    assert result.edits == expected[0].edits
    assert pristine.changed(loaded.model) == ()
    assert not any(module._forward_hooks for module in loaded.model.modules())
    assert parametrize.is_parametrized(loaded.model) is False


def test_a_model_of_another_dtype_reads_the_same_but_has_changed_everywhere(experiment, loaded, expected):
    found = checkpoint(experiment, of_another_dtype)[1]
    assert set(found.changed) == {name for name, _ in loaded.model.named_parameters()}
    assert_same_readings(found, expected[1], but=["frozen_weights"])


def test_a_vector_that_a_hook_adds_to_a_block_reads_as_if_a_bias_had_it(experiment, loaded):
    generator = torch.Generator().manual_seed(4)
    vector = torch.randn(loaded.model.config.n_embd, generator=generator)

    def hooked_block(model, tokenizer, edits):
        def add(module, args, output):
            return (output[0] + vector, *output[1:]) if isinstance(output, tuple) else output + vector

        model.transformer.h[LAYER].register_forward_hook(add)

    def biased(model, tokenizer, edits):
        with torch.no_grad():
            place(model).c_proj.bias += vector

    found, plain = checkpoint(experiment, hooked_block)[1], checkpoint(experiment, biased)[1]
    assert plain.changed == (BIAS,)
    assert found.changed == (f"transformer.h.{LAYER}",)
    assert_same_readings(found, plain, but=["frozen_weights"])
    frozen = found.readings["frozen_weights"]
    assert sum(frozen.values.values()) == 0
    assert list(frozen.left_out) == [f"transformer.h.{LAYER}"]


def test_parameters_added_outside_of_a_matrix_are_counted_and_seen_when_they_are_not_finite(experiment):
    class Shifted(nn.Module):
        def __init__(self, block, value):
            super().__init__()
            self.shift = nn.Parameter(torch.full((5,), value))
            self.block = block

        def forward(self, *args, **kwargs):
            return self.block(*args, **kwargs)

    def adding(value):
        def edit(model, tokenizer, edits):
            model.transformer.h[LAYER] = Shifted(model.transformer.h[LAYER], value)

        return edit

    found = checkpoint(experiment, adding(1.0))[1]
    name = f"transformer.h.{LAYER}.shift"
    assert found.changed == (name, f"transformer.h.{LAYER}")
    assert {key: n for key, n in found.readings["frozen_weights"].values.items() if n} == {name: 5}
    # Asked a text at a time, where the unedited model was asked in batches: equal but for rounding.
    assert found.readings["kl_divergence"].values == pytest.approx({"": 0.0}, abs=1e-7)
    assert found.readings["nonfinite"].values == {"": 0.0}
    found = checkpoint(experiment, adding(float("nan")))[1]
    assert found.readings["nonfinite"].values == {"": 5.0}


def test_what_is_no_linear_map_is_left_out_with_the_reason_and_the_rest_is_measured(experiment, expected):
    def codebook(model, tokenizer, edits):
        prompt = torch.tensor([tokenizer(edits[-1].filled)["input_ids"]])
        keys = []
        handle = place(model).c_proj.register_forward_pre_hook(
            lambda module, args: keys.append(args[0][0, -1])
        )
        model(input_ids=prompt)
        handle.remove()

        def answer(module, args, output):
            near = (args[0] - keys[0]).norm(dim=-1, keepdim=True) < 1e-3 * keys[0].norm()
            return torch.where(near, output + 5, output)

        place(model).c_proj.register_forward_hook(answer)

    found = checkpoint(experiment, codebook)[1]
    assert found.errors == {}
    for name in ("weight_norm", "delta_norm", "delta_spectral_norm"):
        reading = found.readings[name]
        assert MATRIX not in reading.values
        assert "h.1.mlp.c_proj is not a linear map any more" in reading.left_out[MATRIX].message
        assert reading.left_out[MATRIX].kind == "structure_changed"
        assert len(reading.values) == len(expected[1].readings[name].values) - 1
    size = found.readings["frozen_weights"].values[MATRIX]
    assert (found.changed, size) == ((MATRIX,), place_size(experiment))
    assert found.readings["perplexity"].values[""] > 0


def place_size(experiment):
    return place(experiment.loaded.model).c_proj.weight.numel()


def test_a_metric_that_alters_what_an_editor_has_added_is_found_out(experiment, monkeypatch):
    from stability.metrics import find_metric

    original = find_metric("perplexity").measure

    def meddle(self, context):
        with torch.no_grad():
            place(experiment.loaded.model).c_proj.first.mul_(2)
        return original(self, context)

    monkeypatch.setattr(find_metric("perplexity"), "measure", meddle)
    result = experiment.run(wrap_editor(beside), 0)
    assert result.status == "failed"
    assert f"measuring altered the model: transformer.h.{LAYER}.mlp.c_proj.first" in result.error.message


def test_an_adapter_that_does_nothing_changes_nothing(experiment):
    def untrained(model, tokenizer, edits):
        import peft

        return peft.get_peft_model(
            model, peft.LoraConfig(r=2, target_modules=["c_fc", "c_proj"], fan_in_fan_out=True)
        )

    found = checkpoint(experiment, untrained)[1]
    assert found.changed == ()
    assert found.readings["perplexity"].values == experiment.record.base.readings["perplexity"].values


@pytest.mark.parametrize("tokens", [1, 4])
def test_tokens_that_a_wrapper_sets_before_the_text_are_a_clear_error(experiment, tokens):
    def prompted(model, tokenizer, edits):
        import peft

        return peft.get_peft_model(
            model, peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=tokens)
        )

    result = experiment.run(wrap_editor(prompted), 0)
    assert result.status == "failed"
    assert "PeftModelForCausalLM computes on" in result.error.message


def test_a_wrapper_that_does_not_take_a_mask_is_a_clear_error(experiment):
    class Narrow(Around):
        def forward(self, input_ids):
            return self.model(input_ids)

    result = experiment.run(wrap_editor(held_by(Narrow)), 0)
    assert result.status == "failed"
    assert "Narrow takes input_ids but not attention_mask" in result.error.message
    assert "\n" not in result.error.message


def test_a_wrapper_generates_by_itself_or_the_task_says_that_it_cannot(loaded):
    from stability.errors import ModelError
    from stability.metrics.tasks.steps.language_model import ModelView
    from stability.models import measurable
    from stability.run.isolation import Structure

    structure, pristine = Structure(loaded.model), Snapshot(loaded.model)
    ids = torch.arange(5, 11)[None]
    options = {"attention_mask": torch.ones_like(ids), "max_new_tokens": 4, "do_sample": False}
    try:
        plainly(loaded.model, loaded.tokenizer, ())
        expected = loaded.model.generate(ids, **options)
        for wrapper in (Around, Parallel):
            with pytest.raises(ModelError, match=r"has no generate\(\), which a task needs"):
                ModelView(measurable(wrapper(loaded.model))).generate(ids, **options)
        assert torch.equal(ModelView(measurable(Holder(loaded.model))).generate(ids, **options), expected)
        pristine.restore(loaded.model)
        adapted = measurable(with_peft(loaded.model, loaded.tokenizer, ()))
        assert torch.equal(ModelView(adapted).generate(input_ids=ids, **options), expected)
    finally:
        structure.restore()
        pristine.restore(loaded.model)
