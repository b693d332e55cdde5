"""Values of layers: of the tokens that count, and as a reading."""

from __future__ import annotations

from torch import Tensor

from stability.errors import DataError
from stability.metrics.plugin.metric import Context
from stability.record import Reading, Sample


def counted_norms(context: Context, values: Tensor) -> Tensor:
    """The columns of `values`, [layers, tokens], that `text.skip_tokens` leaves.

    Raises:
        DataError: it leaves none.
    """
    counted = context.observation.places.position >= context.suite.text.skip_tokens
    if not counted.any():
        raise nothing_left(context)
    return values[:, counted]


def nothing_left(context: Context) -> DataError:
    """`text.skip_tokens` leaves no token of any window."""
    skip, longest = context.suite.text.skip_tokens, max(map(len, context.text.windows), default=0)
    return DataError(
        f"text.skip_tokens: {skip} leaves no token to measure activations on: the longest window of the text "
        f"has {longest}, and {skip + 1} are needed; skip fewer, give longer documents or raise text.window"
    )


def mean_cosine(one: Tensor, other: Tensor) -> float:
    """Mean cosine of the rows of two tensors, [n, d] each; exactly 1 if they are equal."""
    one, other = one.double(), other.double()
    product, lengths, other_lengths = ((a * b).sum(1) for a, b in ((one, other), (one, one), (other, other)))
    # The root of the product, not the product of the roots: that of a square is exact.
    return (product / (lengths * other_lengths).sqrt()).mean().item()


def by_layer(values: Tensor, sample: Sample | None = None) -> Reading:
    """A reading of one value a layer, from [layers]."""
    by_index = {str(layer): value for layer, value in enumerate(values.tolist())}
    return Reading(over="layer", values=by_index, sample=sample)
