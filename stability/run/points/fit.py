"""Whether a record can be gone on with: what it was made of has to be what would be measured now."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stability.data.edits import Edit
from stability.editors import LoadedEditor
from stability.errors import UsageError
from stability.record import EditorInfo, Record, Run
from stability.record.schema import ModelInfo
from stability.run.points.folder import GOES_ON
from stability.suite import SuiteFile

WAY_ON = "give what it began with, write into another folder, or begin anew: --overwrite in place of --resume"
LONGEST = 60  # characters of a value in a message
SHOWN = 12  # characters of a fingerprint


def stream_fingerprint(edits: Sequence[Edit]) -> str:
    """SHA-256 of edits in their order."""
    return hashlib.sha256(json.dumps([asdict(edit) for edit in edits]).encode()).hexdigest()


def run_of(record: Record, editor: EditorInfo, seed: int) -> Run | None:
    """The record's run of an editor at a seed."""
    return next((run for run in record.runs if (run.editor.name, run.seed) == (editor.name, seed)), None)


def is_left(record: Record, run: Run) -> bool:
    """Whether a run of a record is to be gone on with: what has ended it need not end it again."""
    if run.error is not None:
        return run.error.kind in GOES_ON
    return run.status == "truncated" and record.is_unfinished


def is_anything_left(record: Record, editors: Sequence[LoadedEditor], seeds: Sequence[int]) -> bool:
    """Whether there are edits to be made until all these editors' runs have ended."""
    runs = [run_of(record, editor.info, seed) for editor in editors for seed in seeds]
    return record.under_way or any(run is None or is_left(record, run) for run in runs)


def versions_of(record: Record) -> dict[str, str]:
    """The versions of the harness, and of the packages that compute."""
    return {"stability-harness": record.harness_version, **record.versions}


def refuse_other_suite(
    place: Path | None, record: Record, suite: SuiteFile, versions: Mapping[str, str]
) -> None:
    """Refuse a record of which other things were measured, of other files, or by other versions.

    Checks and their bounds may be others, as long as they need the same measurements.

    Raises:
        UsageError: it says what differs, with both values.
    """
    for name, was, is_now in _differences(record.measured, suite.measured):
        _refuse(place, name, was, is_now)
    if record.inputs_fingerprint != suite.inputs_fingerprint:
        _refuse(place, "the content of the files that the suite names", "one", "another", quoted=False)
    for name, was in versions_of(record).items():
        if was != versions.get(name, was):
            _refuse(place, f"the version of {name}", was, versions[name])


def refuse_other_editors(place: Path | None, record: Record, editors: Sequence[EditorInfo]) -> None:
    """Refuse a record with runs of editors that are not there now, or are others.

    Raises:
        UsageError: it says what differs, with both values.
    """
    now = {editor.name: editor for editor in editors}
    for run in record.runs:
        was, name = run.editor, run.editor.name
        if name not in now:
            _refuse(place, "the editor", name, ", ".join(now))
        for key, before, after in _differences(was.settings, now[name].settings):
            _refuse(place, f"{name}'s setting {key}", before, after)
        for key in ("source", "version"):
            if getattr(was, key) != getattr(now[name], key):
                _refuse(place, f"{name}'s {key}", getattr(was, key), getattr(now[name], key))
        if was.fingerprint != now[name].fingerprint:
            _refuse(place, f"the code of {name}", was.fingerprint[:SHOWN], now[name].fingerprint[:SHOWN])


def refuse_other_material(
    place: Path | None, record: Record, model: ModelInfo, text: str, streams: Mapping[int, Sequence[Edit]]
) -> None:
    """Refuse a record of another model, tokenizer or text, or of other edits.

    Raises:
        UsageError: it says what differs, with both values.
    """
    for what, was, is_now in (
        ("the model", record.model.fingerprint, model.fingerprint),
        ("the tokenizer", record.model.tokenizer_fingerprint, model.tokenizer_fingerprint),
        ("the text", record.text_fingerprint, text),
    ):
        if was != is_now:
            _refuse(place, f"the fingerprint of {what}", was[:SHOWN], is_now[:SHOWN])
    for run in record.runs:
        for number, (made, edit) in enumerate(
            zip(run.edits, streams.get(run.seed, ()), strict=False), start=1
        ):
            before, after = (
                " · ".join((one.id, one.prompt, one.subject, one.target)) for one in (made, edit)
            )
            if before != after:
                _refuse(place, f"edit {number} at seed {run.seed}", before, after)


def _differences(
    old: Mapping[str, Any], new: Mapping[str, Any], *parents: str
) -> Iterator[tuple[str, Any, Any]]:
    for key in {**old, **new}:
        was, is_now = old.get(key), new.get(key)
        if isinstance(was, Mapping) and isinstance(is_now, Mapping):
            yield from _differences(was, is_now, *parents, key)
        elif was != is_now:
            yield ".".join([*parents, key]), was, is_now


def _refuse(place: Path | None, what: str, was: object, is_now: object, *, quoted: bool = True) -> None:
    """Say what differs."""
    before, after = (_shown(value) if quoted else str(value) for value in (was, is_now))
    where = "this run" if place is None else place
    raise UsageError(f"cannot go on with {where}: {what} was {before}, and is {after} now; {WAY_ON}")


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
