"""From a model to a point and back: taking down what an editor made of it, and putting it together again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from stability.editors import LoadedEditor
from stability.errors import ModelError
from stability.models import ModelMap, Snapshot, View, map_model, measurable
from stability.models.modes import random_state
from stability.models.unwrap import named_buffers
from stability.run.editing import call
from stability.run.points.point import PointHeader, RunPoint
from stability.run.points.sums import word_sums

NAMED = 2  # differences that an error says


class Known(Protocol):
    """What is known of the unedited model."""

    @property
    def snapshot(self) -> Snapshot:
        """A copy of it."""

    def view(self, model: object) -> View:
        """An edited model by its names; `ModelError` if there is none that can be mapped."""


@dataclass(frozen=True)
class Unedited:
    """That, of a model which nothing is measured of."""

    snapshot: Snapshot
    map: ModelMap

    @classmethod
    def of(cls, model: nn.Module) -> Unedited:
        """What has to be known of a model before it is edited."""
        return cls(Snapshot(model), map_model(model))

    def view(self, model: object) -> View:
        """An edited model by its names."""
        model = measurable(model)
        return View(model, map_model(model, like=self.map), self.snapshot)


def taken(known: Known, model: Any, editor: LoadedEditor, header: Mapping[str, Any]) -> RunPoint:
    """The point of a model as it is now, or of what an editor made of it, and of what that remembers.

    `header` holds the fields of the point's header that say what it is of.

    Raises:
        EditorError: the editor's `state` raised.
        ModelError: there is no language model in it that can be mapped.
    """
    with random_state():
        state = call(editor.state, doing=f"{editor.info.name}: its state")
    view = known.view(model)
    tensors = _tensors(view)
    snapshot = known.snapshot
    outer = measurable(model)
    filled = PointHeader(
        **header,
        sums=word_sums(tensors),
        structure=tuple(snapshot.composition.differences(outer)),
        asking=tuple(name for name, one in outer.named_parameters() if one.requires_grad),
        training=tuple(path for path, module in outer.named_modules() if module.training),
    )
    differing = {name: tensor for name, tensor in tensors.items() if snapshot.differs(name, tensor)}
    return RunPoint(filled, differing, state)


def restored(known: Known, model: nn.Module, editor: LoadedEditor | None, point: RunPoint) -> Any:
    """The model of a point, made of the unedited one, for which the editor was just prepared.

    Without an editor only values of tensors can be put back: what one has added to the model besides, it has
    to add again, when it loads its state or in its `rebuild`.

    Raises:
        EditorError: the editor's code raised.
        ModelError: what came of it is not the point's model; the model is left as it has become.
    """
    _put(_tensors(known.view(model)), point.tensors)
    edited: Any = model
    if editor is not None:
        with random_state():
            if editor.has("load_state"):
                call(editor.load_state, point.state, doing=f"{editor.info.name}: loading its state")
            edited = call(editor.rebuild, model, doing=f"{editor.info.name}: rebuilding the model")
    view = known.view(edited)
    tensors = _tensors(view)
    _put({name: tensors[name] for name in tensors.keys() & point.tensors.keys()}, point.tensors)
    outer = measurable(edited)
    for name, parameter in outer.named_parameters():
        parameter.requires_grad_(name in point.header.asking)
    for path, module in outer.named_modules():
        module.training = path in point.header.training
    _check(point, _tensors(known.view(edited)), known.snapshot.composition.differences(outer))
    return edited


def _check(point: RunPoint, tensors: Mapping[str, Tensor], structure: list[str]) -> None:
    """Whether the model is what it was, in structure and in every bit; `ModelError` if it is not."""
    was = set(point.header.structure)
    wrong = [f"it lacks a difference ({one})" for one in point.header.structure if one not in structure]
    wrong += [f"it has one more difference ({one})" for one in structure if one not in was]
    sums = word_sums(tensors)
    wrong += [
        f"{name} is another"
        for name in {**point.header.sums, **sums}
        if point.header.sums.get(name) != sums.get(name)
    ]
    if wrong:
        more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        raise ModelError(
            f"the edited model of edit {point.header.edits} cannot be put together again: "
            f"{'; '.join(wrong[:NAMED])}{more}"
        )


def _tensors(view: View) -> dict[str, Tensor]:
    """Every parameter and buffer, those included that are not saved with a model."""
    stored = view.stored
    seen = {id(tensor) for tensor in stored.values()}
    rest = {name: buffer for name, buffer in named_buffers(view.model) if id(buffer) not in seen}
    return {**stored, **rest}


def _put(tensors: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, tensor in tensors.items():
            value = values.get(name)
            if value is None:
                continue
            if (tensor.shape, tensor.dtype) == (value.shape, value.dtype):
                tensor.data.copy_(value)
            else:
                tensor.data = value.to(tensor.device)
