"""What an editor is: a function, or a class that can also prepare, keep state and declare settings.

The smallest editor is a function that edits in place and returns None, or returns an edited model:

    def edit(model, tokenizer, edits, *, lr=1e-3): ...

Keyword parameters after the first three are its settings. A class has a method `edit(model, tokenizer,
edits)` and may have `prepare(model, tokenizer, store)`, `state()` and `load_state(state)`. Its settings are
the keyword parameters of its `__init__`, or a pydantic model called `Settings`; then `__init__` gets one
instance of it.

`prepare` is called once per run, on the unedited model and always on a new instance. Before it and before
every `edit` the harness seeds the global random generators, and it restores them afterwards. `state` returns
a dict of JSON values and tensors: everything that an editor must remember from one edit to the next. An
editor that adds to the model, beside values of its tensors, adds that again in `rebuild(model)`, which is
called after `load_state` where a run goes on, and returns the model as `edit` does. `report`
returns figures about the last `edit`, by name, one for each of its edits (`value_norm`, `training_loss`);
they are recorded with the edits' outcomes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from stability.data.edits import Edit
from stability.errors import EditorError
from stability.parts import EditorHead
from stability.record import EditorInfo

if TYPE_CHECKING:
    from torch import nn

    from stability.models import ModelMap, Tokenizer
    from stability.store import Store


class Editor(Protocol):
    """What the harness needs of an editor; its other methods are optional."""

    def edit(self, model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> nn.Module | None:
        """Edit in place and return None, or return the edited model."""


class EditorSettings(BaseModel):
    """Settings of a built-in editor: frozen, and an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def as_layers(value: object) -> object:
    """Accepts a single layer instead of a list."""
    return (value,) if isinstance(value, int) and not isinstance(value, bool) else value


Layers = Annotated[
    tuple[Annotated[int, Field(ge=0, strict=True)], ...], BeforeValidator(as_layers), Field(min_length=1)
]


class NoSettings(EditorSettings):
    """For an editor without settings."""


class BuiltIn(ABC):
    """The base class of built-in editors, which are found by the name in their head.

    Editors of other packages may use it, too; they are found by the name of their entry point.
    """

    head: ClassVar[EditorHead]
    Settings: ClassVar[type[EditorSettings]] = NoSettings

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @property
    def name(self) -> str:
        """The name used in errors: that of its head, else that of its class."""
        return self.head.name if hasattr(self, "head") else type(self).__name__

    def prepare(self, model: nn.Module, tokenizer: Tokenizer, store: Store) -> None:  # noqa: B027
        """Called once per run, on the unedited model."""

    @abstractmethod
    def edit(self, model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> nn.Module | None:
        """Edit in place and return None, or return the edited model."""

    def state(self) -> dict[str, Any]:
        """What the editor remembers from one edit to the next."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Continue from a state; called after `prepare`."""

    def rebuild(self, model: nn.Module) -> nn.Module | None:
        """Add to the unedited model what `edit` had added besides values of its tensors; as `edit`.

        Called after `load_state`; the tensors that are the model's own have their values already.
        """
        return None

    def report(self) -> Mapping[str, Sequence[float]]:
        """Figures of the last `edit`, by name, one for each of its edits."""
        return {}

    def touched(self, found: ModelMap) -> tuple[str, ...] | None:
        """The parameters that `edit` may change, by name; None if that is not known beforehand."""
        return None


class LoadedEditor:
    """An editor with its settings filled in, as the engine calls it."""

    def __init__(self, info: EditorInfo, make: Callable[[], Editor]) -> None:
        self.info = info
        self._make = make
        self._editor = make()

    def has(self, method: str) -> bool:
        """Whether the editor has a method of that name."""
        return callable(getattr(self._editor, method, None))

    def prepare(self, model: nn.Module, tokenizer: Tokenizer, store: Store) -> None:
        """Begin a run on the unedited model, with a new instance of the editor."""
        self._editor = self._make()
        prepare = getattr(self._editor, "prepare", None)
        if prepare is not None:
            prepare(model, tokenizer, store)

    def edit(self, model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> nn.Module:
        """Make these edits and return the model afterwards: the same object, or what the editor returned."""
        edited = self._editor.edit(model, tokenizer, edits)
        return model if edited is None else edited

    def state(self) -> dict[str, Any]:
        """What the editor remembers from one edit to the next; empty if it has no `state`."""
        state = getattr(self._editor, "state", None)
        return dict(state()) if callable(state) else {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from a state; call `prepare` on the unedited model before it."""
        load_state = getattr(self._editor, "load_state", None)
        if callable(load_state):
            load_state(state)

    def rebuild(self, model: nn.Module) -> nn.Module:
        """What `load_state` alone does not bring back: the model with what the editor had added to it."""
        rebuild = getattr(self._editor, "rebuild", None)
        edited = rebuild(model) if callable(rebuild) else None
        return model if edited is None else edited

    def report(self, edits: int) -> list[dict[str, float]]:
        """What the last call of `edit`, with `edits` edits, reported for each; empty if it has no `report`.

        Raises:
            EditorError: a figure does not have one number for each edit.
        """
        report = getattr(self._editor, "report", None)
        figures = report() if callable(report) else {}
        rows: list[dict[str, float]] = [{} for _ in range(edits)]
        for name, values in figures.items():
            if len(values) != edits:
                raise EditorError(
                    f"{self.info.name}: report() gives {len(values)} values of {name!r} for {edits} edits; "
                    "it should give one for each"
                )
            for row, value in zip(rows, values, strict=True):
                row[str(name)] = float(value)
        return rows

    def touched(self, found: ModelMap) -> tuple[str, ...] | None:
        """The parameters that the editor says it may change; None if it has no `touched`."""
        return self._editor.touched(found) if isinstance(self._editor, BuiltIn) else None


class FunctionEditor:
    """A function with its settings, as an editor."""

    def __init__(self, function: Callable[..., nn.Module | None], settings: Mapping[str, Any]) -> None:
        self._function = function
        self._settings = dict(settings)

    def edit(self, model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> nn.Module | None:
        """Call the function."""
        return self._function(model, tokenizer, edits, **self._settings)
