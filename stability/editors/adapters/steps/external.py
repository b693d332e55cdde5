"""Code that the adapters share: calling a public system's function for each batch of edits."""

from __future__ import annotations

import copy
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    computed_field,
    field_validator,
)

from stability.data.edits import Edit
from stability.editors.adapters.steps.calling import keyword_arguments
from stability.editors.adapters.steps.hyperparameters import (
    hyperparameter_class,
    load_hyperparameters,
    read_values,
    settings_file,
)
from stability.editors.plugin.protocol import BuiltIn, EditorSettings
from stability.errors import EditorError, StabilityError, with_type

if TYPE_CHECKING:
    from torch import nn

    from stability.editors.adapters.steps.system import System
    from stability.models import Tokenizer
    from stability.store import Store


TRAINED = "trained"  # in a state: no name of a global, which has a colon


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _existing(value: str) -> str:
    folder = Path(value).expanduser().resolve()
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    return value


Folder = Annotated[str, AfterValidator(_existing)]
Folders = Annotated[tuple[Folder, ...], BeforeValidator(_as_tuple)]


class ExternalSettings(EditorSettings):
    """Where a system's code is, and its arguments; its hyperparameters are in its own file."""

    cwd: Folder | None = None  # import and run it in this folder; its modules may be here
    path: Folders = ()  # further folders that hold its modules
    hparams: str  # its JSON or YAML file, below `cwd` if that is set
    hparams_class: str | None = None  # if the function's parameter `hparams` is not annotated with it
    override: dict[str, Any] = Field(default_factory=dict)  # hyperparameters other than in the file
    arguments: dict[str, Any] = Field(default_factory=dict)  # further arguments of the function
    tuples: bool  # whether its hooks expect that a block returns a tuple

    @field_validator("hparams")
    @classmethod
    def _readable(cls, value: str, info: ValidationInfo) -> str:
        read_values(settings_file(value, info.data.get("cwd")))
        return value

    @computed_field  # type: ignore[prop-decorator]
    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The values in the file, so that they are in the record."""
        return read_values(settings_file(self.hparams, self.cwd))

    @computed_field  # type: ignore[prop-decorator]
    @property
    def source(self) -> str:
        """A fingerprint of the system's code; if it changes, it counts as another editor."""
        return self.system().fingerprint()

    def names(self) -> tuple[str, ...]:
        """The dotted names to look up in the system."""
        return () if self.hparams_class is None else (self.hparams_class,)

    def system(self) -> System:
        """The system; nothing of it is imported yet."""
        from stability.editors.adapters.steps.system import System

        return System(self.names(), self.path, self.cwd)


class ExternalEditor(BuiltIn):
    """A public system's function as an editor.

    Each instance, and so each run, has its own copy of the system's modules (see `System`), and its own copy
    of the tokenizer, with a padding token. Before the first edit all of the model's parameters require
    gradients, as systems expect of a freshly loaded model; before later edits, those that the system left so.
    """

    settings: ExternalSettings

    def __init__(self, settings: ExternalSettings) -> None:
        super().__init__(settings)
        self.system = settings.system()
        self.held: dict[str, Any] = {}  # arguments that are kept for the whole run
        self.carried: dict[str, Any] = {}  # arguments that each call returns for the next
        self.called, self.function = self.entry()
        kind = hyperparameter_class(self.system, self.function, self.called, settings.hparams_class)
        file = settings_file(settings.hparams, settings.cwd)
        self.hparams = load_hyperparameters(self.system, kind, file, settings.override)
        keyword_arguments(self.function, self.called, settings.arguments, self.held, self.carried)
        self._tokenizer: Tokenizer | None = None
        self._blocks: tuple[nn.Module, ...] = ()
        self._trained: frozenset[str] | None = None  # parameters that require gradients while the system runs

    @abstractmethod
    def entry(self) -> tuple[str, Callable[..., Any]]:
        """The function's name for messages, and the function `(model, tok, requests, hparams, ...)`."""

    @abstractmethod
    def requests(self, edits: Sequence[Edit]) -> Sequence[list[dict[str, Any]]]:
        """The edits in the system's form, one list for each call."""

    @abstractmethod
    def padding_side(self) -> str:
        """The side on which the system expects padding."""

    def keep(self, returned: Any, model: nn.Module) -> None:
        """Keep what the next call needs from what this one returned; `model` is the one it was given."""

    def prepare(self, model: nn.Module, tokenizer: Tokenizer, store: Store) -> None:
        """Make the copy of the tokenizer, and set the device of the hyperparameters to the model's."""
        from stability.models import map_model

        self._blocks = map_model(model).blocks
        padded = copy.deepcopy(tokenizer)
        padded.padding_side = self.padding_side()
        if padded.pad_token is None:
            padded.pad_token = padded.eos_token
        self._tokenizer = padded
        if hasattr(self.hparams, "device") and "device" not in self.settings.override:
            device = next(model.parameters()).device
            self.hparams.device = device.type if device.index is None else device.index

    def edit(self, model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> nn.Module:
        """Call the system; restore eval mode and the cache setting, and turn gradients off."""
        from stability.editors.adapters.steps.calling import edited_model

        config = getattr(model, "config", None)
        use_cache = getattr(config, "use_cache", None)
        self._require_gradients(model)
        ids = ", ".join(edit.id for edit in edits)
        with self.running(f"edit{'s' * (len(edits) > 1)} {ids}"):
            for requests in self.requests(edits):
                arguments = keyword_arguments(
                    self.function, self.called, self.settings.arguments, self.held, self.carried
                )
                returned = self.function(model, self._tokenizer, requests, self.hparams, **arguments)
                self.keep(returned, model)
                model = edited_model(returned, model, self.called)
        self._trained = frozenset(name for name, value in model.named_parameters() if value.requires_grad)
        for parameter in model.parameters():
            parameter.grad = None
            parameter.requires_grad_(False)
        if use_cache is not None:
            config.use_cache = use_cache  # type: ignore[union-attr]
        return model.eval()

    def state(self) -> dict[str, Any]:
        """The system's module globals that changed, as `module:name`, and which parameters it has trained."""
        trained = {} if self._trained is None else {TRAINED: sorted(self._trained)}
        return self.system.state() | trained

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Set the system's module globals to those of the state."""
        rest = dict(state)
        trained = rest.pop(TRAINED, None)
        self._trained = None if trained is None else frozenset(trained)
        self.system.load_state(rest)

    @contextmanager
    def running(self, doing: str) -> Iterator[None]:
        """Run the system's code; anything that it raises becomes a one-line error.

        Raises:
            EditorError: with the adapter, the function, the current action, the original error and its place.
        """
        import torch

        from stability.editors.adapters.steps.tuples import returning_tuples
        from stability.models.memory import kind_of

        try:
            with (
                self.system.active(),
                torch.inference_mode(False),
                torch.enable_grad(),
                returning_tuples(self._blocks if self.settings.tuples else ()),
                warnings.catch_warnings(),
            ):
                warnings.simplefilter("default")  # a warning of the system is not an error, even if ours are
                yield
        except StabilityError:
            raise
        except (Exception, SystemExit) as error:  # third-party code may raise anything
            raise EditorError(
                f"{self.name}: {self.called}, {doing}: {with_type(error)} ({self.system.place(error)})",
                kind=kind_of(error, "editor_raised"),
            ) from error

    def _require_gradients(self, model: nn.Module) -> None:
        for name, parameter in model.named_parameters():
            if parameter.is_floating_point():
                parameter.requires_grad_(self._trained is None or name in self._trained)
