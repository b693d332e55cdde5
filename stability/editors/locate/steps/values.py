"""The value v* that makes a model give the target: gradient steps on an MLP's output at the subject."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from stability.editors.locate.steps.interventions import Intervention, StreamIntervention, from_subjects
from stability.editors.locate.steps.prompts import EditPrompts
from stability.editors.locate.steps.settings import ValueSettings
from stability.models import Continuation

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Value:
    """The change of the value that was found, and the loss at every step until then.

    `delta` is [d], or [places, d] if several are searched together.
    """

    delta: Tensor
    losses: tuple[float, ...]


@dataclass(frozen=True)
class TargetValues:
    """The values of each edit: the last layer's MLP output at its subject, unedited and searched."""

    before: Tensor  # [edits, d]: what `reached` reads of the unedited model
    v0: Tensor  # [edits, d]
    value: Tensor  # [edits, d]: v*

    @property
    def target(self) -> Tensor:
        """Z, [edits, d]."""
        return self.before + self.value - self.v0


@dataclass(frozen=True)
class SureTargets:
    """PMET's rule: after a step at which every target token is the most probable, the likelihood counts only
    `nll_factor` times in the next; the search ends there once the KL term is at most `kl`."""

    nll_factor: float
    kl: float


def optimise_value(prompts: EditPrompts, above: Continuation, v0: Tensor, settings: ValueSettings) -> Value:
    """`optimise_values` for one edit, with δ added where `above` stands; `v0` is [d]."""
    intervention = StreamIntervention(from_subjects(above, prompts), prompts.subject_at)
    (value,) = optimise_values(prompts, intervention, v0[None, None], settings)
    return Value(value.delta[0], value.losses)


def optimise_values(
    prompts: EditPrompts,
    intervention: Intervention,
    v0: Tensor,
    settings: ValueSettings,
    rule: SureTargets | None = None,
) -> list[Value]:
    """For each edit, find the δ that makes its target probable when added at its subject's last token.

    The loss of an edit is the mean negative log-likelihood of the target's tokens, plus `kl_factor` times
    KL(p_δ ‖ p_0) of the next token after the subject alone, plus `v_weight_decay`·‖δ‖/‖v0‖² (ROME, Meng et
    al. 2022, equation 4; decay and the place of the KL term as in the authors' code). `v0`, [edits, places,
    d], is the value without a context; at each place ‖δ‖ stays within `clamp_norm_factor`·‖v0‖. The search of
    an edit ends when its loss is below `v_stop_loss` or, with `prob_cutoff`, after that many consecutive
    steps at which every target token is the most probable after every context (ENCORE, Gupta et al. 2025,
    arXiv 2502.01636). With `early_stop: original` those steps need not be consecutive, and the prompt without
    a context does not count, as in that paper's code.

    Edits are searched in parallel, but each has its own δ, loss and end, so that the results are those of
    separate searches.
    """
    precise = torch.promote_types(intervention.hidden.dtype, torch.float32)
    size = v0.to(precise).norm(dim=-1)  # [edits, places]
    delta = torch.zeros_like(v0, dtype=precise, requires_grad=True)  # [edits, places, d]
    optimiser = torch.optim.Adam([delta], lr=settings.v_lr)
    found = torch.zeros_like(delta)
    losses: list[list[float]] = [[] for _ in range(len(v0))]
    running = torch.arange(len(v0), device=v0.device)
    original = settings.early_stop == "original"
    search = _ValueSearch(prompts, intervention, None, counts_bare=not original)
    sure_steps = torch.zeros_like(running)  # in a row
    nll_factor = torch.ones(len(v0), dtype=precise, device=v0.device)
    for step in range(settings.v_num_grad_steps):
        with torch.enable_grad():
            shift = delta[running]  # [running, places, d]
            nll, kl, sure, search = search.run(shift)
            decay = (shift.norm(dim=-1) / size[running] ** 2).sum(dim=-1)
            kl_term = settings.kl_factor * kl
            loss = nll_factor[running] * nll + kl_term + settings.v_weight_decay * decay  # [running]
        for edit, value in zip(running.tolist(), loss.tolist(), strict=True):
            losses[edit].append(value)
        found[running] = shift.detach()
        sure_steps[running] = torch.where(sure, sure_steps[running] + 1, sure_steps[running] * original)
        done = loss.detach() < settings.v_stop_loss
        if settings.prob_cutoff is not None:
            done |= sure_steps[running] >= settings.prob_cutoff
        if rule is not None:
            done |= sure & (kl_term.detach() <= rule.kl)
            nll_factor[running] = torch.where(sure, rule.nll_factor, 1.0).to(precise)
        if done.all() or step == settings.v_num_grad_steps - 1:
            break
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
        with torch.no_grad():
            longest = settings.clamp_norm_factor * size
            length = delta.norm(dim=-1)
            delta.mul_(torch.where(length > longest, longest / length, 1.0)[..., None])
        if done.any():
            search = search.only((~done).nonzero().flatten())
            running = running[~done]
    for one in losses:
        log.debug("v*: loss %.4f after %d steps", one[-1], len(one) - 1)
    return [Value(change, tuple(one)) for change, one in zip(found, losses, strict=True)]


@dataclass(frozen=True)
class _ValueSearch:
    """The edits still being searched, and the unedited model's prediction after each subject alone."""

    prompts: EditPrompts
    intervention: Intervention
    unedited: Tensor | None  # [edits, vocabulary], log-probabilities; None before the first run
    counts_bare: bool  # whether the prompt without a context must give the target, too

    def run(self, shift: Tensor) -> tuple[Tensor, Tensor, Tensor, _ValueSearch]:
        """Mean negative log-likelihood and KL of each edit with δ = `shift`, [edits, places, d]; whether all
        of its target tokens are the most probable; and the search as it goes on. The first δ must be 0."""
        prompts, edits = self.prompts, self.prompts.edits
        device, dtype = shift.device, shift.dtype
        rows = torch.cat([prompts.rows, prompts.alone])  # [targets + edits]
        positions = torch.cat([prompts.positions, prompts.subject_at[prompts.alone]])
        logits = self.intervention.logits(shift[prompts.owner.to(device)], rows, positions)
        log_probs = logits.to(device, dtype).log_softmax(dim=-1)  # [targets + edits, vocabulary]
        said, after = log_probs[:-edits], log_probs[-edits:]
        unedited = after.detach() if self.unedited is None else self.unedited
        owner = prompts.owner[prompts.rows].to(device)  # [targets]
        targets = prompts.targets.to(device)
        mine = owner == torch.arange(edits, device=device)[:, None]  # [edits, targets]
        nll = functional.nll_loss(said, targets, reduction="none")  # [targets]
        mean = mine.to(dtype) @ nll / mine.sum(dim=-1)
        kl = functional.kl_div(unedited, after, log_target=True, reduction="none").sum(dim=-1)
        counted = mine
        if not self.counts_bare:
            counted = mine & ~torch.isin(prompts.rows, prompts.bare).to(device)
        sure = (~counted | (said.argmax(dim=-1) == targets)).all(dim=-1)
        return mean, kl, sure, replace(self, unedited=unedited)

    def only(self, edits: Tensor) -> _ValueSearch:
        """Continue with some of the edits."""
        edits = edits.to(self.prompts.subject_at.device)
        unedited = None if self.unedited is None else self.unedited[edits.to(self.unedited.device)]
        intervention = self.intervention.only(self.prompts.rows_of(edits))
        return replace(self, prompts=self.prompts.only(edits), intervention=intervention, unedited=unedited)
