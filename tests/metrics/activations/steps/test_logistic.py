"""The batched solver on its own: dense random regressions against scikit-learn."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from stability.metrics.activations.steps import logistic
from stability.metrics.activations.steps.logistic import minimise
from tests.examples import examples


class Dense:
    """Regressions with features of their own, [regressions, samples, d], and signs [samples]."""

    def __init__(self, features: Tensor, signs: Tensor) -> None:
        ones = torch.ones_like(features[..., :1])
        self.signed = torch.cat([features, ones], -1) * signs[:, None]

    def margins(self, weights: Tensor) -> Tensor:
        return torch.einsum("rnd,rd->rn", self.signed, weights)

    def gradient(self, slopes: Tensor) -> Tensor:
        return torch.einsum("rnd,rn->rd", self.signed, slopes)

    def keep(self, kept: Tensor) -> None:
        self.signed = self.signed[kept]


def draw(regressions, samples, d, overlap, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    signs = torch.ones(samples, dtype=dtype)
    signs[: samples // 2] = -1
    direction = torch.randn(regressions, 1, d, generator=generator, dtype=dtype)
    noise = torch.randn(regressions, samples, d, generator=generator, dtype=dtype)
    return signs[:, None] * direction / overlap + noise, signs


def by_sklearn(features, signs, C):
    fitted = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(features.numpy(), signs.numpy())
    return np.append(fitted.coef_[0], fitted.intercept_[0])


def objective(weights, features, signs, C):
    margins = signs.numpy() * (features.numpy() @ weights[:-1] + weights[-1])
    return C * np.logaddexp(0, -margins).sum() + 0.5 * np.square(weights[:-1]).sum()


@given(
    regressions=st.integers(1, 4),
    samples=st.integers(4, 60),
    d=st.integers(1, 12),
    overlap=st.sampled_from([0.2, 1.0, 5.0]),
    C=st.sampled_from([1e-4, 0.01, 1.0, 100.0]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=examples(40))
def test_weights_and_objective_are_those_of_scikit_learn(regressions, samples, d, overlap, C, seed):
    features, signs = draw(regressions, samples, d, overlap, seed)
    fit = minimise(Dense(features, signs), torch.zeros(regressions, d + 1, dtype=torch.float64), samples, C)
    assert fit.converged.all()
    for k in range(regressions):
        weights = by_sklearn(features[k], signs, C)
        best = objective(weights, features[k], signs, C)
        assert fit.objective[k].item() <= best * (1 + 1e-6)
        assert objective(fit.weights[k].numpy(), features[k], signs, C) == pytest.approx(
            fit.objective[k].item(), rel=1e-9
        )
        assert fit.weights[k].numpy() == pytest.approx(weights, rel=1e-2, abs=1e-3)


def test_float32_comes_within_the_bound_that_it_promises():
    features, signs = draw(6, 400, 30, 3.0, seed=1)
    exact = minimise(Dense(features, signs), torch.zeros(6, 31, dtype=torch.float64), 400, C=0.1)
    rough = minimise(Dense(features.float(), signs.float()), torch.zeros(6, 31), 400, C=0.1)
    assert rough.converged.all()
    assert (rough.objective.double() <= exact.objective * (1 + 2e-5)).all()


def test_a_regression_is_not_moved_by_those_it_is_fitted_with():
    features, signs = draw(5, 80, 6, 1.0, seed=2)
    features[1] *= 100  # far easier than the others: done at another time
    together = minimise(Dense(features, signs), torch.zeros(5, 7, dtype=torch.float64), 80, C=1.0)
    for k in range(5):
        alone = minimise(Dense(features[k : k + 1], signs), torch.zeros(1, 7, dtype=torch.float64), 80, C=1.0)
        assert torch.allclose(alone.weights[0], together.weights[k], rtol=1e-9)


def test_a_start_elsewhere_ends_at_the_same_minimum():
    features, signs = draw(3, 50, 4, 1.0, seed=3)
    generator = torch.Generator().manual_seed(0)
    elsewhere = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    from_zero = minimise(Dense(features, signs), torch.zeros(3, 5, dtype=torch.float64), 50, C=1.0)
    from_there = minimise(Dense(features, signs), elsewhere, 50, C=1.0)
    assert torch.allclose(from_zero.weights, from_there.weights, atol=1e-4)


def test_what_has_not_converged_says_so(monkeypatch):
    monkeypatch.setattr(logistic, "ITERATIONS", 2)
    features, signs = draw(2, 60, 8, 1.0, seed=4)
    features[1] = 0  # the zero weights that it starts from are right
    fit = minimise(Dense(features, signs), torch.zeros(2, 9, dtype=torch.float64), 60, C=1.0)
    assert fit.converged.tolist() == [False, True]
    assert (fit.objective < 60 * np.log(2) + 1e-9).all()
