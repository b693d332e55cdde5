from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch

from stability.data.edits import load_edits, load_stream
from stability.metrics import Context, Fitted, Metric, Skipped, edit_outcomes, find_metric
from stability.models import LoadedModel, Snapshot, TokenizedText
from stability.suite import EditsSpec
from stability.suite.schema import UntouchedSpec

COUNT = 40


@pytest.fixture
def context(
    world: LoadedModel, world_text: TokenizedText, context_of: Callable[..., Context]
) -> Iterator[Context]:
    """The built-in model, 40 of whose facts are asked for, before a run of 20 edits."""
    snapshot = Snapshot(world.model)
    base = context_of(world.model, world_text)
    suite = base.suite.model_copy(update={"untouched": UntouchedSpec(count=COUNT)})
    edits = load_edits(EditsSpec(source="world", count=20), 0)
    yield replace(base, tokenizer=world.tokenizer, suite=suite, streams={0: edits})
    snapshot.restore(world.model)


@pytest.fixture
def metric(context: Context) -> Metric:
    made = find_metric("untouched_facts")()
    made.fit(context)
    return made


def test_the_unedited_model_still_knows_what_it_knows(metric: Metric, context: Context):
    assert metric.measure(context).values == {"": 1.0}


def test_it_is_the_share_of_facts_that_hold_token_by_token(
    metric: Metric, context: Context, world: LoadedModel
):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weight = world.model.transformer.h[0].mlp.c_proj.weight
        weight.data.add_(torch.randn_like(weight) * weight.std() * 3)
    edited = {edit.subject for edit in context.streams[0]}
    free = [
        fact for fact in load_stream(EditsSpec(source="world", count=1), 0) if fact.subject not in edited
    ][:COUNT]
    said = [replace(fact, target=str(fact.target_true), target_true=None) for fact in free]
    held = sum(bool(one.accurate) for one in edit_outcomes(world.model, world.tokenizer, said))
    assert metric.measure(context).values == {"": held / COUNT}
    assert 0 < held < COUNT


def test_no_fact_of_an_edited_subject_is_asked(metric: Metric, context: Context):
    stream = load_stream(EditsSpec(source="world", count=1), 0)
    more = replace(context, edits=stream[20:50])
    sample = metric.measure(more).sample
    assert sample is not None
    assert (sample.measured, sample.of) == (COUNT - 30, COUNT)


def test_it_is_skipped_where_every_fact_is_edited(metric: Metric, context: Context):
    everything = load_stream(EditsSpec(source="world", count=1), 0)
    with pytest.raises(Skipped, match="knows none"):
        metric.measure(replace(context, edits=everything))


def test_what_was_chosen_is_taken_over_from_the_store(metric: Metric, context: Context):
    kept = metric.fitted()
    again = find_metric("untouched_facts")()
    assert kept is not None
    assert again.load_fitted(context, kept)
    assert again.measure(context) == metric.measure(context)
    assert not again.load_fitted(context, Fitted({"places": [10**6]}))
