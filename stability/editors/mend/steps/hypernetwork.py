"""MEND's hypernetwork: it maps the factors of an edit's gradient to those of the change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from stability.editors.mend.steps.gradient_factors import GradientFactors
from stability.record.schema import Matrix

NARROWEST = 0.1


class Layer(nn.Module):
    """One residual layer of low rank, z + σ(s ⊙ (U V z + b) + o); every matrix has its own s and o.

    U, b and o are initially zero, so that the layer is the identity.
    """

    def __init__(
        self, size: int, rank: int, matrices: int, rectified: bool, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.rectified = rectified
        self.u = nn.Parameter(torch.zeros(size, rank))
        self.v = nn.Parameter(torch.randn(rank, size, generator=generator) / math.sqrt(size))
        self.bias = nn.Parameter(torch.zeros(size))
        self.scale = nn.Parameter(torch.ones(matrices, size))
        self.shift = nn.Parameter(torch.zeros(matrices, size))

    def forward(self, z: Tensor, place: int) -> Tensor:
        """[tokens, size] to the same shape, for the matrix with that index."""
        inner = self.scale[place] * (z @ self.v.T @ self.u.T + self.bias) + self.shift[place]
        # Not relu, whose gradient at 0, where every layer starts, is 0: it would never leave.
        return z + (inner.clamp(min=0) if self.rectified else inner)


class Hypernetwork(nn.Module):
    """g of Mitchell et al. 2021 (arXiv 2110.11309, section 3): [x; δ] to [x̃; δ̃], token by token.

    Inputs are z-normalised with each matrix's own means and deviations. Then come two layers, shared by all
    matrices of one shape; the first one is rectified (equation 4 rectifies both; the authors' code, like this
    one, only one). The change of matrix l is -α_l Σ δ̃ x̃ᵀ, where α_l is learnt as its logarithm.
    """

    def __init__(
        self, matrices: Sequence[Matrix], rank: int, edit_lr: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.places: dict[str, tuple[int, int, int]] = {}  # number, that of its shape, place in the shape
        self._d_in: dict[str, int] = {}
        shapes: dict[tuple[int, int], int] = {}
        for number, matrix in enumerate(matrices):
            shape = (matrix.d_in, matrix.d_out)
            place = shapes.get(shape, 0)
            shapes[shape] = place + 1
            self._d_in[matrix.name] = matrix.d_in
            self.places[matrix.name] = (number, list(shapes).index(shape), place)
            self.register_buffer(f"mean_{number}", torch.zeros(sum(shape)))
            self.register_buffer(f"std_{number}", torch.ones(sum(shape)))
        self.layers = nn.ModuleList(
            nn.ModuleList(
                Layer(sum(shape), min(rank, sum(shape)), count, rectified, generator)
                for rectified in (True, False)
            )
            for shape, count in shapes.items()
        )
        self.log_rates = nn.Parameter(torch.full((len(matrices),), math.log(edit_lr)))

    def normalise_by(self, statistics: Mapping[str, Moments]) -> None:
        """Set means and deviations from the factors of many edits.

        A deviation is at least NARROWEST times the root mean square of those of its vector. Otherwise a unit
        that was silent in every training edit would be scaled up without bound when it is first active.
        """
        for name, moments in statistics.items():
            number, d_in = self.places[name][0], self._d_in[name]
            deviation = torch.cat(
                [
                    part.clamp(min=NARROWEST * part.square().mean().sqrt().item())
                    for part in moments.deviation().tensor_split([d_in])
                ]
            )
            self.get_buffer(f"mean_{number}").copy_(moments.mean)
            self.get_buffer(f"std_{number}").copy_(torch.where(deviation > 0, deviation, 1.0))

    def change(self, name: str, factors: GradientFactors) -> GradientFactors:
        """The factors of a matrix's change: x̃ and -α δ̃ for tokens that are kept, zeros for others."""
        number, shape, place = self.places[name]
        joined = torch.cat([factors.x, factors.delta], dim=-1)[factors.kept]  # [kept, d_in + d_out]
        z = (joined.to(self.log_rates) - self.get_buffer(f"mean_{number}")) / self.get_buffer(f"std_{number}")
        layers = self.layers[shape]
        assert isinstance(layers, nn.ModuleList)
        for layer in layers:
            z = layer(z, place)
        x, delta = z.tensor_split([factors.x.shape[-1]], dim=-1)
        return GradientFactors(
            x=_spread(x, factors.kept),
            delta=_spread(-self.log_rates[number].exp() * delta, factors.kept),
            kept=factors.kept,
        )


class Moments:
    """Count, mean and sum of squared deviations of vectors that arrive in batches, in float64."""

    def __init__(self, size: int, device: torch.device) -> None:
        self.count = 0
        self.mean = torch.zeros(size, dtype=torch.float64, device=device)
        self._squares = torch.zeros_like(self.mean)

    def add(self, vectors: Tensor) -> None:
        """Add vectors [n, size] (Chan et al. 1979, the pairwise update)."""
        if len(vectors) == 0:
            return
        batch = vectors.double()
        mean = batch.mean(dim=0)
        step, total = mean - self.mean, self.count + len(batch)
        self._squares += (batch - mean).square().sum(dim=0) + step.square() * self.count * len(batch) / total
        self.mean += step * len(batch) / total
        self.count = total

    def deviation(self) -> Tensor:
        """The standard deviation, with n - 1."""
        return (self._squares / max(self.count - 1, 1)).sqrt()


def _spread(values: Tensor, kept: Tensor) -> Tensor:
    """[kept, d] to their positions in [edits, tokens, d]."""
    return values.new_zeros(*kept.shape, values.shape[-1]).masked_scatter(kept[..., None], values)
