"""The text that a suite's models are measured on."""

from __future__ import annotations

from torch import nn

from stability.data.documents import load_documents
from stability.models import TokenizedText, context_length, tokenize_text
from stability.models.tokens import Tokenizer
from stability.suite.schema import TextSpec


def measured_text(spec: TextSpec, model: nn.Module, tokenizer: Tokenizer) -> TokenizedText:
    """The suite's text, in windows of `text.window` tokens, or of fewer where the model takes no more.

    Raises:
        DataError: the text cannot be read, or is too short.
    """
    return tokenize_text(
        tokenizer,
        load_documents(spec.source, spec.path),
        tokens=spec.tokens,
        max_length=min(spec.window, context_length(model)),
        opened=True,
    )
