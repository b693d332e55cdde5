"""Functions of the form `apply_*_to_model(model, tok, requests, hparams, ...)`, as in the code of ROME."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from stability.data.edits import Edit
from stability.editors.adapters.steps.calling import takes
from stability.editors.adapters.steps.carried import Carry, as_state, from_state, left_behind
from stability.editors.adapters.steps.external import ExternalEditor, ExternalSettings
from stability.editors.adapters.steps.requests import nested
from stability.editors.locate.steps.settings import CovarianceSettings
from stability.errors import EditorError
from stability.parts import EditorHead

if TYPE_CHECKING:
    from torch import nn

    from stability.models import Tokenizer
    from stability.store import Store

log = logging.getLogger(__name__)

METHOD = "apply_to_model"  # of an executor, as MEND's and KE's
THRESHOLD = 0.02  # AlphaEdit's published nullspace_threshold
CACHE = "cache_c"
CARRIED, CALLS = "carried", "calls"  # in a state


class KmengSettings(ExternalSettings):
    """Settings of the adapter."""

    apply: str  # the function's dotted name, or that of a class with a method apply_to_model
    tuples: bool = True
    padding_side: Literal["left", "right"] = "right"  # these systems count target tokens from the left
    project: str | None = (
        None  # AlphaEdit: the system's own get_project; else P is computed from `covariance`
    )
    covariance: CovarianceSettings | None = None  # of AlphaEdit's P; the defaults if not given
    carry: Carry | Literal["nothing"] | None = None  # what is returned and given back; None: `cache_c` alone

    def names(self) -> tuple[str, ...]:
        """The dotted names to look up in the system."""
        return (self.apply, *super().names(), *((self.project,) if self.project else ()))


class Kmeng(ExternalEditor):
    """Calls such a function: kmeng01's rome and memit, PMET, UME, ENCORE, AlphaEdit and similar ones.

    A function that takes `cache_c` (AlphaEdit, NSE) gets zeros at first, and then what it last returned; what
    else it returns and takes back (LyapLock), the setting `carry` says. A function that takes `P` gets the
    projections onto the null space of the keys.
    """

    head = EditorHead(
        "kmeng",
        "any apply_*_to_model(model, tok, requests, hparams) function (rome, memit, PMET, AlphaEdit, ...)",
        family="external",
    )
    Settings = KmengSettings
    settings: KmengSettings

    def entry(self) -> tuple[str, Callable[..., Any]]:
        """The function, or the method of a new executor."""
        name = self.settings.apply
        found = self.system.find(name)
        if inspect.isclass(found) and hasattr(found, METHOD):
            found = self.system.find(f"{name}.{METHOD}")
        elif not callable(found):
            found = getattr(found, METHOD, None)
        if not callable(found) or inspect.isclass(found):
            raise EditorError(
                f"{name} is no function (model, tok, requests, hparams, ...), nor has it a method {METHOD}"
            )
        if self.settings.project is not None:
            self._project = self.system.find(self.settings.project)
        self._carry = self.settings.carry if isinstance(self.settings.carry, Carry) else None
        self._calls = 0
        if takes(found, CACHE, name) and self._carry is None:
            self._carry = Carry(element=1, argument=CACHE)
        self.carried = self._carry.begin(()) if self._carry is not None else {}
        if self._carry is not None and self._carry.count is not None:
            self.carried[self._carry.count] = 0
        self.held = {"P": None} if takes(found, "P", name) else {}
        return name, found

    def prepare(self, model: nn.Module, tokenizer: Tokenizer, store: Store) -> None:
        """Compute the arguments that the function needs besides requests."""
        from stability.editors.adapters.steps.null_space import empty_cache, projections, projections_by

        super().prepare(model, tokenizer, store)
        layers = list(getattr(self.hparams, "layers", ()))
        self._calls = 0
        if self._carry is not None:
            self.carried = self._carry.begin(layers)
            if self._carries_cache:
                self.carried = {CACHE: empty_cache(model, layers)}
            self._count()
        if "P" in self.held and self.settings.project is not None:
            with self.running(f"project: {self.settings.project}"):
                self.held["P"] = projections_by(self._project, model, self._tokenizer, layers, self.hparams)
        elif "P" in self.held:
            threshold = getattr(self.hparams, "nullspace_threshold", THRESHOLD)
            covariance = self.settings.covariance or CovarianceSettings()
            self.held["P"] = projections(model, tokenizer, layers, threshold, covariance, store)

    def requests(self, edits: Sequence[Edit]) -> Sequence[list[dict[str, Any]]]:
        """All edits in one call."""
        return [[nested(edit) for edit in edits]]

    def padding_side(self) -> str:
        """From the settings."""
        return self.settings.padding_side

    def keep(self, returned: Any, model: nn.Module) -> None:
        """Keep what the next call gets; at the first call, say what is returned and nobody keeps."""
        self._calls += 1
        if self._carries_cache and not (isinstance(returned, tuple) and len(returned) > 1):
            raise EditorError(f"{self.called} takes {CACHE}, but did not return (model, {CACHE})")
        if self._carry is not None:
            self.carried = self._carry.take(returned, self.called)
            self._count()
        if self._calls > 1 or self.settings.carry == "nothing":
            return
        elements = () if self._carry is None else (self._carry.element,)
        if left := left_behind(returned, elements, dict(model.named_parameters())):
            log.warning(
                "%s: %s returns more than the model, and nothing takes it to the next call: %s; if that is "
                "its state, set `carry`, else `carry: nothing`",
                self.name,
                self.called,
                "; ".join(left),
            )

    def state(self) -> dict[str, Any]:
        """What is carried from call to call, and the system's module globals that changed."""
        state = super().state()
        if self._carries_cache:
            state[CACHE] = self.carried[CACHE]
        elif self._carry is not None:
            state[CARRIED] = {name: as_state(value, name) for name, value in self.carried.items()}
            state[CALLS] = self._calls
        return state

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from a state; P is computed again from the unedited model."""
        rest = dict(state)
        if self._carries_cache:
            self.carried = {CACHE: rest.pop(CACHE)}
        elif self._carry is not None:
            self.carried = {name: from_state(value) for name, value in rest.pop(CARRIED).items()}
            self._calls = rest.pop(CALLS)
        super().load_state(rest)

    @property
    def _carries_cache(self) -> bool:
        """Whether `cache_c` is carried as AlphaEdit's is, from zeros on."""
        return self._carry is not None and self._carry is not self.settings.carry

    def _count(self) -> None:
        if self._carry is not None and self._carry.count is not None:
            self.carried[self._carry.count] = self._calls
