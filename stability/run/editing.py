"""Calling an editor: with random numbers of its own, and with whatever it raises made an `EditorError`."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from stability.data.edits import Edit
from stability.editors import LoadedEditor, Store
from stability.errors import EditorError, ModelError, StabilityError, with_type
from stability.metrics import refuse_too_long
from stability.models import language_model, measurable
from stability.models.memory import kind_of
from stability.models.modes import random_state
from stability.models.tokens import Tokenizer
from stability.models.unwrap import unreadable


def edit_seed(seed: int, made: int) -> int:
    """The seed of the random numbers of the edits that come after `made` others, in a run at `seed`."""
    return seed * 1_000_003 + made


def prepare(editor: LoadedEditor, model: nn.Module, tokenizer: Tokenizer, store: Store, seed: int) -> None:
    """Prepare an editor on the unedited model with a seed's random numbers; `EditorError` if it fails."""
    with random_state(seed):
        call(editor.prepare, model, tokenizer, store, doing=f"{editor.info.name}: preparing")


def make_batch(
    editor: LoadedEditor, model: Any, tokenizer: Tokenizer, batch: Sequence[Edit], first: int, seed: int
) -> tuple[Any, list[dict[str, float]]]:
    """Make a batch of edits after `first` others: what became of the model, and what is reported of each.

    The random numbers are those of the seed and of `first`, whatever was drawn before.

    Raises:
        DataError: an edit's prompt does not fit into the model's context.
        EditorError: the editor raised, or returned something else than a model.
        ModelError: a tensor of what it returned cannot be read, or it cannot be called.
    """
    refuse_too_long(model, tokenizer, batch)
    name = editor.info.name
    number = f"edit {first + 1}" if len(batch) == 1 else f"edits {first + 1}-{first + len(batch)}"
    with random_state(edit_seed(seed, first)):
        edited = call(editor.edit, model, tokenizer, batch, doing=f"{name}: {number} ({batch[0].id})")
        if not isinstance(edited, nn.Module) and language_model(edited) is None:
            raise EditorError(
                f"{name}: {number}: returned a {type(edited).__name__}; "
                "an editor returns the edited model, or None when it edits in place"
            )
        if reason := unreadable(measurable(edited)):
            raise ModelError(
                f"{name}: {number}: {reason}; an editor leaves plain tensors, or what computes them"
            )
        return edited, call(editor.report, len(batch), doing=f"{name}: reporting")


def call(function: Callable[..., Any], *arguments: Any, doing: str) -> Any:
    """Call an editor's code; whatever it raises becomes an `EditorError` that says where."""
    try:
        return function(*arguments)
    except StabilityError:
        raise
    except (Exception, SystemExit, GeneratorExit) as error:  # third-party code, which may raise anything
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        kind = kind_of(error, "editor_raised")
        raise EditorError(f"{doing}: {with_type(error)} ({where})", kind=kind, file=where) from error
