"""Where in the text what is read: the same tokens on the unedited model and at every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stability.models import TokenizedText


@dataclass(frozen=True)
class Places:
    """The text as one row of tokens, document after document; every index here is into that row.

    It depends on the text and the sample sizes alone, so that figures of two models compare token by token.
    """

    ids: Tensor  # [tokens]
    document: Tensor  # [tokens]: the document that a token is in
    position: Tensor  # [tokens]: its place in the document, from 0
    predicting: Tensor  # [predictions]: tokens with a next token in their document
    features: Tensor  # [features]: tokens whose residual streams are kept

    def batches(self, tokens: int) -> list[Tensor]:
        """Documents to run together, [documents] a batch: of like length, `tokens` at most with padding."""
        lengths = torch.bincount(self.document)
        batches: list[list[int]] = [[]]
        for document in torch.argsort(lengths, stable=True).tolist():
            # Sorted by length, so the newest document is the longest of its batch.
            if batches[-1] and (len(batches[-1]) + 1) * int(lengths[document]) > tokens:
                batches.append([])
            batches[-1].append(document)
        return [torch.tensor(batch) for batch in batches]


def choose_places(text: TokenizedText, features: int, skip_tokens: int) -> Places:
    """Sample evenly over the text: feature tokens leave out the first `skip_tokens` of each document."""
    documents = [document for document in text.documents if len(document)]
    lengths = torch.tensor([len(document) for document in documents])
    document = torch.repeat_interleave(torch.arange(len(documents)), lengths)
    ends = lengths.cumsum(0)
    position = torch.arange(len(document)) - (ends - lengths)[document]
    predicting = torch.nonzero(position + 1 < lengths[document])[:, 0]
    eligible = torch.nonzero(position >= skip_tokens)[:, 0]
    return Places(
        ids=torch.cat(documents),
        document=document,
        position=position,
        predicting=predicting,
        features=eligible[evenly(len(eligible), features)],
    )


def evenly(n: int, count: int) -> Tensor:
    """`count` different indices below `n`, evenly spaced; all of them if there are no more."""
    return torch.arange(n) if count >= n else torch.arange(count) * n // count
