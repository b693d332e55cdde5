"""How much of a fact comes back where one run of MLPs says what it said before the subject was garbled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stability.data.edits import Edit
from stability.models import LoadedModel, ModelMap, map_model
from stability.models.modes import evaluating
from stability.models.tokens import Tokenizer, tokenize

NOISE = 3.0  # in standard deviations of the subjects' embeddings


@dataclass(frozen=True)
class Trace:
    """The probability of the answer to one prompt, and what each window of MLPs brings back of it."""

    clean: float
    corrupted: float  # mean over samples of noise
    effects: Tensor  # [layers]: of the window round each layer, restored less corrupted


@dataclass(frozen=True)
class Prompt:
    """A prompt as tokens, and where its subject stands."""

    ids: Tensor  # [1, tokens]
    subject: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Tokenizer, edit: Edit) -> Prompt:
        """The edit's own prompt with its subject filled in."""
        text = edit.filled
        start = text.index(edit.subject)
        tokens = tokenize(tokenizer, text)
        span = (start, start + len(edit.subject))
        inside = [i for i, (a, b) in enumerate(tokens.offsets) if max(a, span[0]) < min(b, span[1])]
        return cls(torch.tensor([tokens.input_ids]), tuple(inside))


def deviation(loaded: LoadedModel, edits: Sequence[Edit]) -> float:
    """The standard deviation of the embeddings of the edits' subjects."""
    found = map_model(loaded.model)
    ids = [Prompt.of(loaded.tokenizer, edit) for edit in edits]
    rows = torch.cat([prompt.ids[0, list(prompt.subject)] for prompt in ids])
    with torch.no_grad():
        return float(found.embedding(rows.to(found.device)).float().std().item())


def trace(
    loaded: LoadedModel, edit: Edit, noise: float, window: int = 5, samples: int = 5, seed: int = 0
) -> Trace:
    """Causal tracing of one fact (Meng et al. 2022, arXiv 2202.05262, section 2.1, for MLPs in a window).

    The answer is the first token that the model gives. In the corrupted runs, one for each sample, normal
    noise of that standard deviation is added to the embeddings of the subject's tokens; in the restored ones
    the MLPs of the `window` blocks round a layer give, at the subject's last token, what they gave before.
    """
    model, found = loaded.model, map_model(loaded.model)
    prompt = Prompt.of(loaded.tokenizer, edit)
    ids = prompt.ids.to(found.device)
    layers, last = range(found.n_layers), prompt.subject[-1]
    generator = torch.Generator().manual_seed(seed)
    with evaluating(model):
        said: dict[int, Tensor] = {}
        with _hooked(found, layers, lambda layer, output: said.update({layer: output[0, last].clone()})):
            clean = _last_probabilities(model, ids)[0]
        answer = int(clean.argmax())
        rows = ids.repeat(samples, 1)
        size = (samples, len(prompt.subject), found.head_shape[1])
        added = noise * torch.randn(size, generator=generator).to(found.device)

        def restore(layer: int, output: Tensor) -> Tensor:
            output = output.clone()
            output[:, last] = said[layer]
            return output

        with _noisy(found, prompt.subject, added):
            corrupted = _last_probabilities(model, rows)[:, answer].mean().item()
            effects = []
            for layer in layers:
                first = max(0, layer - window // 2)
                with _hooked(found, layers[first : layer + window // 2 + 1], restore):
                    effects.append(_last_probabilities(model, rows)[:, answer].mean().item() - corrupted)
    return Trace(clean[answer].item(), corrupted, torch.tensor(effects))


def _last_probabilities(model: nn.Module, ids: Tensor) -> Tensor:
    """Next-token probabilities behind the last token, [rows, vocabulary]."""
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
    probabilities: Tensor = logits[:, -1].float().softmax(-1)
    return probabilities


@contextmanager
def _hooked(found: ModelMap, layers: Sequence[int], what: Any) -> Iterator[None]:
    """While open, `what(layer, output)` sees, and by returning something replaces, what an MLP writes."""
    with ExitStack() as stack:
        for layer in layers:
            module = found.module(layer, "mlp_out")

            def hook(_module: nn.Module, _args: object, output: Tensor, layer: int = layer) -> Any:
                return what(layer, output)

            stack.callback(module.register_forward_hook(hook).remove)
        yield


@contextmanager
def _noisy(found: ModelMap, places: Sequence[int], added: Tensor) -> Iterator[None]:
    """While open, `added`, [rows, places, d], is added to the embeddings at those places."""

    def hook(_module: nn.Module, _args: object, output: Tensor) -> Tensor:
        output = output.clone()
        output[:, list(places)] += added.to(output.dtype)
        return output

    handle = found.embedding.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
