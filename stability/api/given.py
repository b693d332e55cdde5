"""What a run is given beside its suite: an editor and a model, by name or as objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stability.errors import ModelError, UsageError
from stability.record import Record, Replaced
from stability.record.schema import Isolation
from stability.suite import SuiteFile
from stability.suite.overrides import Overrides

if TYPE_CHECKING:
    from torch import nn

    from stability.editors import LoadedEditor
    from stability.models import LoadedModel
    from stability.models.tokens import Tokenizer
    from stability.run import Experiment, Listener


@dataclass
class Bench:
    """A model with its unedited state measured, kept between runs of one suite that differ in the editor."""

    experiment: Experiment | None = None


@dataclass(frozen=True)
class Given:
    """Each None if the suite's own value is used; see `Suite.run`."""

    editor: str | Callable[..., Any] | object | None = None
    model: str | nn.Module | None = None
    tokenizer: Tokenizer | None = None
    listener: Listener | None = None
    trust_remote_code: bool = False
    bench: Bench | None = None
    isolation: Isolation = "none"

    def named(self, changes: Overrides) -> Overrides:
        """What is replaced in the suite, with what was given by name."""
        if isinstance(self.model, str):
            changes = replace(changes, model=self.model)
        if isinstance(self.editor, str):
            changes = replace(changes, editors=(self.editor,))
        return changes

    def labels(self, suite: SuiteFile) -> frozenset[str]:
        """What the editors are called in the record; empty if there are none."""
        if self.editor is None or isinstance(self.editor, str):
            return frozenset(entry.called for entry in suite.spec.editors)
        return frozenset(editor.info.name for editor in self.editors(suite))

    def model_name(self, suite: SuiteFile) -> str:
        """What the model is called in the record."""
        if self.model is None or isinstance(self.model, str):
            return suite.spec.model.name
        from stability.models import model_name

        return model_name(self.model)

    def editors(self, suite: SuiteFile) -> Sequence[LoadedEditor]:
        """The editor that was given as an object, or the suite's editors.

        Raises:
            UsageError: the suite names none, or a setting is wrong.
            EditorError: there is none of that name, or importing it failed.
        """
        from stability.editors import wrap_editor

        if self.editor is not None and not isinstance(self.editor, str):
            return [wrap_editor(self.editor)]
        return found_editors(suite, None if isinstance(self.model, str) else self.model)

    def experiment(
        self,
        suite: SuiteFile,
        *,
        path: Path | None,
        command: str,
        replaced: Replaced,
        keep_going: Callable[[Record], bool],
        earlier: Record | None = None,
    ) -> Experiment:
        """The suite on the model, whose unedited state is measured unless the bench holds it.

        An `earlier` record is gone on with.

        Raises:
            UsageError: a model was given as an object, without its tokenizer, or the earlier record is of
                another.
            MeasurementError: the model cannot be loaded or measured.
        """
        from stability.run import Experiment, Silent

        if self.bench is not None and self.bench.experiment is not None:
            experiment = self.bench.experiment.again(path, command, replaced, earlier)
        else:
            experiment = Experiment(
                suite,
                self._loaded(suite),
                path=path,
                command=command,
                replaced=replaced,
                listener=self.listener or Silent(),
                keep_going=keep_going,
                earlier=earlier,
            )
        experiment.isolation = self.isolation
        if self.bench is not None:
            self.bench.experiment = experiment
        return experiment

    def _loaded(self, suite: SuiteFile) -> LoadedModel:
        from stability.models import LoadedModel, load_model, model_name

        if self.model is None or isinstance(self.model, str):
            return load_model(suite.spec.model, trust_remote_code=self.trust_remote_code)
        if self.tokenizer is None:
            raise UsageError(
                "a model that is given as an object needs its tokenizer: run(model=..., tokenizer=...)"
            )
        return LoadedModel(model=self.model, tokenizer=self.tokenizer, name=model_name(self.model))


def found_editors(suite: SuiteFile, model: nn.Module | None = None) -> list[LoadedEditor]:
    """The suite's editors, with their settings for its model, or for one that is given as an object.

    Raises:
        UsageError: the suite names none, or a setting is wrong.
        EditorError: there is none of that name, or importing it failed.
    """
    from stability.editors import find_editor
    from stability.models import map_model, model_depth, model_name

    if not suite.spec.editors:
        raise UsageError("the suite names no editors; give one with --editor, such as --editor rome")
    if model is None:
        name, depth = suite.spec.model.name, model_depth(suite.spec.model)
    else:
        name = model_name(model)
        try:
            depth = map_model(model).n_layers
        except ModelError:  # said in full when the model is measured
            depth = None
    return [
        find_editor(entry.name, entry.settings, name, called=entry.called, depth=depth)
        for entry in suite.spec.editors
    ]
