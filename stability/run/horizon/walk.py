"""One editor on its way through the edits of one seed: forwards batch by batch, and back to a kept point."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stability.editors import LoadedEditor
from stability.errors import EditorError, MeasurementError
from stability.models import measurable
from stability.models.snapshot import builds, stored_tensors
from stability.record import Checkpoint, EditOutcome
from stability.run.editing import make_batch, prepare
from stability.run.experiment import Experiment
from stability.run.saved import read_state, read_tensors, write_state, write_tensors

log = logging.getLogger(__name__)


class Walk:
    """The model after any number of edits, `at`; what a point was that has been passed before is checked.

    Going back is putting the model back to the last kept point before, preparing the editor on the unedited
    model again, giving it its state of then, and making the edits after it once more, with the same random
    numbers. After each of them every tensor has to be what it was the first time. Where it is not, because
    the editor keeps something to itself that `state` does not say, all edits are made again from the first.
    An editor that wraps the model is taken back so, too: only values of tensors can be kept.
    """

    def __init__(self, experiment: Experiment, editor: LoadedEditor, seed: int, folder: Path) -> None:
        self._experiment = experiment
        self._editor = editor
        self._seed = seed
        self._folder = folder
        self._edits = experiment.streams[seed]
        self._batch = experiment.suite.spec.run.edits.batch
        self._pristine = builds(experiment.loaded.model)
        self._sums: dict[int, Mapping[str, int]] = {}
        self._model: Any = experiment.loaded.model
        self._since = 0  # where the edits that are being made again began
        self._kept: KeptPoint | None = None
        self._can_keep = True
        self.at = 0
        self.outcomes: list[EditOutcome] = []
        self.end: EditingEnd | None = None
        self.edits_made = 0
        self.edits_repeated = 0

    @property
    def stops(self) -> tuple[int, ...]:
        """The numbers of edits at which the model can be measured: after every batch."""
        count = len(self._edits)
        return (*range(self._batch, count, self._batch), count)

    def __enter__(self) -> Walk:
        self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._experiment.put_back()

    def go_to(self, edits: int) -> bool:
        """Bring the model to that many edits; False if the editor cannot come so far, as `end` says.

        Raises:
            MeasurementError: edits that are made again from the first do not give the same weights.
        """
        while True:
            if self.end is not None and edits > self.end.at:
                return False
            if self.at > edits:
                self._return(edits)
            elif self.at < edits:
                self._step()
            else:
                return True

    def measure(self, metrics: frozenset[str]) -> Checkpoint:
        """The readings of these metrics, of the model as it is."""
        done = self.at
        return self._experiment.examination.checkpoint(
            self._model, self._edits[:done], tuple(self.outcomes[:done]), self._seed, metrics
        )

    def keep(self) -> None:
        """Keep this point to go back to, in place of an earlier one, if tensors are all there is to it."""
        if not self._can_keep or self.at == 0 or (self._kept is not None and self._kept.edits == self.at):
            return
        if self._model is not self._experiment.loaded.model or builds(self._model) != self._pristine:
            return
        snapshot = self._experiment.examination.snapshot
        stored = stored_tensors(self._model)
        tensors = {name: stored[name] for name in snapshot.changed(self._model) if name in stored}
        path = self._folder / f"{self.at}.safetensors"
        state = self._folder / f"{self.at}.state.safetensors"
        try:
            try:
                write_state(state, self._editor.state())
            except EditorError as error:
                log.warning("%s: %s; its edits are made again from the first", self._editor.info.name, error)
                self._can_keep = False
                return
            kept = KeptPoint(
                self.at, path, write_tensors(path, {n: t.clone() for n, t in tensors.items()}), state
            )
        except OSError as error:
            raise MeasurementError(
                f"{self._folder}: cannot keep the model there: {error.strerror}"
            ) from error
        if self._kept is not None:
            self._kept.remove()
        self._kept = kept

    def _step(self) -> None:
        """Make one batch of edits."""
        first = self.at
        batch = self._edits[first : first + self._batch]
        done = first + len(batch)
        self.edits_made += len(batch)
        try:
            self._model, reported = make_batch(
                self._editor, self._model, self._experiment.loaded.tokenizer, batch, first, self._seed
            )
        except EditorError as error:
            self.end = EditingEnd(first, error, broken=False)
            self.at = done  # half made: to be anywhere, the model has to go back
            return
        self.at = done
        sums = word_sums(measurable(self._model))
        if done in self._sums:
            self.edits_repeated += len(batch)
            if sums != self._sums[done]:
                self._mistrust(done)
            return
        self._sums[done] = sums
        outcomes, unanswered = self._experiment.examination.ask(self._model, batch, reported)
        if unanswered is not None:
            self.end = EditingEnd(done, unanswered, broken=True)
        self.outcomes += outcomes
        self._experiment.listener.edits(self._label, done, len(self._edits))

    @property
    def _label(self) -> str:
        return f"{self._editor.info.name} · seed {self._seed}"

    def _mistrust(self, done: int) -> None:
        """Edits made again gave another model: go back to the first; nothing is to be done if that was it."""
        if self._since == 0:
            raise MeasurementError(
                f"{self._editor.info.name}: the same edits with the same random numbers gave other weights "
                f"after edit {done}; it cannot be taken back, so measure after every edit instead (--every)",
                kind="not_repeatable",
            )
        log.warning(
            "%s does not go on from its state as it did before; its edits are made again from the first",
            self._editor.info.name,
        )
        self._can_keep = False
        if self._kept is not None:
            self._kept.remove()
        self._kept = None
        self._start()

    def _return(self, edits: int) -> None:
        """Back to the kept point, or to the unedited model if that comes later."""
        kept = self._kept if self._kept is not None and self._kept.edits <= edits else None
        self._start()
        if kept is None:
            return
        tensors = stored_tensors(self._experiment.loaded.model)
        for name, value in read_tensors(kept.tensors, kept.digest).items():
            tensors[name].data.copy_(value)
        self._editor.load_state(read_state(kept.state))
        self.at = self._since = kept.edits

    def _start(self) -> None:
        """The unedited model, and the editor prepared on it."""
        self._experiment.put_back()
        experiment = self._experiment
        self._model = experiment.loaded.model
        self.at = self._since = 0
        prepare(self._editor, self._model, experiment.loaded.tokenizer, experiment.store, self._seed)


@dataclass(frozen=True)
class KeptPoint:
    """A point to go back to."""

    edits: int
    tensors: Path
    digest: str
    state: Path

    def remove(self) -> None:
        """Delete the files."""
        self.tensors.unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)


@dataclass(frozen=True)
class EditingEnd:
    """The last number of edits at which there is a model, broken or not, and what prevents more."""

    at: int
    error: MeasurementError
    broken: bool


def word_sums(model: nn.Module) -> dict[str, int]:
    """Of every stored tensor the sum of its bytes as 64-bit words, modulo 2⁶⁴: one pass at memory's rate."""
    return {name: _word_sum(tensor) for name, tensor in stored_tensors(model).items()}


def _word_sum(tensor: Tensor) -> int:
    flat = tensor.detach().contiguous().reshape(-1)
    if flat.storage_offset() * flat.element_size() % 8:
        flat = flat.clone()
    octets = flat.view(torch.uint8)
    whole = len(octets) // 8 * 8
    return int(octets[:whole].view(torch.int64).sum()) + int(octets[whole:].sum())
