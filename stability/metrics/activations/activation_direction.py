"""Where the residual stream points after every block, against where it pointed before editing."""

from __future__ import annotations

from stability.metrics.plugin.metric import Context, Metric
from stability.parts import MetricHead
from stability.record import Reading, Sample


class ActivationDirection(Metric):
    """Mean over the feature tokens of the cosine between a block's residual streams, edited and unedited.

    Feature tokens are `probes.tokens` of the text's, spread evenly: of these the streams are kept.
    """

    head = MetricHead(
        "activation_direction",
        "mean cosine between the residual stream and that of the unedited model",
        over="layer",
        unedited=1.0,
    )

    def measure(self, context: Context) -> Reading:
        """One mean cosine a layer, by index; 1 on the unedited model."""
        import torch

        from stability.metrics.activations.steps.layers import by_layer, mean_cosine, nothing_left

        now = context.observation.features
        if not now.shape[1]:
            raise nothing_left(context)
        base = (context.base or context.observation).features
        cosines = [mean_cosine(one, other) for one, other in zip(now, base, strict=True)]
        counted = int((context.observation.places.position >= context.suite.text.skip_tokens).sum())
        sample = Sample.of_all(now.shape[1], counted, "tokens")
        return by_layer(torch.tensor(cosines, dtype=torch.float64), sample)
