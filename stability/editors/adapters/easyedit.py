"""EasyEdit's algorithm table: `ALG_DICT[name](model, tok, requests, hparams, ...)`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from stability.data.edits import Edit
from stability.editors.adapters.steps.external import ExternalEditor, ExternalSettings
from stability.editors.adapters.steps.requests import flat
from stability.errors import EditorError, SettingsError
from stability.parts import EditorHead

# EasyEdit's own editor (editors/editor.py) pads for these on the right, for all others on the left.
PADDED_RIGHT = ("ROME", "MEMIT", "EMMET", "EAMET", "R-ROME", "AlphaEdit", "CORE", "SPHERE")


class EasyEditSettings(ExternalSettings):
    """Settings of the adapter."""

    algorithm: str
    table: str = "easyeditor.util.alg_dict:ALG_DICT"
    tuples: bool = False  # EasyEdit keeps up with transformers
    padding_side: Literal["left", "right"] | None = None  # as EasyEdit's own editor pads

    def names(self) -> tuple[str, ...]:
        """The dotted names to look up in the system."""
        return (self.table, *super().names())


class EasyEdit(ExternalEditor):
    """Calls an algorithm of EasyEdit's table as EasyEdit's editor does, without its evaluation.

    A call gets `batch_size` requests if the hyperparameters have one, else a single request, because an
    algorithm without a batch size reads the first request only.
    """

    head = EditorHead(
        "easyedit",
        "any algorithm of EasyEdit's table ALG_DICT (ROME, MEMIT, FT, MEND, GRACE, LoRA, ...)",
        family="external",
        adds_modules=lambda _settings: None,
    )
    Settings = EasyEditSettings
    settings: EasyEditSettings

    def entry(self) -> tuple[str, Callable[..., Any]]:
        """The table's function of that name."""
        table, algorithm = self.settings.table, self.settings.algorithm
        functions = self.system.find(table)
        if not isinstance(functions, Mapping):
            raise EditorError(f"{table} is a {type(functions).__name__}, not a table of algorithms")
        if algorithm not in functions:
            known = sorted(map(str, functions))
            near = difflib.get_close_matches(algorithm, known, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            raise SettingsError(f"{table} has no algorithm {algorithm!r}{hint} (it has {', '.join(known)})")
        return f"{table.rpartition(':')[2]}[{algorithm!r}]", functions[algorithm]

    def requests(self, edits: Sequence[Edit]) -> Sequence[list[dict[str, Any]]]:
        """The edits, `batch_size` per call."""
        size = int(getattr(self.hparams, "batch_size", None) or 1)
        return [[flat(edit) for edit in edits[first : first + size]] for first in range(0, len(edits), size)]

    def padding_side(self) -> str:
        """From the settings; by default EasyEdit's own choice for this algorithm."""
        side = "right" if self.settings.algorithm in PADDED_RIGHT else "left"
        return self.settings.padding_side or side
