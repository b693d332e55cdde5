"""What the unedited model did on the text, as JSON values and tensors that can be kept."""

from __future__ import annotations

from stability.metrics.plugin.metric import Context, Fitted
from stability.metrics.scoring.observation import Observation
from stability.metrics.scoring.positions import choose_places
from stability.metrics.scoring.reference import OutputHead, Reference


def packed(seen: Observation) -> Fitted:
    """All that the text and the model do not say themselves."""
    values = {
        "head": seen.reference.head is not None,
        "nonfinite_logits": seen.nonfinite_logits,
        "unobserved": seen.unobserved,
    }
    tensors = {
        "norms": seen.stream_norms,
        "features": seen.stream_features,
        "nll": seen.nll,
        "divergences": seen.divergences,
        "at": seen.reference.at,
        "hidden": seen.reference.hidden,
        "log_probabilities": seen.reference.log_probabilities,
    }
    return Fitted(values, tensors)


def unpacked(kept: Fitted, context: Context) -> Observation | None:
    """The observation again, of the context's model and text; None if they have no such output head."""
    head = OutputHead.of(context.model, context.map, context.snapshot) if kept.values["head"] else None
    if kept.values["head"] and head is None:
        return None
    tensors, suite = kept.tensors, context.suite
    return Observation(
        places=choose_places(context.text, suite.probes.tokens, suite.text.skip_tokens),
        stream_norms=tensors["norms"],
        stream_features=tensors["features"],
        nll=tensors["nll"],
        divergences=tensors["divergences"],
        reference=Reference(tensors["at"], head, tensors["hidden"], tensors["log_probabilities"]),
        nonfinite_logits=kept.values["nonfinite_logits"],
        unobserved=kept.values["unobserved"],
    )
