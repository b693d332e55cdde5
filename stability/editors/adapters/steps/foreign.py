"""What the adapters have in common: a public system's function, called for each batch of edits."""

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
    from stability.editors.plugin.store import Store
    from stability.models import Tokenizer


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _existing(value: str) -> str:
    folder = Path(value).expanduser().resolve()
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    return value


Folder = Annotated[str, AfterValidator(_existing)]
Folders = Annotated[tuple[Folder, ...], BeforeValidator(_as_tuple)]


class ForeignSettings(EditorSettings):
    """Where a system stands and what it is given; its own hyperparameters are in its own file."""

    cwd: Folder | None = None  # import and run it in this folder, which may hold its modules
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
        """What the file says, so that a record holds it."""
        return read_values(settings_file(self.hparams, self.cwd))

    @computed_field  # type: ignore[prop-decorator]
    @property
    def source(self) -> str:
        """A fingerprint of the system's code: where that changes, it is another editor."""
        return self.system().fingerprint()

    def names(self) -> tuple[str, ...]:
        """The dotted names that are looked up in the system."""
        return () if self.hparams_class is None else (self.hparams_class,)

    def system(self) -> System:
        """The system, with nothing of it imported yet."""
        from stability.editors.adapters.steps.system import System

        return System(self.names(), self.path, self.cwd)


class ForeignEditor(BuiltIn):
    """A public system's function as an editor.

    Each instance, and so each run, has the system's modules to itself (see `System`), and a copy of the
    tokenizer with a token to pad with. At its first edit all of the model's parameters ask for gradients, as
    systems expect of a model that they have loaded; from then on, those that the system has left asking.
    """

    settings: ForeignSettings

    def __init__(self, settings: ForeignSettings) -> None:
        super().__init__(settings)
        self.system = settings.system()
        self.held: dict[str, Any] = {}  # arguments that live as long as a run
        self.called, self.function = self.entry()
        kind = hyperparameter_class(self.system, self.function, self.called, settings.hparams_class)
        file = settings_file(settings.hparams, settings.cwd)
        self.hparams = load_hyperparameters(self.system, kind, file, settings.override)
        keyword_arguments(self.function, self.called, settings.arguments, self.held)
        self._tokenizer: Any = None
        self._blocks: tuple[nn.Module, ...] = ()
        self._asking: frozenset[str] | None = None  # parameters that the system wants gradients of

    @abstractmethod
    def entry(self) -> tuple[str, Callable[..., Any]]:
        """What messages call the function, and the function `(model, tok, requests, hparams, ...)`."""

    @abstractmethod
    def requests(self, edits: Sequence[Edit]) -> Sequence[list[dict[str, Any]]]:
        """The edits in the system's form, one list for each call."""

    @abstractmethod
    def padding_side(self) -> str:
        """On which side the system expects padding."""

    def keep(self, returned: Any) -> None:
        """Take what the next call needs from what this one returned."""

    def prepare(self, model: nn.Module, tokenizer: Tokenizer, store: Store) -> None:
        """Make the system's own tokenizer, and let it work where the model is."""
        from stability.models import map_model

        self._blocks = map_model(model).blocks
        self._tokenizer = copy.deepcopy(tokenizer)
        self._tokenizer.padding_side = self.padding_side()
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        if hasattr(self.hparams, "device") and "device" not in self.settings.override:
            device = next(model.parameters()).device
            self.hparams.device = device.type if device.index is None else device.index

    def edit(self, model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> nn.Module:
        """Call the system, and leave the model in eval mode, its cache as it was, without gradients."""
        from stability.editors.adapters.steps.calling import edited_model

        arguments = keyword_arguments(self.function, self.called, self.settings.arguments, self.held)
        config = getattr(model, "config", None)
        use_cache = getattr(config, "use_cache", None)
        self._ask_for_gradients(model)
        ids = ", ".join(edit.id for edit in edits)
        with self.running(f"edit{'s' * (len(edits) > 1)} {ids}"):
            for requests in self.requests(edits):
                returned = self.function(model, self._tokenizer, requests, self.hparams, **arguments)
                self.keep(returned)
                model = edited_model(returned, model, self.called)
        self._asking = frozenset(name for name, value in model.named_parameters() if value.requires_grad)
        for parameter in model.parameters():
            parameter.grad = None
            parameter.requires_grad_(False)
        if use_cache is not None:
            config.use_cache = use_cache  # type: ignore[union-attr]
        return model.eval()

    def state(self) -> dict[str, Any]:
        """The system's module globals that changed, as `module:name`."""
        return self.system.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Set the system's module globals to those of the state."""
        self.system.load_state(state)

    @contextmanager
    def running(self, doing: str) -> Iterator[None]:
        """Run the system's code; whatever it raises becomes one line.

        Raises:
            EditorError: naming the adapter, the function, what it was doing, what it raised and where.
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
                warnings.simplefilter("default")  # a stranger's warning is no error, whatever ours are
                yield
        except StabilityError:
            raise
        except (Exception, SystemExit) as error:  # a stranger's code: anything may come out of it
            raise EditorError(
                f"{self.name}: {self.called}, {doing}: {with_type(error)} ({self.system.place(error)})",
                kind=kind_of(error, "editor_raised"),
            ) from error

    def _ask_for_gradients(self, model: nn.Module) -> None:
        for name, parameter in model.named_parameters():
            if parameter.is_floating_point():
                parameter.requires_grad_(self._asking is None or name in self._asking)
