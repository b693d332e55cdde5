"""The case that checks work on: an editor, a model of its own, edits, and runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from stability.data.edits import Edit
from stability.editors import LoadedEditor, Store
from stability.errors import EditorError
from stability.models import LoadedModel
from stability.testing.session import EditorRun, Session, run_edits

ORDINARY = 5  # edits of the first run
AGAIN = 3  # of them, in the runs that are compared with it
OTHER = 2  # edits of another run in between


@dataclass
class Case:
    """An editor and a model to check it on. The model itself is never edited: every run gets a copy.

    `remake` makes the editor with further settings, and is None where that cannot be done. `may_change` are
    patterns of parameter names, and `adds_modules` says that the editor may leave modules of its own in the
    model.
    """

    editor: LoadedEditor
    loaded: LoadedModel
    edits: tuple[Edit, ...]
    store: Store
    seed: int = 0
    share: float = 0.6
    may_change: tuple[str, ...] = ()
    adds_modules: bool = False
    remake: Callable[[Mapping[str, Any]], LoadedEditor] | None = None

    def __post_init__(self) -> None:
        if len(self.edits) < ORDINARY + OTHER:
            raise EditorError(
                f"the checks need {ORDINARY + OTHER} edits that the model can be asked about, "
                f"got {len(self.edits)}"
            )

    @property
    def ordinary(self) -> tuple[Edit, ...]:
        """The edits of the first run."""
        return self.edits[:ORDINARY]

    @property
    def other(self) -> tuple[Edit, ...]:
        """Edits of another run."""
        return self.edits[ORDINARY : ORDINARY + OTHER]

    def session(self) -> Session:
        """A new run on a copy of the model; the very first run has always been made before."""
        _ = self.first
        return self._session()

    def run(self, *batches: Sequence[Edit], watched: bool = False, as_tuple: bool = False) -> EditorRun:
        """A new run, batch by batch, until its end or an error; the first run has been made before."""
        _ = self.first
        return run_edits(self._session(watched), batches, as_tuple)

    def on(self, loaded: LoadedModel) -> Case:
        """The same editor on another model; its first run counts as made."""
        other = replace(self, loaded=loaded)
        other.__dict__["first"] = self.first
        return other

    @cached_property
    def first(self) -> EditorRun:
        """The first run that this editor makes here, edit by edit."""
        return run_edits(self._session(watched=True), [(edit,) for edit in self.ordinary], as_tuple=False)

    @cached_property
    def between(self) -> EditorRun:
        """A run of other edits, right after the first."""
        return self.run(*[(edit,) for edit in self.other], watched=True)

    @cached_property
    def again(self) -> tuple[EditorRun, EditorRun]:
        """The first edits of the first run, twice more, after a run of others."""
        _ = self.between
        batches = [(edit,) for edit in self.ordinary[:AGAIN]]
        return self.run(*batches), self.run(*batches)

    def _session(self, watched: bool = False) -> Session:
        return Session(self.editor, self.loaded, self.store, self.seed, watched)
