"""Functions of the form `apply_*_to_model(model, tok, requests, hparams, ...)`, as in the code of ROME."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from stability.data.edits import Edit
from stability.editors.adapters.steps.calling import takes
from stability.editors.adapters.steps.external import ExternalEditor, ExternalSettings
from stability.editors.adapters.steps.requests import nested
from stability.editors.locate.steps.settings import CovarianceSettings
from stability.errors import EditorError
from stability.parts import EditorHead

if TYPE_CHECKING:
    from torch import nn

    from stability.models import Tokenizer
    from stability.store import Store

METHOD = "apply_to_model"  # of an executor, as MEND's and KE's
THRESHOLD = 0.02  # AlphaEdit's published nullspace_threshold


class KmengSettings(ExternalSettings):
    """Settings of the adapter."""

    apply: str  # the function's dotted name, or that of a class with a method apply_to_model
    tuples: bool = True
    padding_side: Literal["left", "right"] = "right"  # these systems count target tokens from the left
    project: str | None = (
        None  # AlphaEdit: the system's own get_project; else P is computed from `covariance`
    )
    covariance: CovarianceSettings | None = None  # of AlphaEdit's P; the defaults if not given

    def names(self) -> tuple[str, ...]:
        """The dotted names to look up in the system."""
        return (self.apply, *super().names(), *((self.project,) if self.project else ()))


class Kmeng(ExternalEditor):
    """Calls such a function: kmeng01's rome and memit, PMET, UME, ENCORE, AlphaEdit and similar ones.

    A function that takes `cache_c` (AlphaEdit, NSE) gets zeros at first, and then what it last returned. A
    function that takes `P` gets the projections onto the null space of the keys.
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
        self.held = {argument: None for argument in ("cache_c", "P") if takes(found, argument, name)}
        return name, found

    def prepare(self, model: nn.Module, tokenizer: Tokenizer, store: Store) -> None:
        """Compute the arguments that the function needs besides requests."""
        from stability.editors.adapters.steps.null_space import empty_cache, projections, projections_by

        super().prepare(model, tokenizer, store)
        if not self.held:
            return
        layers = list(self.hparams.layers)
        if "cache_c" in self.held:
            self.held["cache_c"] = empty_cache(model, layers)
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

    def keep(self, returned: Any) -> None:
        """Keep the `cache_c` that is returned with the model."""
        if "cache_c" in self.held:
            if not isinstance(returned, tuple) or len(returned) != 2:
                raise EditorError(f"{self.called} takes cache_c, but did not return (model, cache_c)")
            self.held["cache_c"] = returned[1]

    def state(self) -> dict[str, Any]:
        """`cache_c`, and the system's module globals that changed."""
        cache = {"cache_c": self.held["cache_c"]} if "cache_c" in self.held else {}
        return super().state() | cache

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from a state; P is computed again from the unedited model."""
        rest = dict(state)
        if "cache_c" in self.held:
            self.held["cache_c"] = rest.pop("cache_c")
        super().load_state(rest)
