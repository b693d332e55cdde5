"""Blocks that return tuples, as they did in transformers when the public systems were written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def returning_tuples(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """While open, hooks on a block that returns a tensor see the tuple (tensor,); nothing else does.

    MEMIT and its successors change `output[0]` of a block's output in a hook. Newer versions of transformers
    return the residual stream itself, whose `[0]` is the batch's first row.
    """
    # A forward that something else has set on a block, such as accelerate, is kept.
    ours = [block for block in blocks if not {"forward", "_call_impl"} & block.__dict__.keys()]
    try:
        for block in ours:
            _wrap(block)
        yield
    finally:
        for block in ours:
            block.__dict__.pop("forward", None)
            block.__dict__.pop("_call_impl", None)


def _wrap(block: nn.Module) -> None:
    forward = block.forward
    call: Callable[..., Any] = block._call_impl
    bare = False  # whether forward gave a tensor

    def tupled(*args: Any, **kwargs: Any) -> Any:
        nonlocal bare
        output = forward(*args, **kwargs)
        bare = isinstance(output, Tensor)
        return (output,) if bare else output

    # This calls forward and then the hooks, which have seen the tuple when it returns.
    def untupled(*args: Any, **kwargs: Any) -> Any:
        output = call(*args, **kwargs)
        return output[0] if bare and isinstance(output, tuple) else output

    block.__dict__.update(forward=tupled, _call_impl=untupled)
