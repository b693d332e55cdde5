"""How much of the residual stream each sub-module has written: whether edited ones crowd out the rest."""

from __future__ import annotations

from stability.metrics.plugin.metric import Context, Fitted, Metric
from stability.parts import MetricHead
from stability.record import Reading


class Contribution(Metric):
    """Each attention's and each MLP's share of the residual stream after the last block.

    That stream h is the embedding and what every sub-module s has added, h = e + Σ o_s. The share of s is the
    mean over tokens of ⟨o_s, h⟩ / ‖h‖²; all shares and the embedding's add up to 1, and one is negative where
    it takes away. After Figure 5 of ENCORE (Gupta et al. 2025, arXiv 2502.01636), which shows edited MLPs
    take over; that shares are projections is our choice. A share is that of the matrix that writes it,
    `mlp_out` or `attn_out`; other matrices have none. The first `text.skip_tokens` tokens of each window are
    left out. It takes a pass of its own.
    """

    head = MetricHead(
        "contribution",
        "share of the last residual stream that each attention and each MLP has written",
        over="matrix",
        cost="on request",
    )

    depends_on = ("text",)

    def measure(self, context: Context) -> Reading:
        """A share for each matrix that writes to the residual stream, by its name."""
        from stability.metrics.activations.steps.shares import written_shares

        return Reading(over="matrix", values=written_shares(context))

    def fitted(self) -> Fitted:
        """Nothing but the reading is kept."""
        return Fitted()

    def load_fitted(self, context: Context, fitted: Fitted) -> bool:
        """There is nothing to take over."""
        return True
