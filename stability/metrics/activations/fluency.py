"""Whether the model still writes varied text: the entropy of the n-grams of what it generates."""

from __future__ import annotations

from stability.errors import DataError
from stability.metrics.plugin.metric import Context, Fitted, Metric
from stability.parts import MetricHead
from stability.record import Reading, Sample

LENGTH = 100  # tokens of prompt and continuation together, if the context allows


class Fluency(Metric):
    """Mean n-gram entropy, in bits, of greedy continuations of prompts that are cut from the text.

    The measure is ROME's (Meng et al. 2022, "generation entropy", after Zhang et al. 2018): for each text,
    (2/3 · H2 + 4/3 · H3) / 2, where Hn = -Σ f log2 f over the relative frequencies f of its word n-grams,
    then the mean over texts. It differs in that generation is greedy, so that a model has one fluency and no
    seed; that the prompt itself is not counted; and that words are runs of letters, digits and underscores,
    every other visible character being a word of its own. A model that repeats itself tends to 0. The model
    is run a token at a time; a `generate` of the editor's own is called instead.
    """

    head = MetricHead(
        "fluency",
        "n-gram entropy of greedy continuations",
        over="scalar",
        unit="bits",
        cost="on request",
    )

    depends_on = ("text",)

    def measure(self, context: Context) -> Reading:
        """A single value."""
        from stability.metrics.activations.steps.generation import (
            continued,
            cut_prompts,
            ngram_entropy,
        )
        from stability.models import context_length

        prompts = cut_prompts(context.text.windows)  # [prompts, tokens]
        limit = context_length(context.model)
        length = min(LENGTH, limit)
        if length - prompts.shape[1] < 3:
            raise DataError(f"fluency: a context of {limit} tokens leaves no room to continue a prompt")
        prompts = prompts.to(context.map.device)
        rows = continued(context.model, prompts, length - prompts.shape[1])
        texts = [context.tokenizer.decode(row, skip_special_tokens=True) for row in rows]
        sample = Sample.of_all(len(prompts), len(context.text.windows), "windows")
        return self.single(sum(ngram_entropy(text) for text in texts) / len(texts), sample=sample)

    def fitted(self) -> Fitted:
        """Nothing but the reading is kept."""
        return Fitted()

    def load_fitted(self, context: Context, fitted: Fitted) -> bool:
        """There is nothing to take over."""
        return True
