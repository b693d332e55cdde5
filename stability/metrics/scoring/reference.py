"""The unedited model's next-token distributions, kept small, and how far another model's are from them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from stability.metrics.scoring.positions import evenly
from stability.models import ModelMap, Snapshot
from stability.models.unwrap import named_parameters

KEPT_LOG_PROBABILITIES = 2**26  # positions x vocabulary, 256 MiB; where they cannot be computed again
FINE, COARSE = 1e-4, 2e-2  # of a row's largest logit: how far rounding sets apart, in full and half


@dataclass(frozen=True)
class OutputHead:
    """A linear output head as it was before editing. Its weights are the snapshot's, not copies."""

    weight: Tensor = field(repr=False)  # [vocabulary, d], on the CPU
    bias: Tensor | None = field(repr=False)  # [vocabulary]
    cap: float | None  # of the logits

    @classmethod
    def of(cls, model: nn.Module, model_map: ModelMap, snapshot: Snapshot) -> OutputHead | None:
        """The model's head as the snapshot has it; None if it is no plain linear layer."""
        if type(model_map.head) is not nn.Linear:
            return None
        names = {id(parameter): name for name, parameter in named_parameters(model)}
        bias = model_map.head.bias
        found = [names.get(id(one)) for one in (model_map.head.weight, bias) if one is not None]
        if any(name is None or name not in snapshot for name in found):
            return None
        weight, *rest = (snapshot.tensor(name) for name in found if name is not None)
        return cls(weight, rest[0] if rest else None, model_map.logit_cap)

    def to(self, device: torch.device) -> OutputHead:
        """The same head on a device."""
        return OutputHead(
            self.weight.to(device), None if self.bias is None else self.bias.to(device), self.cap
        )

    def __call__(self, hidden: Tensor) -> Tensor:
        """Logits [rows, vocabulary] of what the head is given, [rows, d]."""
        logits = functional.linear(hidden, self.weight, self.bias)
        return logits if self.cap is None else self.cap * torch.tanh(logits / self.cap)


@dataclass(frozen=True)
class Reference:
    """The unedited model's distributions at `at`, [positions], indices of the text's predictions.

    Kept as what the output head was given, from which it gives them again at every position; or, where the
    model's logits are not its head's of that, as log-probabilities at as many positions as memory allows.
    """

    at: Tensor = field(repr=False)
    head: OutputHead | None
    hidden: Tensor = field(repr=False)  # [positions, d] in the model's dtype; without a head [0, d]
    log_probabilities: Tensor = field(repr=False)  # without a head [positions, vocabulary]; with one [0, ...]


class Keeper:
    """Takes down the unedited model's distributions as they go by.

    With `verify`, the head may give other logits than the model returns: it is tried at every position, and
    some log-probabilities are kept besides, in case that it does.
    """

    def __init__(
        self, head: OutputHead | None, predictions: int, model_map: ModelMap, *, verify: bool
    ) -> None:
        vocabulary, self._d = model_map.head_shape
        self._head = head
        self._tried = head.to(model_map.device) if head is not None and verify else None
        self._predictions = predictions
        self._hidden: Tensor | None = None
        kept = max(1, KEPT_LOG_PROBABILITIES // vocabulary) if head is None or verify else 0
        self._sample = evenly(predictions, kept)
        self._slot = inverse(self._sample, predictions)
        self._log_probabilities = torch.empty(len(self._sample), vocabulary)

    def take(self, which: Tensor, hidden: Tensor | None, logits: Tensor, log_p: Tensor) -> None:
        """What the head was given at the predictions `which`, [rows], and what the model made of it.

        `hidden` is [rows, d], None if the head was not called just once; `logits` and `log_p` are
        [rows, vocabulary].
        """
        if hidden is None or (self._tried is not None and not same_logits(self._tried(hidden), logits)):
            self._head = None
        if self._head is not None and hidden is not None:
            if self._hidden is None:
                self._hidden = torch.empty(self._predictions, self._d, dtype=hidden.dtype)
            self._hidden[which] = hidden.cpu()
        slot = self._slot[which]
        taken = torch.nonzero(slot >= 0)[:, 0]
        self._log_probabilities[slot[taken]] = log_p[taken.to(log_p.device)].to("cpu", torch.float32)

    @property
    def reference(self) -> Reference:
        """What the whole text gave."""
        if self._head is None or self._hidden is None:
            return Reference(self._sample, None, torch.empty(0, self._d), self._log_probabilities)
        everything = torch.arange(self._predictions)
        return Reference(everything, self._head, self._hidden, self._log_probabilities[:0])

    @property
    def divergences(self) -> Tensor:
        """Of the unedited model from itself: 0 at each of the reference's positions."""
        return torch.zeros(len(self.reference.at))


class Comparison:
    """Compares an edited model's distributions with the reference as they go by.

    `divergences` [positions] are the KL(unedited ‖ edited) at the reference's positions, in nats.
    """

    def __init__(self, reference: Reference, predictions: int, device: torch.device) -> None:
        self.reference = reference
        self.divergences = torch.empty(len(reference.at))
        self._head = None if reference.head is None else reference.head.to(device)
        self._slot = inverse(reference.at, predictions)

    def take(self, which: Tensor, _hidden: Tensor | None, _logits: Tensor, log_q: Tensor) -> None:
        """The edited model's log-probabilities [rows, vocabulary] at the predictions `which`, [rows]."""
        slot = self._slot[which]
        taken = torch.nonzero(slot >= 0)[:, 0]
        slot = slot[taken]
        if self._head is None:
            log_p = self.reference.log_probabilities[slot].to(log_q.device, log_q.dtype)
            log_q = log_q[taken.to(log_q.device)]
        else:
            logits = self._head(self.reference.hidden[slot].to(log_q.device))
            log_p = logits.to(log_q.dtype).log_softmax(-1)
        self.divergences[slot] = divergences(log_p, log_q).to("cpu", torch.float32)


def divergences(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p ‖ q) of each row of log-probabilities, [rows, outcomes]; exactly 0 where they are equal."""
    terms = log_p.exp().mul_(log_p - log_q)
    # What p gives no chance adds nothing, whatever q says.
    return terms.masked_fill_(log_p == -torch.inf, 0).sum(-1)


def same_logits(one: Tensor, other: Tensor) -> bool:
    """Whether logits [..., vocabulary] differ by rounding only.

    Rounding is of what is summed to a logit, which may be much smaller itself: the largest of its row counts.
    """
    tolerance = COARSE if one.dtype in (torch.bfloat16, torch.float16) else FINE
    wide = torch.promote_types(one.dtype, torch.float32)
    one, other = one.to(wide), other.to(wide)
    slack = tolerance * one.nan_to_num(0.0, 0.0, 0.0).abs().amax(-1, keepdim=True)
    near = ((one - other).abs() <= slack) | (one == other) | (one.isnan() & other.isnan())
    return bool(near.all())


def inverse(chosen: Tensor, n: int) -> Tensor:
    """[n]: the place of each index in `chosen`, or -1."""
    found = torch.full((n,), -1)
    found[chosen] = torch.arange(len(chosen))
    return found
