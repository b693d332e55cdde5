"""A small rank-one editor in the form that ROME's authors gave theirs."""

from .hparams import RankOneHyperParams
from .rank_one_main import RankOneExecutor, apply_rank_one_to_model

__all__ = ["RankOneExecutor", "RankOneHyperParams", "apply_rank_one_to_model"]
