"""Which documents the probes are trained on; the others test them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from stability.errors import DataError


def training_documents(documents: Sequence[Tensor], of_features: Tensor, share: float) -> Tensor:
    """Which documents to train on, [documents] bool, so that about `share` of the feature tokens are in them.

    `of_features` is the document of each feature token. The order in which documents are dealt out depends on
    their content alone, not on their place, which may follow a pattern; equal documents go to one side.

    Raises:
        DataError: one of the sides would be empty.
    """
    tokens = torch.bincount(of_features, minlength=len(documents)).tolist()
    same: dict[str, list[int]] = {}
    for number, document in enumerate(documents):
        same.setdefault(hashlib.sha256(document.numpy().tobytes()).hexdigest(), []).append(number)
    train = torch.zeros(len(documents), dtype=torch.bool)
    dealt = trained = 0
    for _, numbers in sorted(same.items()):
        count = sum(tokens[number] for number in numbers)
        dealt += count
        if count and abs(trained + count - share * dealt) <= abs(trained - share * dealt):
            train[numbers] = True
            trained += count
    if not 0 < trained < dealt:
        given = sum(any(tokens[number] for number in numbers) for numbers in same.values())
        needed = " (2 are needed at least)" if given < 2 else ""
        raise DataError(
            f"probe_accuracy: {given} different documents cannot be split into {share:g} for training and "
            f"the rest for testing{needed}; give a text of more documents, or change probes.train_share"
        )
    return train
