"""What each sub-module adds to the residual stream, and how much of the stream's end that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from stability.errors import MeasurementError
from stability.metrics.activations.steps.layers import nothing_left
from stability.metrics.plugin.metric import Context, Skipped
from stability.metrics.scoring import returned_logits
from stability.models import ModelMap
from stability.models.modes import evaluating
from stability.record.schema import Matrix

WRITERS = ("attn_out", "mlp_out")
REST = 1e-3  # of the stream's length: what may be left unexplained, of the rounding of half precision


def written_shares(context: Context) -> dict[str, float]:
    """The mean share over the counted tokens, by the name of the matrix that writes it.

    Raises:
        Skipped: what sub-modules add is normed or scaled on its way, or they are not all known.
        DataError: `text.skip_tokens` leaves no token.
        MeasurementError: a sub-module of the edited model is run not at all, or more than once.
    """
    found = context.map
    writers = [matrix for matrix in found.matrices if matrix.kind in WRITERS]
    if found.normalised_output:
        raise Skipped(f"{found.architecture} norms what a sub-module writes before it is added")
    sums = torch.zeros(len(writers), dtype=torch.float64)
    tokens, skip = 0, context.suite.text.skip_tokens
    with evaluating(context.model), _listening(found, writers) as seen:
        for window in context.text.windows:
            if len(window) <= skip:
                continue
            seen.clear()
            ids = window[None].to(found.device)
            returned_logits(context.model, ids, torch.ones_like(ids))
            sums += _shares(seen, writers, skip, found.architecture)
            tokens += len(window) - skip
    if not tokens:
        raise nothing_left(context)
    return {matrix.name: share for matrix, share in zip(writers, (sums / tokens).tolist(), strict=True)}


def _shares(seen: dict[str, list[Tensor]], writers: list[Matrix], skip: int, architecture: str) -> Tensor:
    """The shares of one window, summed over its counted tokens, float64 [writers]."""
    names = ("", *(matrix.name for matrix in writers), "end")
    uneven = next((name for name in names if len(seen.get(name, ())) != 1), None)
    if uneven is not None:
        raise MeasurementError(
            f"{uneven or 'the first block'} is run {len(seen.get(uneven, ()))} times for a window of the "
            "text, so that the residual stream is no sum of what each sub-module adds once",
            kind="structure_changed",
        )
    start, *added, end = (seen[name][0][skip:].double() for name in names)  # each [tokens, d]
    rest = end - start - sum(added)
    if (rest.norm(dim=1) > REST * (end.norm(dim=1) + sum(one.norm(dim=1) for one in added))).any():
        raise Skipped(
            f"the residual stream of {architecture} is not the sum of what attention and MLPs write"
        )
    lengths = end.square().sum(1)  # [tokens]
    return torch.stack([((one * end).sum(1) / lengths).sum() for one in added]).cpu()


@contextmanager
def _listening(found: ModelMap, writers: list[Matrix]) -> Iterator[dict[str, list[Tensor]]]:
    """While open, what goes into the first block (""), what every writer adds, and what the last block
    gives ("end") are kept in lists, [tokens, d] each, of windows run one at a time."""
    seen: dict[str, list[Tensor]] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            tensor = output[0] if isinstance(output, tuple) else output
            seen.setdefault(name, []).append(tensor.detach().reshape(-1, tensor.shape[-1]))

        return hook

    def begin(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        tensor = args[0] if args else kwargs["hidden_states"]
        seen.setdefault("", []).append(tensor.detach().reshape(-1, tensor.shape[-1]))

    with ExitStack() as stack:
        stack.callback(found.blocks[0].register_forward_pre_hook(begin, with_kwargs=True).remove)
        stack.callback(found.blocks[-1].register_forward_hook(keep("end")).remove)
        for matrix in writers:
            module = found.module(matrix.layer, matrix.kind)
            stack.callback(module.register_forward_hook(keep(matrix.name)).remove)
        yield seen
