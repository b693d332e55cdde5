"""Layer-pair probes: a loop over scikit-learn's LogisticRegression against fitting all pairs at once.

    python -m benchmarks.probes [--tokens 1000] [--pairs 24] [--skip-large]

One process, one thread, BLAS pinned; seconds are CPU seconds. For scikit-learn they are those of `fit` and
`score` alone, on arrays that are standardised already, in float64 (its default) and float32; ours include the
standardising. Where there are many pairs, scikit-learn fits some of every layer gap, and its time is
extrapolated. `objective` is the largest excess over that of scikit-learn run to tol=1e-9, `labels` counts the
held-out labels that differ from the latter's. Ours is done in float64 where that is cheap, else in float32.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from torch import Tensor

from stability.metrics.activations.steps.probes import PairProbes, fit_probes

T = TypeVar("T")


def main() -> None:
    """Print a block of lines for each size and C."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--tokens", type=int, default=1000)
    arguments.add_argument("--pairs", type=int, default=24)
    arguments.add_argument("--skip-large", action="store_true")
    asked = arguments.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=UserWarning)
    sizes = [(12, 128, 0.1, 66), (12, 128, 0.4, 66)]
    if not asked.skip_large:
        sizes.append((48, 1600, 0.25, asked.pairs))
    with threadpool_limits(1):
        for layers, d, step, pairs in sizes:
            streams = drift(layers, 2 * asked.tokens, d, step)
            for C in (0.01, 1.0):
                compare(streams[:, : asked.tokens], streams[:, asked.tokens :], C, pairs)


def drift(layers: int, tokens: int, d: int, step: float) -> Tensor:
    """Streams [layers, tokens, d] that change from layer to layer as a transformer's do.

    Each layer adds a shift, a mixture of what is there, and noise, and the dimensions differ in scale.
    """
    generator = torch.Generator().manual_seed(0)
    scale = torch.arange(1, d + 1).pow(-0.5)
    stream = torch.randn(tokens, d, generator=generator) * scale
    streams = []
    for _ in range(layers):
        mixing = torch.randn(d, d, generator=generator) / d**0.5
        noise = torch.randn(tokens, d, generator=generator) * scale
        shift = torch.randn(d, generator=generator) * torch.rand(d, generator=generator).pow(4) * scale
        stream = stream + step * (torch.tanh(stream @ mixing) * scale + noise + 2 * shift)
        streams.append(stream.clone())
    return torch.stack(streams)


@dataclass
class Sklearn:
    """What the loop over scikit-learn took and gave; seconds are of the pairs that were fitted."""

    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("float64", "float32", "score"), 0.0)
    )
    objective: list[float] = field(default_factory=list)
    default_objective: list[float] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)
    default_labels: list[np.ndarray] = field(default_factory=list)


def compare(train: Tensor, test: Tensor, C: float, count: int) -> None:
    """Fit and test the probes of all pairs both ways."""
    layers, tokens, d = train.shape
    ours = {"float32": timed(lambda: fit_probes(train, C, dtype=torch.float32))}
    if layers < 48:
        ours["float64"] = timed(lambda: fit_probes(train, C, dtype=torch.float64))
    fitted = ours["float32"][0]
    accuracy, score_seconds = timed(lambda: fitted.accuracy(test))
    chosen = stratified(fitted.pairs.tolist(), count)
    theirs = loop(train.numpy(), test.numpy(), [fitted.pairs[k].tolist() for k in chosen], C)
    scale = len(fitted.pairs) / len(chosen)
    print(
        f"\n{layers} layers x {d}, {tokens} tokens, C={C:g}, {len(fitted.pairs)} pairs "
        f"({len(chosen)} of them by scikit-learn), accuracy {accuracy.min():.2f} to {accuracy.max():.2f}"
    )
    best = np.array(theirs.objective)
    total = len(chosen) * 2 * test.shape[1]
    wrong = differing(theirs.default_labels, theirs.labels)
    excess = (np.array(theirs.default_objective) / best - 1).max()
    for kind, seconds in theirs.seconds.items():
        if kind != "score":
            print(
                f"  fit   scikit-learn {kind} {seconds * scale:8.2f} s   "
                f"objective +{excess:.0e}   labels {wrong} of {total:,}"
            )
    for kind, (probes, seconds) in ours.items():
        labels = said(probes, test)
        wrong = differing([labels[k] for k in chosen], theirs.labels)
        excess = (probes.objective[chosen].double().numpy() / best - 1).max()
        ratios = [theirs.seconds[other] * scale / seconds for other in ("float64", "float32")]
        print(
            f"  fit   ours         {kind} {seconds:8.2f} s   objective {excess:+.0e}   "
            f"labels {wrong} of {total:,}   ratio {ratios[0]:.1f} to float64, {ratios[1]:.1f} to float32"
        )
    other = theirs.seconds["score"] * scale
    print(
        f"  test  scikit-learn {other:.3f} s   ours {score_seconds:.3f} s   ratio {other / score_seconds:.0f}"
    )


def differing(some: list[np.ndarray], others: list[np.ndarray]) -> int:
    """How many labels differ."""
    return sum(int((one != other).sum()) for one, other in zip(some, others, strict=True))


def loop(train: np.ndarray, test: np.ndarray, pairs: list[list[int]], C: float) -> Sklearn:
    """scikit-learn, pair by pair."""
    found = Sklearn()
    truth = np.repeat([0, 1], train.shape[1])
    test_truth = np.repeat([0, 1], test.shape[1])
    for first, second in pairs:
        features = np.concatenate([train[first], train[second]]).astype(np.float64)
        mean, deviation = features.mean(0), features.std(0)
        features = (features - mean) / deviation
        held_out = (np.concatenate([test[first], test[second]]) - mean) / deviation
        narrow = features.astype(np.float32)

        fit = partial(by_sklearn, truth=truth, C=C)
        default, seconds = timed(partial(fit, features))
        found.seconds["float64"] += seconds
        found.seconds["float32"] += timed(partial(fit, narrow))[1]
        found.seconds["score"] += timed(partial(default.score, held_out, test_truth))[1]
        tight = fit(features, tol=1e-9)
        found.objective.append(objective(tight, features, truth, C))
        found.default_objective.append(objective(default, features, truth, C))
        found.labels.append(tight.predict(held_out))
        found.default_labels.append(default.predict(held_out))
    return found


def by_sklearn(features: np.ndarray, truth: np.ndarray, C: float, tol: float = 1e-4) -> LogisticRegression:
    """A probe, to scikit-learn's default tolerance or another."""
    return LogisticRegression(C=C, tol=tol, max_iter=20_000).fit(features, truth)


def objective(fitted: LogisticRegression, features: np.ndarray, truth: np.ndarray, C: float) -> float:
    """½‖w‖² + C Σ log(1 + exp(-margin))."""
    margins = (2 * truth - 1) * fitted.decision_function(features)
    return float(C * np.logaddexp(0, -margins).sum() + 0.5 * np.square(fitted.coef_).sum())


def said(fitted: PairProbes, streams: Tensor) -> np.ndarray:
    """Held-out labels [pairs, 2 * tokens]."""
    labels = torch.empty(len(fitted.pairs), 2, streams.shape[1], dtype=torch.bool)
    for pairs, sides, decisions in fitted.decisions(streams):
        labels[pairs, sides] = decisions > 0
    return labels.flatten(1).numpy()


def stratified(pairs: list[list[int]], count: int) -> list[int]:
    """Indices of `count` pairs, spread over the layer gaps, neighbours included."""
    by_gap = sorted(range(len(pairs)), key=lambda k: (pairs[k][1] - pairs[k][0], pairs[k]))
    return [by_gap[k * len(pairs) // count] for k in range(min(count, len(pairs)))]


def timed(run: Callable[[], T]) -> tuple[T, float]:
    """The result and the CPU seconds it took."""
    started = time.process_time()
    result = run()
    return result, time.process_time() - started


if __name__ == "__main__":
    main()
