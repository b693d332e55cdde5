"""The editors that a guard uses: found, prepared on the unedited model, and taken back with it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from stability.editors import LoadedEditor, Store, find_editor, wrap_editor
from stability.errors import UsageError
from stability.guard.accepted import Accepted, Form
from stability.guard.journal import Journal, JournalEntry
from stability.models import LoadedModel, map_model
from stability.run.editing import prepare
from stability.run.saved import copy_state, state_digest
from stability.suite import SuiteSpec


@dataclass
class EditorInUse:
    """An editor in use, and what it remembered after the last batch of its that was kept."""

    editor: LoadedEditor
    given: object
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """Name and fingerprint of code and settings: by them the journal knows its state."""
        return self.editor.info.name, self.editor.info.fingerprint


class EditorsInUse:
    """Each editor once, however often it is asked for; one that the journal knows goes on from its state."""

    def __init__(
        self,
        loaded: LoadedModel,
        suite: SuiteSpec,
        accepted: Accepted,
        journal: Journal,
        store: Store,
        seed: int,
    ) -> None:
        self._loaded = loaded
        self._suite = suite
        self._accepted = accepted
        self._journal = journal
        self._store = store
        self._seed = seed
        self._held: dict[tuple[str, str], EditorInUse] = {}

    def hold(self, editor: object) -> EditorInUse:
        """The editor, prepared on the unedited model if this is the first time.

        Raises:
            UsageError: another one has the same code and settings.
            EditorError: it could not be found, loaded or prepared.
        """
        for known in self._held.values():
            if known.given is editor or (isinstance(editor, str) and known.given == editor):
                return known
        held = EditorInUse(self._found(editor) if isinstance(editor, str) else wrap_editor(editor), editor)
        if held.key in self._held:
            raise UsageError(
                f"Guard: two editors called {held.editor.info.name} have the same code and settings; "
                "give the same object each time"
            )
        self._go_on(held, self._journal.state(*held.key))
        self._held[held.key] = held
        return held

    def maker(self, entry: JournalEntry, editor: object | None) -> EditorInUse:
        """The editor that made an entry; it has to be given if it has not been in use since the start.

        Raises:
            UsageError: it is not known, or another one was given.
        """
        key = (entry.editor, entry.editor_fingerprint)
        if editor is None and key in self._held:
            return self._held[key]
        if editor is None:
            raise UsageError(f"Guard.bisect: give the editor, {entry.editor}, which made the refused batch")
        held = self.hold(editor)
        if held.key != key:
            raise UsageError(f"Guard.bisect: the refused batch was made by {entry.editor}, another editor")
        return held

    def take_back(self, held: EditorInUse) -> None:
        """Let an editor forget what it has come to remember since its last batch that was kept."""
        if state_digest(held.editor.state()) != state_digest(held.state):
            self._go_on(held, held.state)

    def follow_journal(self) -> None:
        """Take every editor to where the journal has it."""
        for held in self._held.values():
            self._go_on(held, self._journal.state(*held.key))

    def _go_on(self, held: EditorInUse, state: Mapping[str, Any]) -> None:
        """Prepare an editor on the unedited model, and let it go on from a state."""
        model = self._loaded.model
        form = Form(model)
        self._accepted.put_base(model)
        try:
            prepare(held.editor, model, deepcopy(self._loaded.tokenizer), self._store, self._seed)
        finally:
            form.restore()
            self._accepted.put_back(model, self._accepted.differing(model))
        if state:
            held.editor.load_state(copy_state(state))
        held.state = copy_state(held.editor.state())

    def _found(self, name: str) -> LoadedEditor:
        """The suite's own entry for an editor of that name, with its settings; else the bare name."""
        depth = map_model(self._loaded.model).n_layers
        for entry in self._suite.editors:
            if name in (entry.called, entry.name):
                return find_editor(
                    entry.name, entry.settings, self._loaded.name, called=entry.called, depth=depth
                )
        return find_editor(name, {}, self._loaded.name, depth=depth)
