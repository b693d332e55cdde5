"""How evenly a matrix's neurons point in all directions: what SPHERE's edits are made to keep."""

from __future__ import annotations

from stability.metrics.plugin.metric import Context, Fitted, Metric
from stability.metrics.weights.steps.matrices import BaseFigures, current, each_matrix, neurons
from stability.parts import MetricHead
from stability.record import Reading


class HypersphericalEnergy(Metric):
    """HE(W) = Σ_{i≠j} ‖ŵ_i - ŵ_j‖⁻¹ over ordered pairs of neurons, the rows of W [d_out, d_in] at length 1.

    The measure of SPHERE (arXiv 2510.01172), defined as by OFT (Qiu et al. 2023); it is blind to the neurons'
    lengths. The value is the sum itself, which grows with d_out², so that checks take its ratio to the base.
    Pairs nearer than 1e-6 count as 1e-6 apart: that of two equal directions would be infinite. A matrix costs
    d_out² · d_in.
    """

    head = MetricHead(
        "hyperspherical_energy",
        "sum over pairs of a matrix's neurons of one over the distance of their directions",
        over="matrix",
        cost="on request",
    )

    depends_on = ()

    def __init__(self) -> None:
        from stability.metrics.weights.steps.energy import hyperspherical_energy

        self._energy = hyperspherical_energy
        self._base = BaseFigures(hyperspherical_energy, by_neuron=True)

    def measure(self, context: Context) -> Reading:
        """One energy a matrix, by parameter name; only of those that have changed is it worked out again."""
        return each_matrix(
            context,
            changed=lambda name: self._energy(neurons(context, name, current(context, name))),
            unchanged=lambda name: self._base.of(context, name),
        )

    def fitted(self) -> Fitted:
        """Each unedited matrix's."""
        return Fitted(self._base.known)

    def load_fitted(self, context: Context, fitted: Fitted) -> bool:
        """Take them over."""
        self._base.known.update(fitted.values)
        return True
