"""A run of an editor on a copy of the model, and what each call did to it and round it."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stability.data.edits import Edit
from stability.editors import LoadedEditor, Store
from stability.errors import EditorError, MeasurementError, StabilityError, with_type
from stability.metrics.scoring import score_targets
from stability.models import LoadedModel, same_bytes, tokenizer_fingerprint
from stability.models.modes import random_state
from stability.models.tokens import Tokenizer
from stability.run.editing import edit_seed
from stability.run.surroundings import Surroundings, flags_kept, look
from stability.store import tensors_fingerprint

Prints = Mapping[str, str]
"""Of every tensor of a model that differs from the unedited one: its SHA-256, by name."""


class CrashError(EditorError):
    """An editor raised something that is no error of the harness: it did not foresee it."""


@dataclass(frozen=True)
class Score:
    """Mean log-probabilities of an edit's target, and of its true one if it has one, on its prompt."""

    target: float
    true: float | None


@dataclass(frozen=True)
class Step:
    """What one call of the editor did to the model and to what surrounds it."""

    doing: str
    edits: tuple[Edit, ...]
    prints: Prints
    broken: tuple[str, ...]
    before: Surroundings
    after: Surroundings
    inputs: tuple[str, ...] = ()
    scores: tuple[tuple[Score, Score] | None, ...] = ()
    reported: tuple[Mapping[str, float], ...] = ()
    in_place: bool = True


@dataclass(frozen=True)
class EditorRun:
    """A run on a fresh copy of the model: its steps, and the error that ended it, if one did."""

    prepared: Step | None
    steps: tuple[Step, ...]
    error: StabilityError | None = None

    @property
    def prints(self) -> list[Prints]:
        """The changed tensors after each call of `edit`."""
        return [step.prints for step in self.steps]


@dataclass
class Session:
    """A run under way, as the harness makes one: prepared first, then edited, seeded before each call.

    Every session has a copy of the model and the tokenizer of its own. If it is `watched`, every
    step says what surrounds the model, and how the model answers the edits, before and after.
    """

    editor: LoadedEditor
    loaded: LoadedModel
    store: Store
    seed: int
    watched: bool = False
    model: nn.Module = field(init=False)
    tokenizer: Tokenizer = field(init=False)
    made: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.model = deepcopy(self.loaded.model)
        self.tokenizer = deepcopy(self.loaded.tokenizer)

    def prepare(self) -> Step:
        """Prepare the editor.

        Raises:
            CrashError: it raised something that is no error of the harness.
            StabilityError: it refused.
        """
        before = self._look(self.model)
        with flags_kept():
            with random_state(self.seed):
                self._call(self.editor.prepare, self.model, self.tokenizer, self.store, doing="preparing")
            after = self._look(self.model)
        return self._step("preparing", (), before, after)

    def edit(self, *edits: Edit, as_tuple: bool = False) -> Step:
        """Make these edits in one call, and see what it did; raises as `prepare`."""
        number = f"{self.made + 1}" if len(edits) == 1 else f"{self.made + 1}-{self.made + len(edits)}"
        doing = f"edit {number} ({edits[0].id})"
        given: Sequence[Edit] = deepcopy(edits if as_tuple else list(edits))
        scores = self._scores(edits)
        inputs = inputs_of(self.model, self.tokenizer) if self.watched else {}
        before = self._look(self.model)
        with flags_kept():
            with random_state(edit_seed(self.seed, self.made)):
                returned = self._call(self.editor.edit, self.model, self.tokenizer, given, doing=doing)
                reported = self._call(self.editor.report, len(edits), doing=f"reporting on {doing}")
            if not isinstance(returned, nn.Module):
                raise CrashError(f"{doing} returned a {type(returned).__name__}, not a model")
            after = self._look(returned)
        in_place = returned is self.model
        altered = [] if list(given) == list(edits) else ["the list of edits"]
        now = inputs_of(returned, self.tokenizer) if self.watched else {}
        altered += [name for name, value in inputs.items() if now.get(name, value) != value]
        self.model = returned
        self.made += len(edits)
        gains = zip(scores, self._scores(edits), strict=True)
        return self._step(
            doing,
            edits,
            before,
            after,
            inputs=tuple(altered),
            scores=tuple((old, new) if old and new else None for old, new in gains),
            reported=tuple(reported),
            in_place=in_place,
        )

    def state(self) -> dict[str, Any]:
        """The editor's state; raises as `prepare`."""
        state: dict[str, Any] = self._call(self.editor.state, doing="state()")
        return state

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Let the editor go on from a state; raises as `prepare`."""
        self._call(self.editor.load_state, state, doing="load_state()")

    def _call(self, function: Callable[..., Any], *arguments: Any, doing: str) -> Any:
        try:
            return function(*arguments)
        except StabilityError:
            raise
        except (
            Exception,
            SystemExit,
        ) as error:  # third-party code may raise anything
            frames = traceback.extract_tb(error.__traceback__)
            own = [frame for frame in frames if "site-packages" not in frame.filename]
            frame = (own or frames)[-1]
            where = f"{Path(frame.filename).name}:{frame.lineno}"
            raise CrashError(f"{doing} raised {with_type(error)} ({where})") from error

    def _step(
        self, doing: str, edits: tuple[Edit, ...], before: Surroundings, after: Surroundings, **more: Any
    ) -> Step:
        pristine, now = tensors(self.loaded.model), tensors(self.model)
        changed = {
            name: tensor
            for name, tensor in now.items()
            if name not in pristine or not same_bytes(pristine[name], tensor)
        }
        prints = {name: tensors_fingerprint([(name, tensor)]) for name, tensor in changed.items()}
        broken = tuple(name for name, tensor in changed.items() if not _finite(tensor))
        return Step(doing, edits, prints, broken, before, after, **more)

    def _look(self, model: nn.Module) -> Surroundings:
        return look(model) if self.watched else {}

    def _scores(self, edits: Sequence[Edit]) -> list[Score | None]:
        """How the model answers these edits; None where it is not or cannot be asked."""
        return [self._score(edit) if self.watched else None for edit in edits]

    def _score(self, edit: Edit) -> Score | None:
        asked = [edit.target, *([] if edit.target_true is None else [edit.target_true])]
        try:
            found = score_targets(
                self.model, self.tokenizer, [(edit.filled, target, edit.space) for target in asked]
            )
        except MeasurementError:  # NaN, or the model returned is none that can be mapped
            return None
        values = found.mean_log_prob.tolist()
        return Score(values[0], values[1] if len(values) > 1 else None)


def run_edits(session: Session, batches: Sequence[Sequence[Edit]], as_tuple: bool) -> EditorRun:
    """Prepare the editor and make the batches, until their end or an error."""
    prepared: Step | None = None
    steps: list[Step] = []
    try:
        prepared = session.prepare()
        steps.extend(session.edit(*batch, as_tuple=as_tuple) for batch in batches)
    except StabilityError as error:
        return EditorRun(prepared, tuple(steps), error)
    return EditorRun(prepared, tuple(steps))


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer, by name."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def inputs_of(model: nn.Module, tokenizer: Tokenizer) -> dict[str, str]:
    """Everything but weights that an editor is given, each as a text that changes with it."""
    found = {
        "the tokenizer": tokenizer_fingerprint(tokenizer),
        **{
            f"the tokenizer's {name}": repr(getattr(tokenizer, name, None))
            for name in ("padding_side", "truncation_side", "model_max_length", "chat_template")
        },
    }
    for name in ("config", "generation_config"):
        config = getattr(model, name, None)
        if config is not None:
            found[f"the model's {name}"] = json.dumps(config.to_dict(), sort_keys=True, default=str)
    return found


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())
