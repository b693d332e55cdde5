"""Whether probes that told layers apart before editing still do, or streams have left their subspaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stability.errors import MeasurementError
from stability.metrics.plugin.metric import Context, Fitted, Metric, Skipped
from stability.parts import MetricHead
from stability.record import Problem, Reading, Sample

if TYPE_CHECKING:
    from torch import Tensor

    from stability.metrics.activations.steps.probes import PairProbes
    from stability.metrics.scoring.observation import Observation


class ProbeAccuracy(Metric):
    """For each pair of layers, how well the unedited model's probe still works (Gupta et al. 2025, fig. 5).

    A probe is a logistic regression that says from a residual stream which of the two layers it comes from.
    It is fitted on one part of the documents and tested on the others, the same ones at every checkpoint,
    with every token once for either layer, so that 0.5 is chance.
    """

    head = MetricHead(
        "probe_accuracy",
        "held-out accuracy of each layer pair's probe, fitted on the unedited model",
        over="pair",
        cost="own passes",
    )

    depends_on = ("text", "probes")

    def __init__(self) -> None:
        self._probes: PairProbes | None = None
        self._held_out: Tensor  # [features]: bool
        self._base: list[float] = []

    def fit(self, context: Context) -> None:
        """Fit every pair's probe on the training documents of the unedited model.

        Raises:
            DataError: the text has too few documents to be split.
        """
        from stability.metrics.activations.steps.probes import fit_probes
        from stability.metrics.activations.steps.split import training_documents

        if context.map.n_layers < 2:
            return
        base, spec = context.observation, context.suite.probes
        documents = base.places.document[base.places.features]  # [features]
        train = training_documents(context.text.documents, documents, spec.train_share)
        self._held_out = ~train[documents]
        self._probes = fit_probes(_on_device(context, base.features[:, ~self._held_out]), spec.C)
        self._base = self._accuracy(context, base)

    def measure(self, context: Context) -> Reading:
        """One accuracy a pair, "i-j".

        `base` holds the unedited model's; pairs that are too low there are in `left_out` and have no value.
        Where the text has fewer tokens than `probes.tokens`, `sample` says so.
        """
        if context.map.n_layers < 2:
            raise Skipped("the model has one layer, so there are no pairs to tell apart")
        if self._probes is None:
            raise MeasurementError("probe_accuracy was not fitted on the unedited model")
        spec = context.suite.probes
        sample = Sample.of_all(len(self._held_out), spec.tokens, "tokens asked for")
        values, base, left_out = {}, {}, {}
        rows = zip(
            self._probes.pairs.tolist(),
            self._probes.converged.tolist(),
            self._base,
            self._accuracy(context, context.observation),
            strict=True,
        )
        for (first, second), converged, before, now in rows:
            pair = f"{first}-{second}"
            base[pair] = before
            if not converged:
                left_out[pair] = _unreliable("the regression did not converge")
            elif before < spec.minimum_base_accuracy:
                left_out[pair] = _unreliable(
                    f"base accuracy {before:.3f} is below {spec.minimum_base_accuracy:g}"
                )
            else:
                values[pair] = now
        return self.reading(values, base=base, left_out=left_out, sample=sample)

    def fitted(self) -> Fitted | None:
        """The probes, which tokens test them, and their accuracy on these."""
        if self._probes is None:
            return None
        return Fitted({"base": self._base}, {**vars(self._probes), "held_out": self._held_out})

    def load_fitted(self, context: Context, fitted: Fitted) -> bool:
        """Take them over."""
        from stability.metrics.activations.steps.probes import PairProbes

        tensors = dict(fitted.tensors)
        self._held_out, self._base = tensors.pop("held_out"), list(fitted.values["base"])
        self._probes = PairProbes(**{name: _on_device(context, one) for name, one in tensors.items()})
        return True

    def _accuracy(self, context: Context, observation: Observation) -> list[float]:
        assert self._probes is not None
        held_out = _on_device(context, observation.features[:, self._held_out])
        return self._probes.accuracy(held_out).tolist()


def _on_device(context: Context, features: Tensor) -> Tensor:
    """On the model's GPU if it has one: fitting is little else than products of matrices."""
    device = context.map.device
    return features.to(device) if device.type == "cuda" else features


def _unreliable(message: str) -> Problem:
    return Problem(kind="probe_unreliable", message=message)
