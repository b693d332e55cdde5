"""Layer-pair probes: for each pair of layers a logistic regression that tells their streams apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stability.metrics.activations.steps.logistic import minimise

SMALL = 2**27  # products per pass up to which float64 is cheap enough
GROUP = 2**25  # weights that are fitted at a time, to bound the optimiser's memory


@dataclass(frozen=True)
class PairProbes:
    """Fitted probes of `pairs`, [p, 2], the lower layer first.

    A residual stream x of layer l is decided by (x - centre[l]) · weights[p] + shift[p, side], where side is
    0 for the pair's first layer and 1 for its second; a positive decision says "second layer".
    """

    pairs: Tensor  # [p, 2]
    centre: Tensor  # [layers, d]: each layer's mean on the training tokens
    weights: Tensor  # [p, d], of features as they are, not standardised
    shift: Tensor  # [p, 2]
    objective: Tensor  # [p], of standardised features, as scikit-learn defines it
    converged: Tensor  # [p]

    def decisions(self, streams: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Layer by layer: pairs that the layer is in [k], its sides in them [k], decisions [k, tokens].

        `streams` is [layers, tokens, d]. One product for each layer gives the decisions of all its pairs.
        """
        for layer, (pairs, sides) in enumerate(_members(self.pairs, len(streams))):
            if len(pairs):
                centred = streams[layer].to(self.weights) - self.centre[layer]
                yield pairs, sides, self.weights[pairs] @ centred.T + self.shift[pairs, sides, None]

    def accuracy(self, streams: Tensor) -> Tensor:
        """The share of tokens whose layer each probe names rightly, both layers together: [p] float64."""
        right = torch.zeros(len(self.pairs), dtype=torch.int64, device=self.weights.device)
        for pairs, sides, decisions in self.decisions(streams):
            right[pairs] += ((decisions > 0) == (sides == 1)[:, None]).sum(1)
        return right.double() / (2 * streams.shape[1])


def fit_probes(
    streams: Tensor,
    C: float,
    pairs: Sequence[tuple[int, int]] | None = None,
    dtype: torch.dtype | None = None,
) -> PairProbes:
    """Fit the probes of all pairs of layers, or of these, on training tokens' `streams` [layers, tokens, d].

    Features are standardised with mean and deviation pooled over both layers of a pair; C weighs the data
    against an L2 penalty, as in scikit-learn. Unless `dtype` says float32 or float64, the work is done in
    float64 where that is cheap enough.
    """
    layers, tokens, d = streams.shape
    small = layers * (layers - 1) * tokens * d <= SMALL
    features = streams.to(dtype or (torch.float64 if small else torch.float32))
    centre = features.mean(1)  # [layers, d]
    features = features - centre[:, None]
    variance = features.square().mean(1)  # [layers, d]
    chosen = (
        torch.triu_indices(layers, layers, 1).T
        if pairs is None
        else torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)
    ).to(streams.device)
    fitted = [
        _fit(features, centre, variance, group, C) for group in torch.split(chosen, max(1, GROUP // (d + 1)))
    ]
    weights, shift, objective, converged = (torch.cat(parts) for parts in zip(*fitted, strict=True))
    return PairProbes(chosen, centre, weights, shift, objective, converged)


def _fit(
    features: Tensor, centre: Tensor, variance: Tensor, pairs: Tensor, C: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights of unscaled features, shifts by side, objectives and convergence of these pairs."""
    first, second = pairs.T
    half = (centre[second] - centre[first]) / 2  # [p, d]
    pooled = (variance[first] + variance[second]) / 2 + half.square()
    deviation = torch.where(pooled > 0, pooled, 1).sqrt()  # [p, d]
    problem = _Pairs(features, pairs, half, deviation)
    start = features.new_zeros(len(pairs), features.shape[2] + 1)
    fit = minimise(problem, start, samples=2 * features.shape[1], C=C)
    weights, intercept = fit.weights[:, :-1] / deviation, fit.weights[:, -1]
    offset = (half * weights).sum(1)
    return weights, torch.stack([intercept - offset, intercept + offset], 1), fit.objective, fit.converged


class _Pairs:
    """The regressions of pairs of layers, on features [layers, tokens, d] less each layer's mean.

    The pooled mean of a pair lies midway between the means of its layers, so a standardised feature is
    (centred feature ± `half` the distance of the means) / `deviation`. Nothing large is subtracted from
    anything large, and no pair needs a copy of the features.
    """

    def __init__(self, features: Tensor, pairs: Tensor, half: Tensor, deviation: Tensor) -> None:
        self._features = features
        self._pairs, self._half, self._deviation = pairs, half, deviation  # [p, 2], [p, d], [p, d]
        self._members = _members(pairs, len(features))

    def margins(self, weights: Tensor) -> Tensor:
        """Signed decisions [p, 2 * tokens]: those of the first layer, then those of the second."""
        scaled = weights[:, :-1] / self._deviation
        decisions = weights.new_empty(len(weights), 2, self._features.shape[1])
        for centred, (pairs, sides) in zip(self._features, self._members, strict=True):
            if len(pairs):
                decisions[pairs, sides] = scaled[pairs] @ centred.T
        offset = (self._half * scaled).sum(1)
        decisions[:, 0] += (weights[:, -1] - offset)[:, None]
        decisions[:, 1] += (weights[:, -1] + offset)[:, None]
        decisions[:, 0].neg_()
        return decisions.flatten(1)

    def gradient(self, slopes: Tensor) -> Tensor:
        """The transposed map of `margins`."""
        signed = slopes.reshape(len(slopes), 2, -1).clone()  # [p, 2, tokens]
        signed[:, 0].neg_()
        sums = signed.sum(2)  # [p, 2]
        gradient = slopes.new_zeros(len(slopes), self._features.shape[2] + 1)
        inner = gradient[:, :-1]
        for centred, (pairs, sides) in zip(self._features, self._members, strict=True):
            if len(pairs):
                inner[pairs] += signed[pairs, sides] @ centred
        inner += self._half * (sums[:, 1] - sums[:, 0])[:, None]
        inner /= self._deviation
        gradient[:, -1] = sums.sum(1)
        return gradient

    def keep(self, kept: Tensor) -> None:
        """Narrow to the pairs where `kept` is true."""
        self._pairs, self._half, self._deviation = (
            one[kept] for one in (self._pairs, self._half, self._deviation)
        )
        self._members = _members(self._pairs, len(self._features))


def _members(pairs: Tensor, layers: int) -> list[tuple[Tensor, Tensor]]:
    """For each layer: the pairs that it is in, as indices, and which side of each it is, 0 or 1."""
    return [torch.nonzero(pairs == layer, as_tuple=True) for layer in range(layers)]  # type: ignore[misc]
