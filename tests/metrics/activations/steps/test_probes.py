"""Layer-pair probes against scikit-learn, pair by pair, and laws that hold for any streams."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from stability.metrics.activations.steps import probes
from stability.metrics.activations.steps.probes import PairProbes, fit_probes
from tests.examples import examples


def draw(layers=4, tokens=120, d=10, step=0.4, seed=0):
    """A residual stream that drifts from layer to layer: [layers, tokens, d]."""
    generator = torch.Generator().manual_seed(seed)
    moves = torch.randn(layers, 1, d, generator=generator) + torch.randn(
        layers, tokens, d, generator=generator
    )
    return torch.randn(tokens, d, generator=generator) + step * moves.cumsum(0)


class Reference:
    """What scikit-learn makes of one pair, converged as far as it goes."""

    def __init__(self, train, first, second, C):
        features = np.concatenate([train[first], train[second]]).astype(np.float64)
        self.pair = first, second
        self.mean, self.deviation = features.mean(0), features.std(0)
        self.deviation[self.deviation == 0] = 1
        self.labels = np.repeat([0, 1], len(train[first]))
        features = (features - self.mean) / self.deviation
        self.fitted = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(features, self.labels)
        margins = (2 * self.labels - 1) * self.fitted.decision_function(features)
        self.objective = C * np.logaddexp(0, -margins).sum() + 0.5 * np.square(self.fitted.coef_).sum()

    def decide(self, streams):
        features = np.concatenate([streams[layer] for layer in self.pair]).astype(np.float64)
        return self.fitted.decision_function((features - self.mean) / self.deviation)


def labels(fitted: PairProbes, streams: torch.Tensor) -> np.ndarray:
    """[pairs, 2 * tokens]: 1 where a probe says "second layer"."""
    said = np.empty((len(fitted.pairs), 2, streams.shape[1]), dtype=np.int64)
    for pairs, sides, decisions in fitted.decisions(streams):
        said[pairs.numpy(), sides.numpy()] = (decisions > 0).numpy()
    return said.reshape(len(fitted.pairs), -1)


def check(fitted, train, test, C, near=0.0):
    """Labels may differ only where scikit-learn's decision is `near` to none."""
    for k, (first, second) in enumerate(fitted.pairs.tolist()):
        reference = Reference(train.numpy(), first, second, C)
        assert fitted.objective[k].item() <= reference.objective * (1 + 1e-3)
        decisions, said = reference.decide(test.numpy()), labels(fitted, test)[k]
        assert ((said == (decisions > 0)) | (np.abs(decisions) < near)).all(), (first, second)
        truth = np.repeat([0, 1], test.shape[1])
        assert fitted.accuracy(test)[k].item() == pytest.approx((said == truth).mean(), abs=1e-12)


@pytest.mark.parametrize("C", [0.01, 1.0])
@pytest.mark.parametrize("step", [0.1, 1.0])
def test_held_out_labels_are_those_of_scikit_learn(C, step):
    streams = draw(layers=5, tokens=400, d=16, step=step)
    train, test = streams[:, :200], streams[:, 200:]
    fitted = fit_probes(train, C)
    assert fitted.pairs.tolist() == [[i, j] for i in range(5) for j in range(i + 1, 5)]
    check(fitted, train, test, C)


def test_in_float32_they_are_but_for_decisions_that_are_hardly_any(monkeypatch):
    monkeypatch.setattr(probes, "GROUP", 40)
    streams = draw(layers=4, tokens=400, d=16)
    fitted = fit_probes(streams[:, :200], 0.01, dtype=torch.float32)
    assert fitted.weights.dtype == torch.float32
    check(fitted, streams[:, :200], streams[:, 200:], 0.01, near=2e-3)


def test_so_they_are_on_the_residual_streams_of_the_built_in_model(world, world_text, context_of):
    streams = context_of(world.model, documents=world_text, probes={"tokens": 800}).observation.features
    train, test = streams[:, ::2], streams[:, 1::2]
    check(fit_probes(train, 0.01), train, test, 0.01)


def test_features_that_are_large_and_hardly_vary_cost_no_precision():
    """As residual streams have them: a mean of thousands in some dimensions, in the late layers."""
    streams = draw(layers=3, tokens=400, d=8)
    streams[1:, :, 2] += 3_000
    streams[2, :, 5] -= 20_000
    train, test = streams[:, :200], streams[:, 200:]
    check(fit_probes(train, 0.01, dtype=torch.float32), train, test, 0.01, near=2e-3)


@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-10, 10), seed=st.integers(0, 20))
@settings(max_examples=examples(25))
def test_scaling_and_shifting_a_feature_changes_no_decision(scale, shift, seed):
    streams = draw(layers=3, tokens=60, d=5, seed=seed).double()
    moved = streams.clone()
    moved[..., 2] = moved[..., 2] * scale + shift
    before, after = fit_probes(streams, 0.1), fit_probes(moved, 0.1)
    for (*_, one), (*_, other) in zip(before.decisions(streams), after.decisions(moved), strict=True):
        assert torch.allclose(one, other, atol=1e-3)


def test_a_feature_that_never_varies_is_no_obstacle():
    streams = draw(layers=3, tokens=200, d=6)
    streams[..., 3] = 7.0
    fitted = fit_probes(streams[:, :100], 0.01)
    assert fitted.converged.all()
    check(fitted, streams[:, :100], streams[:, 100:], 0.01)


def test_a_pair_fitted_alone_decides_as_among_all_pairs():
    streams = draw()
    among, alone = fit_probes(streams, 0.01), fit_probes(streams, 0.01, pairs=[(1, 3)])
    k = among.pairs.tolist().index([1, 3])
    assert torch.allclose(alone.weights[0], among.weights[k], atol=1e-5)
    assert alone.accuracy(streams)[0] == among.accuracy(streams)[k]


def test_layers_that_swap_places_are_always_told_apart_wrongly():
    streams = draw(layers=2)
    streams[1] += 10
    fitted = fit_probes(streams, 0.01)
    assert fitted.accuracy(streams).item() == 1.0
    assert fitted.accuracy(streams.flip(0)).item() == 0.0


def test_layers_that_do_not_differ_are_a_coins_toss():
    streams = draw(layers=1, tokens=500).repeat(2, 1, 1)
    assert fit_probes(streams, 0.01).accuracy(streams).item() == 0.5
