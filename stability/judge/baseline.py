"""`relative_to: previous`: an editor's earlier record, and whether it was measured on the same things."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stability.judge import words
from stability.judge.inputs import Baseline
from stability.judge.problems import CannotJudge
from stability.record import Checkpoint, EditOutcome, Record, Run

DECIDED_BY_DATA = (  # keys of a suite that need no comparison here, because their effect is in the records
    "clusters",
    "metrics",
    "model",
    "run.checkpoints",
    "run.edits.count",
    "run.edits.path",
    "run.edits.source",
    "run.seeds",
    "run.stop_on",
    "tasks.batch_size",
    "tasks.data",
    "tasks.include_path",
    "tasks_measured",
    "text.path",
    "text.source",
    "text.window",
)
SHOWN = 12  # characters of a fingerprint


def differences(ours: Record, theirs: Record, besides: Sequence[str] = ()) -> list[str]:
    """The reasons why the figures of an earlier record cannot be compared with ours; empty if they can.

    Editors, their versions and their settings are expected to differ and are ignored, and so are the keys of
    the suite that `besides` names. Edits and checkpoints are compared run by run: see `previous_checkpoint`.
    """
    found = []
    if _major(ours.harness_version) != _major(theirs.harness_version):
        found.append(
            f"another major version of the harness ({theirs.harness_version}, now {ours.harness_version})"
        )
    for what, now, before in (
        ("model", ours.model.fingerprint, theirs.model.fingerprint),
        ("tokenizer", ours.model.tokenizer_fingerprint, theirs.model.tokenizer_fingerprint),
        ("text", ours.text_fingerprint, theirs.text_fingerprint),
    ):
        if now != before:
            found.append(f"another {what} ({before[:SHOWN]}, now {now[:SHOWN]})")
    return [*found, *_measured_otherwise(ours, theirs, besides), *_other_documents(ours, theirs)]


def previous_checkpoint(record: Record, run: Run, edits: int, baseline: Baseline | None) -> Checkpoint:
    """The checkpoint of the baseline that this one is compared with: same editor, seed and number of edits.

    Raises:
        CannotJudge: there is no baseline, or it was measured on other things, or it has no such checkpoint.
            The message has the command that fixes it.
    """
    if baseline is None or baseline.record is None:
        missing = baseline or Baseline()
        raise CannotJudge(words.no_baseline(missing.problem, missing.save))
    earlier = baseline.record
    stale = differences(record, earlier)
    if stale:
        why = f"the baseline is stale: {'; '.join(stale)}"
        raise CannotJudge(words.stale_baseline(why, baseline.update))
    if edits == 0:
        return earlier.base
    name, seed = run.editor.name, run.seed
    same = next((old for old in earlier.runs if old.editor.name == name and old.seed == seed), None)
    if same is None:
        problem = f"the baseline has no run of {name} at seed {seed}"
    elif edits_up_to(same, edits) != edits_up_to(run, edits):
        problem = f"the baseline is stale: its run of {name} at seed {seed} made other edits"
    else:
        for checkpoint in same.checkpoints:
            if checkpoint.edits == edits:
                return checkpoint
        problem = f"the baseline's run of {name} at seed {seed} has no checkpoint at {edits} edits"
    raise CannotJudge(words.stale_baseline(problem, baseline.update))


def edits_up_to(run: Run, edits: int) -> list[tuple[str | bool | None, ...]]:
    """The requests of the run's first `edits` edits, to compare two runs by."""
    return [_asked(edit) for edit in run.edits[:edits]]


def _asked(edit: EditOutcome) -> tuple[str | bool | None, ...]:
    spaced = edit.space is not False  # there was always one before the record said so
    return (edit.id, edit.prompt, edit.subject, edit.target, edit.target_true, spaced)


def _major(version: str) -> str:
    return version.split(".")[0]


def _measured_otherwise(ours: Record, theirs: Record, besides: Sequence[str]) -> Iterator[str]:
    """The differences in what the two suites measure."""
    if ours.measured_fingerprint == theirs.measured_fingerprint:
        return
    if ours.measured and theirs.measured:
        yield from suite_differences(ours.measured, theirs.measured, besides)
    else:
        yield "another suite, or another state of it"


def suite_differences(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], besides: Sequence[str] = ()
) -> Iterator[str]:
    """Differences between what two suites measure, other than those that show in their records."""
    decided = (*DECIDED_BY_DATA, *besides)
    now, before = flat(ours), flat(theirs)
    for key in sorted(now.keys() | before.keys()):
        if any(key == part or key.startswith(f"{part}.") for part in decided):
            continue
        if now.get(key) != before.get(key):
            yield f"the suite's {key} was {before.get(key)!r}, now {now.get(key)!r}"


def flat(content: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested mappings as one flat mapping with dotted keys."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{key}.")
        else:
            found[f"{above}{key}"] = value
    return found


def _other_documents(ours: Record, theirs: Record) -> Iterator[str]:
    """Tasks whose documents differ between the records, by their ids and right answers."""
    for metric, reading in ours.base.readings.items():
        earlier = theirs.base.readings.get(metric)
        for task, result in reading.tasks.items():
            before = earlier.tasks.get(task) if earlier else None
            if before is None:
                continue
            if (before.n, before.doc_ids, before.gold) != (result.n, result.doc_ids, result.gold):
                yield f"other documents of task {task} ({before.n}, now {result.n})"
