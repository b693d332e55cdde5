"""Where in the text what is read: the same tokens on the unedited model and at every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stability.models import TokenizedText


@dataclass(frozen=True)
class Places:
    """The text as one row of tokens, window after window; every index here is into that row.

    It depends on the text and the sample sizes alone, so that figures of two models compare token by token.
    """

    ids: Tensor  # [tokens]
    window: Tensor  # [tokens]: the window that a token is in, of those that are not empty
    document: Tensor  # [tokens]: the document that a token is in
    position: Tensor  # [tokens]: its place in the window, from 0
    predicting: Tensor  # [predictions]: tokens with a next token in their window
    features: Tensor  # [features]: tokens whose residual streams are kept

    def batches(self, tokens: int) -> list[Tensor]:
        """Windows to run together, [windows] a batch: of like length, `tokens` at most with padding."""
        lengths = torch.bincount(self.window)
        batches: list[list[int]] = [[]]
        for window in torch.argsort(lengths, stable=True).tolist():
            # Sorted by length, so the newest window is the longest of its batch.
            if batches[-1] and (len(batches[-1]) + 1) * int(lengths[window]) > tokens:
                batches.append([])
            batches[-1].append(window)
        return [torch.tensor(batch) for batch in batches]


def choose_places(text: TokenizedText, features: int, skip_tokens: int) -> Places:
    """Sample evenly over the text: feature tokens leave out the first `skip_tokens` of each window."""
    filled = [(ids, document) for ids, document in zip(text.windows, text.document, strict=True) if len(ids)]
    lengths = torch.tensor([len(ids) for ids, _ in filled])
    window = torch.repeat_interleave(torch.arange(len(filled)), lengths)
    document = torch.tensor([document for _, document in filled])[window]
    ends = lengths.cumsum(0)
    position = torch.arange(len(window)) - (ends - lengths)[window]
    predicting = torch.nonzero(position + 1 < lengths[window])[:, 0]
    eligible = torch.nonzero(position >= skip_tokens)[:, 0]
    return Places(
        ids=torch.cat([ids for ids, _ in filled]),
        window=window,
        document=document,
        position=position,
        predicting=predicting,
        features=eligible[evenly(len(eligible), features)],
    )


def evenly(n: int, count: int) -> Tensor:
    """`count` different indices below `n`, evenly spaced; all of them if there are no more."""
    return torch.arange(n) if count >= n else torch.arange(count) * n // count
