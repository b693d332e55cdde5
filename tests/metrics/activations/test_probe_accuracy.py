"""The metric: fitted once on some documents, tested at every checkpoint on the others."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from stability.errors import DataError, MeasurementError
from stability.metrics import Skipped
from stability.metrics.activations.probe_accuracy import ProbeAccuracy
from stability.metrics.activations.steps.split import training_documents
from stability.models import TokenizedText
from stability.record import Sample
from tests.examples import examples

ALL_PAIRS = {"minimum_base_accuracy": 0.5}


def fitted(context):
    metric = ProbeAccuracy()
    metric.fit(context)
    return metric


def test_accuracies_are_those_of_scikit_learn_on_documents_it_was_not_fitted_on(build_model, context_of):
    model = build_model()
    context = context_of(model, probes=ALL_PAIRS)
    metric = fitted(context)
    before = context.observation
    train = training_documents(
        context.text.documents, before.places.document[before.places.features], share=0.5
    )[before.places.document[before.places.features]].numpy()
    model.transformer.h[1].mlp.c_proj.weight.mul_(4)
    edited = context_of(model, base=context, probes=ALL_PAIRS)
    reading = metric.measure(edited)
    assert reading.over == "pair"
    assert set(reading.values) == {"0-1", "0-2", "0-3", "1-2", "1-3", "2-3"}
    assert reading.values != reading.base

    base, now = (one.observation.features.double().numpy() for one in (context, edited))
    for pair, accuracy in reading.values.items():
        first, second = map(int, pair.split("-"))
        features = np.concatenate([base[first, train], base[second, train]])
        mean, deviation = features.mean(0), features.std(0)
        probe = LogisticRegression(C=0.01, tol=1e-10, max_iter=10_000)
        probe.fit((features - mean) / deviation, np.repeat([0, 1], train.sum()))
        for streams, expected in ((base, reading.base[pair]), (now, accuracy)):
            held_out = np.concatenate([streams[first, ~train], streams[second, ~train]])
            truth = np.repeat([0, 1], (~train).sum())
            assert probe.score((held_out - mean) / deviation, truth) == pytest.approx(expected, abs=1e-12)


def test_on_the_unedited_model_the_accuracy_is_the_base_accuracy(build_model, context_of):
    context = context_of(build_model(), probes=ALL_PAIRS)
    reading = fitted(context).measure(context)
    assert reading.values == reading.base
    assert len(reading.values) == 6


def test_an_edit_leaves_pairs_below_it_as_they_were(build_model, context_of):
    model = build_model()
    context = context_of(model, probes=ALL_PAIRS)
    metric = fitted(context)
    model.transformer.h[2].mlp.c_proj.weight.normal_(0, 5, generator=torch.Generator().manual_seed(0))
    reading = metric.measure(context_of(model, base=context, probes=ALL_PAIRS))
    assert reading.values["0-1"] == reading.base["0-1"]
    assert reading.values["0-3"] != reading.base["0-3"]


def test_a_pair_that_is_hard_on_the_base_is_left_out_with_its_accuracy_there(build_model, context_of):
    context = context_of(build_model(), probes=ALL_PAIRS)
    base = fitted(context).measure(context).base
    minimum = sorted(base.values())[2]
    strict = context_of(context.model, probes={"minimum_base_accuracy": minimum})
    reading = fitted(strict).measure(strict)
    low = {pair for pair, value in base.items() if value < minimum}
    assert len(low) == 2
    assert set(reading.left_out) == low
    assert set(reading.values) == set(base) - low
    assert reading.base == base
    for pair in low:
        assert f"base accuracy {base[pair]:.3f} is below" in reading.left_out[pair].message
        assert reading.left_out[pair].kind == "probe_unreliable"


def test_the_built_in_models_layers_are_told_apart(world, world_text, context_of):
    context = context_of(world.model, documents=world_text)
    reading = fitted(context).measure(context)
    assert len(reading.base) == 28
    assert np.mean(list(reading.base.values())) > 0.95
    assert reading.values["0-7"] > 0.95


def test_a_model_of_one_layer_is_skipped(build_model, context_of):
    context = context_of(build_model(n_layer=1))
    metric = fitted(context)
    with pytest.raises(Skipped, match="one layer"):
        metric.measure(context)


@pytest.mark.parametrize(
    ("windows", "of"),
    [
        ((torch.arange(1, 30), torch.arange(1, 30)), (0, 1)),
        ((torch.arange(1, 30), torch.arange(30, 50), torch.arange(50, 60)), (0, 0, 0)),
    ],
    ids=["written twice", "in three windows"],
)
def test_a_single_document_cannot_be_split_and_is_a_data_error(windows, of, build_model, context_of):
    context = context_of(build_model(), documents=TokenizedText(windows, "one", of))
    metric = ProbeAccuracy()
    with pytest.raises(
        DataError, match=r"1 different documents cannot be split .* \(2 are needed at least\)"
    ):
        metric.fit(context)
    with pytest.raises(MeasurementError, match="not fitted"):
        metric.measure(context)


def test_no_document_is_on_both_sides_however_many_windows_it_has(build_model, context_of):
    generator = torch.Generator().manual_seed(4)
    documents = (0, 0, 1, 2, 2, 2, 2, 3, 4, 4)
    windows = tuple(torch.randint(1, 90, (12,), generator=generator) for _ in documents)
    context = context_of(build_model(), documents=TokenizedText(windows, "long", documents))
    metric = fitted(context)
    places = context.observation.places
    sides = {
        (documents[window], bool(held))
        for window, held in zip(
            places.window[places.features].tolist(), metric._held_out.tolist(), strict=True
        )
    }
    assert len(sides) == 5
    assert {held for _, held in sides} == {True, False}


def test_a_text_of_fewer_tokens_than_asked_for_is_stated_as_a_sample(build_model, context_of):
    few, enough = (context_of(build_model(), probes={**ALL_PAIRS, "tokens": n}) for n in (2_000, 100))
    taken = len(few.observation.places.features)
    assert taken < 2_000
    sample = Sample(measured=taken, of=2_000, what="tokens asked for")
    assert fitted(few).measure(few).sample == sample
    assert fitted(enough).measure(enough).sample is None


@given(
    lengths=st.lists(st.integers(1, 20), min_size=12, max_size=40),
    share=st.floats(0.3, 0.7),
    repeated=st.booleans(),
    seed=st.integers(0, 100),
)
@settings(max_examples=examples(60))
def test_the_split_follows_the_documents_content_and_keeps_the_share(lengths, share, repeated, seed):
    generator = torch.Generator().manual_seed(seed)
    documents = [torch.randint(0, 10**9, (length,), generator=generator) for length in lengths]
    documents += documents[:5] if repeated else []
    tokens = torch.tensor([len(document) for document in documents])
    of_features = torch.repeat_interleave(torch.arange(len(documents)), tokens)
    train = training_documents(documents, of_features, share)

    assert abs(int(tokens[train].sum()) - share * int(tokens.sum())) <= 2 * max(lengths)
    if repeated:
        assert train[:5].tolist() == train[-5:].tolist()

    order = torch.randperm(len(documents), generator=generator)
    shuffled = training_documents(
        [documents[k] for k in order],
        torch.repeat_interleave(torch.arange(len(documents)), tokens[order]),
        share,
    )
    assert shuffled.tolist() == train[order].tolist()


def test_a_pair_that_an_edit_confuses_keeps_its_place_however_low_it_falls(build_model, context_of):
    model = build_model()
    context = context_of(model, probes={"minimum_base_accuracy": 0.9})
    metric = fitted(context)
    before = metric.measure(context)
    assert before.values
    model.transformer.wte.weight.mul_(-50)
    after = metric.measure(context_of(model, base=context, probes={"minimum_base_accuracy": 0.9}))
    assert set(after.values) == set(before.values)
    assert min(after.values.values()) < 0.9
    assert (after.base, after.left_out) == (before.base, before.left_out)


def test_a_model_of_two_blocks_has_one_pair(build_model, context_of):
    context = context_of(build_model(n_layer=2), probes=ALL_PAIRS)
    assert set(fitted(context).measure(context_of(context.model, base=context, probes=ALL_PAIRS)).values) == {
        "0-1"
    }
