"""Whether an edited checkpoint has the unedited one's tokenizer."""

from __future__ import annotations

from stability.parts import MetricHead


class TokenizerDifferences:
    """Parts of the tokenizer, such as its vocabulary and its merges, that are not the base's."""

    head = MetricHead(
        "tokenizer_differences",
        "parts in which the tokenizers of two checkpoints differ",
        over="scalar",
        unit="differences",
        measured="gate",
        streamed=True,
        unedited=0.0,
    )
