"""Causal tracing on the built-in model, whose facts pass through its first blocks."""

import pytest
import torch

from stability.data.edits import load_stream
from stability.metrics.scoring.known import known_first
from stability.models import load_model
from stability.suite import EditsSpec, ModelSpec
from tools.tracing.trace import NOISE, Prompt, deviation, trace


@pytest.fixture(scope="module")
def world():
    return load_model(ModelSpec(name="world", device="cpu"))


@pytest.fixture(scope="module")
def facts(world):
    stream = load_stream(EditsSpec(source="world", count=1), 0)
    return [stream[place] for place in known_first(world.model, world.tokenizer, stream, 4)]


def test_the_subjects_tokens_are_those_of_its_name(world, facts):
    for fact in facts:
        prompt = Prompt.of(world.tokenizer, fact)
        said = world.tokenizer.decode(prompt.ids[0, list(prompt.subject)])
        assert said.strip() == fact.subject


def test_facts_of_the_built_in_model_come_back_by_its_first_blocks(world, facts):
    noise = NOISE * deviation(world, facts)
    traces = [trace(world, fact, noise, window=1, samples=3) for fact in facts]
    assert min(one.clean for one in traces) > 0.5 > sum(one.corrupted for one in traces) / len(traces)
    effects = torch.stack([one.effects for one in traces]).mean(0)
    assert effects.argmax().item() <= 1
    assert effects.max() > 0.05
    assert abs(effects[-1]) < effects.max() / 2


def test_without_noise_nothing_is_lost_and_nothing_comes_back(world, facts):
    found = trace(world, facts[0], noise=0.0, samples=2)
    assert found.corrupted == pytest.approx(found.clean, abs=1e-5)
    assert found.effects.abs().max() < 1e-5


def test_the_model_is_left_as_it_was(world, facts):
    trace(world, facts[0], 1.0, samples=1)
    assert not any(module._forward_hooks for module in world.model.modules())
