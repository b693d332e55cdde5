"""Making the case of an editor from what its author gives: the options of `check_editor`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stability.errors import UsageError
from stability.suite import ModelSpec
from stability.world import MODEL as WORLD

if TYPE_CHECKING:
    from torch import nn

    from stability.data.edits import Edit
    from stability.editors import LoadedEditor, Store
    from stability.models import LoadedModel
    from stability.models.tokens import Tokenizer
    from stability.testing.case import Case


@dataclass(frozen=True, kw_only=True)
class CaseOptions:
    """What an editor is checked on.

    `model` is a name (`world` if none is given), a folder, or a loaded model, which needs its `tokenizer` and
    is left as it is: editors get copies. `settings` are the editor's, over its preset for the model. `edits`
    are seven at least, which the model can be asked about. `may_change` are patterns of names of parameters
    that the editor may change, `adds_modules` says that it leaves modules of its own in the model, `share` is
    how many edits must make their target more probable than the true one.
    """

    model: str | ModelSpec | nn.Module | None = None
    tokenizer: Tokenizer | None = None
    settings: Mapping[str, Any] | None = None
    edits: Sequence[Edit] | None = None
    may_change: Iterable[str] = ()
    adds_modules: bool = False
    share: float = 0.6
    seed: int = 0
    store: Store | None = None


def make_case(editor: str | Callable[..., Any] | object, options: CaseOptions) -> Case:
    """What the checks of an editor are made on.

    Raises:
        UsageError: a model is given without its tokenizer.
        StabilityError: the editor, a setting or the model is not there.
    """
    from stability.editors import LoadedEditor, Store, find_editor, wrap_editor
    from stability.testing.case import ORDINARY, OTHER, Case
    from stability.testing.edits import default_edits

    loaded = _loaded(options)

    def remake(more: Mapping[str, Any]) -> LoadedEditor:
        settings = {**(options.settings or {}), **more}
        if isinstance(editor, str):
            return find_editor(editor, settings, loaded.name)
        return wrap_editor(editor, settings)

    edits = options.edits
    if edits is None:
        edits = default_edits(loaded.name, ORDINARY + OTHER, options.seed)
    return Case(
        editor=remake({}),
        loaded=loaded,
        edits=tuple(edits),
        store=options.store or Store(),
        seed=options.seed,
        share=options.share,
        may_change=tuple(options.may_change),
        adds_modules=options.adds_modules,
        remake=None if isinstance(editor, LoadedEditor) else remake,
    )


def _loaded(options: CaseOptions) -> LoadedModel:
    from stability.models import LoadedModel, load_model

    model, tokenizer = options.model, options.tokenizer
    if model is None or isinstance(model, (str, ModelSpec)):
        return load_model(model if isinstance(model, ModelSpec) else ModelSpec(name=model or "world"))
    if tokenizer is None:
        raise UsageError("a model that is given as an object needs its tokenizer: tokenizer=...")
    origin = str(getattr(model, "name_or_path", "") or type(model).__name__)
    return LoadedModel(model, tokenizer, "world" if origin == str(WORLD) else origin)
