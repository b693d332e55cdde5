"""Edited models that a run has kept, loaded again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stability.api.given import found_editors
from stability.api.suite import Suite
from stability.errors import ModelError, UsageError
from stability.files import POINTS_FOLDER, RECORD_FILE
from stability.record import Record, Run, read_record
from stability.report.explain.rerun import overrides

if TYPE_CHECKING:
    from stability.models import LoadedModel


def load_kept(
    folder: str | Path, *, editor: str | None = None, seed: int | None = None, edits: int | None = None
) -> LoadedModel:
    """The edited model that a run in a folder has kept, with its tokenizer: see `run.keep` in a suite.

    `editor` and `seed` say of which run, where the record has several; `edits` after how many, by default the
    last that were kept. Every bit of it is what it was.

    Raises:
        UsageError: no such model was kept, or several were and it is not said which.
        RecordError: the record or the file with the model is missing or damaged.
        ModelError: the unedited model is another than it was, or the edited one cannot be put together again.
    """
    from stability.models import LoadedModel, load_model, model_fingerprint
    from stability.run.editing import prepare
    from stability.run.points.folder import Points
    from stability.run.points.point import read_point
    from stability.run.points.restoring import Unedited, restored
    from stability.store import Store

    folder = Path(folder)
    record = read_record(folder / RECORD_FILE)
    suite = Suite.of(record).override(overrides(record.replaced)).file
    run = _chosen(record, folder, editor, seed)
    points = Points(folder / POINTS_FOLDER, run.editor, run.seed, suite.spec.run)
    kept = points.up_to(len(run.edits) if edits is None else edits)
    if not kept or (edits is not None and kept[0] != points.path(edits)):
        after = "" if edits is None else f" after {edits} edits"
        raise UsageError(
            f"{folder}: {run.editor.name} at seed {run.seed} has kept no model{after}; "
            "write `keep: final` or `keep: all` below `run` in the suite"
        )
    point = read_point(kept[0])
    loaded = load_model(suite.spec.model, trust_remote_code=record.model.remote_code)
    if model_fingerprint(loaded.model) != point.header.model_fingerprint:
        raise ModelError(
            f"{kept[0]}: was made of another model than {suite.spec.model.name} is now; its fingerprint was "
            f"{point.header.model_fingerprint[:12]}"
        )
    unedited = Unedited.of(loaded.model)
    maker = None
    if point.header.structure:  # more than values of tensors, which only the editor can make again
        maker = next((one for one in found_editors(suite) if one.info.name == run.editor.name), None)
    if maker is not None:
        prepare(maker, loaded.model, loaded.tokenizer, Store(), run.seed)
    edited = restored(unedited, loaded.model, maker, point)
    return LoadedModel(edited, loaded.tokenizer, loaded.name)


def _chosen(record: Record, folder: Path, editor: str | None, seed: int | None) -> Run:
    """The one run that is meant; `UsageError` if it is not said which, or there is none."""
    found = [run for run in record.runs if editor in (None, run.editor.name) and seed in (None, run.seed)]
    if len(found) != 1:
        known = ", ".join(f"{run.editor.name} at seed {run.seed}" for run in record.runs) or "none"
        raise UsageError(f"{folder}: name one run by `editor` and `seed`; it has {known}")
    return found[0]
