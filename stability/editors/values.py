"""The value v* that makes a model say the target: gradient steps on what one MLP writes at the subject."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from stability.editors.prompts import EditPrompts
from stability.editors.protocol import EditorSettings
from stability.models import Continuation

log = logging.getLogger(__name__)


class ValueSettings(EditorSettings):
    """Settings of the search for v*; names as in the published configurations of ROME and MEMIT."""

    v_num_grad_steps: int = Field(20, ge=1)  # evaluations of the loss; the last is not followed by an update
    v_lr: float = Field(0.5, gt=0)
    v_weight_decay: float = Field(0.5, ge=0)
    v_stop_loss: float = Field(0.05, ge=0)
    clamp_norm_factor: float = Field(4.0, gt=0)
    kl_factor: float = Field(0.0625, ge=0)


@dataclass(frozen=True)
class Value:
    """The change of the value that was found, [d], and the loss at every step until then."""

    delta: Tensor
    losses: tuple[float, ...]


def optimise_value(prompts: EditPrompts, above: Continuation, v0: Tensor, settings: ValueSettings) -> Value:
    """Find the δ which, added at the subject's last token of every row, makes the target probable.

    The loss is the mean negative log-likelihood of the target's tokens, plus `kl_factor` times KL(p_δ ‖ p_0)
    of the next token after the subject alone, plus `v_weight_decay`·‖δ‖/‖v0‖² (ROME, Meng et al. 2022,
    equation 4; decay and the place of the KL term as in the authors' code). `v0`, [d], is the value without
    a context; ‖δ‖ stays within `clamp_norm_factor`·‖v0‖. Only the blocks in `above` are run.
    """
    hidden = above.hidden  # [rows, tokens, d]
    last = len(hidden) - 1
    precise = torch.promote_types(hidden.dtype, torch.float32)
    device = hidden.device
    every = torch.arange(len(hidden), device=device)
    rows = torch.cat([prompts.rows, every[last:]])  # [targets + 1]
    positions = torch.cat([prompts.positions, prompts.subject_at[last:]])
    size = v0.to(precise).norm()
    delta = torch.zeros(hidden.shape[-1], dtype=precise, device=device, requires_grad=True)
    optimiser = torch.optim.Adam([delta], lr=settings.v_lr)
    losses: list[float] = []
    unedited: Tensor | None = None  # [1, vocabulary], log-probabilities after the subject alone
    for step in range(settings.v_num_grad_steps):
        with torch.enable_grad():
            shift = delta.to(hidden.dtype).expand(len(hidden), -1)
            shifted = hidden.index_put((every, prompts.subject_at), shift, accumulate=True)
            log_probs = above.logits(shifted, rows, positions).to(device, precise).log_softmax(dim=-1)
            if unedited is None:  # δ is still 0
                unedited = log_probs[-1:].detach()
            nll = functional.nll_loss(log_probs[:-1], prompts.targets)
            kl = functional.kl_div(unedited, log_probs[-1:], log_target=True, reduction="batchmean")
            decay = settings.v_weight_decay * delta.norm() / size**2
            loss = nll + settings.kl_factor * kl + decay
        losses.append(loss.item())
        if losses[-1] < settings.v_stop_loss or step == settings.v_num_grad_steps - 1:
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            longest = settings.clamp_norm_factor * size
            if delta.norm() > longest:
                delta.mul_(longest / delta.norm())
    log.debug("v*: loss %.4f after %d steps, |delta| %.3f", losses[-1], len(losses) - 1, delta.norm().item())
    return Value(delta.detach(), tuple(losses))
