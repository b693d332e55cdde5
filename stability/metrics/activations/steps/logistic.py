"""Many binary logistic regressions at once: one L-BFGS for all, each stopped by a bound on what is left.

The losses are linear-margin losses, so a step costs two products with the features (margins of the direction,
then the gradient) and the line search along the margins costs none. The objective is scikit-learn's,

    ½‖w‖² + C Σ log(1 + exp(-margin)),     the intercept unpenalised,

which is 1-strongly convex in w: the distance to its minimum is at most ½‖gradient‖² (and about g²/2h in the
intercept, whose curvature is h). A regression is done when that is below `TOLERANCE` times its objective.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import softplus

HISTORY = 8
ITERATIONS = 1_000
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-6}
LINE_SEARCH_STEPS = 30
SLOPE_LEFT = 0.1  # a line search ends when this share of the slope is left


class Regressions(Protocol):
    """Linear maps between weights and margins, for the regressions that are still being fitted.

    Weights are [regressions, d + 1], the intercept last. Margins are [regressions, samples]: decisions,
    signed so that a positive one is right.
    """

    def margins(self, weights: Tensor) -> Tensor:
        """The margins that these weights give."""

    def gradient(self, slopes: Tensor) -> Tensor:
        """The transposed map: Σ slope · ∂margin/∂weights, [regressions, d + 1]."""

    def keep(self, kept: Tensor) -> None:
        """From now on only the regressions where `kept` is true, [regressions] bool."""


@dataclass(frozen=True)
class Fit:
    """What came out, for each regression: weights [n, d + 1], objective [n], whether it converged [n]."""

    weights: Tensor
    objective: Tensor
    converged: Tensor
    iterations: int


def minimise(regressions: Regressions, start: Tensor, samples: int, C: float) -> Fit:
    """Minimise every regression from `start`, [n, d + 1], float32 or float64; the same result every time."""
    tolerance = TOLERANCE[start.dtype]
    active = torch.arange(len(start), device=start.device)  # the regressions still in work
    found, objectives = start.clone(), start.new_zeros(len(start))
    converged = torch.zeros(len(start), dtype=torch.bool, device=start.device)
    w = start.clone()
    m = regressions.margins(w) if w.any() else w.new_zeros(len(w), samples)
    memory = _Memory()
    for iteration in range(ITERATIONS + 1):
        wrong = torch.sigmoid(-m)  # [active, samples]
        objective = C * softplus(-m).sum(1) + 0.5 * w[:, :-1].square().sum(1)
        gradient = regressions.gradient(wrong * -C)
        gradient[:, :-1] += w[:, :-1]
        curvature = C * (wrong * (1 - wrong)).sum(1)  # of the intercept
        gap = 0.5 * (gradient[:, :-1].square().sum(1) + gradient[:, -1].square() / curvature)
        done = gap <= tolerance * objective
        if done.any() or iteration == ITERATIONS:
            found[active], objectives[active], converged[active] = w, objective, done
            going = ~done
            if iteration == ITERATIONS or not going.any():
                break
            regressions.keep(going)
            memory.keep(going)
            active, w, m, gradient, wrong = (one[going] for one in (active, w, m, gradient, wrong))
        direction = -memory.times_inverse_hessian(w, gradient)
        dm = regressions.margins(direction)
        line = _Line(m, dm, w[:, :-1], direction[:, :-1], C)
        step = _line_search(line, slope=_dot(gradient, direction), first=memory.empty)
        memory.remember(w, gradient)
        w = w.addcmul(direction, step[:, None])
        m = m.addcmul(dm, step[:, None])
    return Fit(found, objectives, converged, iteration)


class _Memory:
    """The last steps and changes of gradient, [regressions, d + 1] each (Nocedal & Wright, algorithm 7.4)."""

    def __init__(self) -> None:
        self._pairs: list[tuple[Tensor, Tensor, Tensor]] = []
        self._last: tuple[Tensor, Tensor] | None = None

    @property
    def empty(self) -> bool:
        return not self._pairs

    def keep(self, kept: Tensor) -> None:
        self._pairs = [(s[kept], y[kept], rho[kept]) for s, y, rho in self._pairs]
        if self._last:
            self._last = self._last[0][kept], self._last[1][kept]

    def remember(self, w: Tensor, gradient: Tensor) -> None:
        self._last = w, gradient

    def times_inverse_hessian(self, w: Tensor, gradient: Tensor) -> Tensor:
        if self._last:
            s, y = w - self._last[0], gradient - self._last[1]
            # Strong convexity makes s·y positive, unless s is so short that only rounding is left of y.
            product = _dot(s, y)
            rho = torch.where(product > 0, 1 / product, 0)
            self._pairs = [*self._pairs[1 - HISTORY :], (s, y, rho)]
        q, shares = gradient.clone(), []
        for s, y, rho in reversed(self._pairs):
            shares.append(rho * _dot(s, q))
            q.addcmul_(y, shares[-1][:, None], value=-1)
        if self._pairs:
            s, y, rho = self._pairs[-1]
            scale = rho * _dot(y, y)
            q /= torch.where(scale > 0, scale, 1)[:, None]
        for (s, y, rho), share in zip(self._pairs, reversed(shares), strict=True):
            q.addcmul_(s, (share - rho * _dot(y, q))[:, None])
        return q


@dataclass(frozen=True)
class _Line:
    """The objectives along w + t·direction, of which the margins are m + t·dm."""

    m: Tensor
    dm: Tensor
    w: Tensor
    direction: Tensor
    C: float

    def derivatives(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """First and second derivative at t, [regressions]."""
        wrong = torch.sigmoid(self.m.addcmul(self.dm, t[:, None]).neg_())
        length = _dot(self.direction, self.direction)
        pull = wrong * self.dm
        first = -self.C * pull.sum(1) + _dot(self.w, self.direction) + t * length
        second = self.C * (pull * (1 - wrong) * self.dm).sum(1) + length
        return first, second


def _line_search(line: _Line, slope: Tensor, first: bool) -> Tensor:
    """Newton's method on each line, kept inside a bracket; steps [regressions]. A step never goes uphill.

    `slope` [regressions] is the first derivative at 0. Without a memory (`first`) a direction has no scale.
    """
    wanted = SLOPE_LEFT * slope.abs()
    low, high = torch.zeros_like(slope), torch.full_like(slope, torch.inf)
    t = -slope / line.derivatives(low)[1] if first else torch.ones_like(slope)
    for _ in range(LINE_SEARCH_STEPS):
        slope, curvature = line.derivatives(t)
        there = slope.abs() <= wanted
        if there.all():
            return t
        low = torch.where(slope < 0, t, low)
        high = torch.where(slope > 0, t, high)
        newton = t - slope / curvature
        middle = torch.where(high.isinf(), 2 * t, (low + high) / 2)
        inside = (newton > low) & (newton < high)
        t = torch.where(there, t, torch.where(inside, newton, middle))
    return torch.where(there, t, low)


def _dot(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum(1)
