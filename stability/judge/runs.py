"""Summaries of the runs and notes on them, shown with the verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from stability.judge.inputs import RecordedRun
from stability.judge.select import layer_of, place
from stability.judge.summarise import as_error
from stability.judge.verdict import Bracket, RunSummary, Verdict
from stability.judge.words import NOT_VERIFIED, truncated
from stability.record import Record
from stability.suite import SuiteSpec

REMOTE_CODE = "code from the model's repository was run (trust_remote_code)"
NAMED = 4  # tensors that a note names


def stopped_early(verdicts: Sequence[Verdict], runs: Sequence[RunSummary]) -> list[Verdict]:
    """A run that was stopped at its first failure, but in which no check fails, gets an error.

    This happens when a record is judged by another suite than the one that stopped it: the checks might have
    failed later.
    """
    short = [run for run in runs if run.status == "truncated"]
    if not short or any(verdict.status == "fail" for verdict in verdicts):
        return list(verdicts)
    problem = truncated(short[0].edits)
    return [
        as_error(verdict, problem) if verdict.status in ("pass", "warn", "inconclusive") else verdict
        for verdict in verdicts
    ]


def without_bracket(verdict: Verdict) -> Verdict:
    """The verdict without its bracket, for a checkpoint whose number of edits is unknown."""
    return replace(verdict, bracket=Bracket(), worst=replace(verdict.worst, checkpoint=None))


def summary_of(recorded: RecordedRun) -> RunSummary:
    """The summary of a run."""
    run = recorded.run
    edits = len(run.edits) or max((checkpoint.edits for checkpoint in run.checkpoints), default=0)
    keys = [matrix.d_in for matrix in recorded.model.edited_matrices]
    known = bool(run.edits) or not run.is_gated
    return RunSummary(
        seed=run.seed,
        status=run.status,
        edits=edits,
        seconds=sum(run.timing.values()),
        edits_per_key_dimension=edits / min(keys) if keys and known else None,
        error=str(run.error or ""),
        edits_known=known,
    )


def notes_of(
    label: str, suite: SuiteSpec, runs: Sequence[RecordedRun], summaries: Sequence[RunSummary]
) -> tuple[str, ...]:
    """Notes for the reader on an editor's runs."""
    is_gated = runs[0].run.is_gated
    first = gate_notes(runs[0]) if is_gated else shortfalls(suite, runs[0].record, summaries)
    info = runs[0].model.info
    ran = (REMOTE_CODE,) if info.remote_code else ()
    read = (f"the weights were read from {info.gguf} and dequantised",) if info.gguf else ()
    return (*first, *ran, *read, *compared_with(label, suite, runs))


def shortfalls(suite: SuiteSpec, record: Record, runs: Sequence[RunSummary]) -> list[str]:
    """What the suite asks for and the record lacks, as after a command line with less."""
    notes = []
    recorded = {run.editor.name for run in record.runs}
    absent = [editor.called for editor in suite.editors if editor.called not in recorded]
    if absent and len(absent) < len(suite.editors) and not record.replaced.editors:
        notes.append(f"the suite asks for {', '.join(absent)} too, which this record does not have")
    for asked, before in (
        (suite.model.name, _inside(record.measured, "model", "name")),
        (suite.run.edits.source, _inside(record.measured, "run", "edits", "source")),
    ):
        if before not in (None, asked):
            notes.append(f"the suite asks for {asked}, this record was run with {before}")
    missing = sorted(set(suite.run.seeds) - {run.seed for run in runs})
    if missing:
        seeds = ", ".join(str(seed) for seed in missing)
        notes.append(f"the suite asks for seed {seeds} too, which this record does not have")
    fewest = min(run.edits for run in runs)
    if fewest < suite.run.edits.count and all(run.status == "complete" for run in runs):
        notes.append(f"the suite asks for {suite.run.edits.count} edits, this record has {fewest}")
    return notes


def _inside(value: object, *path: str) -> object:
    """What lies at a path in mappings; None if nothing does, as in a record that anybody wrote."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def compared_with(label: str, suite: SuiteSpec, runs: Sequence[RecordedRun]) -> list[str]:
    """Which version the baseline is of; in particular, whether it is this same version."""
    asked = any(check.relative_to == "previous" for check in suite.checks_of(label).values())
    earlier = runs[0].baseline.record if runs[0].baseline else None
    if not asked or earlier is None or not earlier.runs:
        return []
    before, now = earlier.runs[0].editor, runs[0].run.editor
    of = f"baseline of {earlier.started[:10]}" if earlier.started else "baseline"
    if before.fingerprint and before.fingerprint == now.fingerprint:
        return [f"the {of} is of this same version: code and settings are equal"]
    settings = sorted(
        key
        for key in before.settings.keys() | now.settings.keys()
        if before.settings.get(key) != now.settings.get(key)
    )
    changed = f"; other settings: {', '.join(settings)}" if settings else ""
    return [
        f"compared with the {of}, version {before.version or before.fingerprint[:12] or 'unknown'}{changed}"
    ]


def gate_notes(recorded: RecordedRun) -> list[str]:
    """Which tensors of a gated checkpoint differ, in which layers, and whether its edits were verified."""
    model, changed = recorded.model, sorted(recorded.run.edited)
    layers = sorted({layer for name in changed if (layer := layer_of(name, model)) is not None})
    named = ", ".join(place("parameter", name, model) for name in changed[:NAMED])
    more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
    where = f", in {'layer' if len(layers) == 1 else 'layers'} {ranges(layers)}" if layers else ""
    tensors = f"{len(changed)} {'tensor differs' if len(changed) == 1 else 'tensors differ'}"
    notes = [f"{tensors}{where}: {named}{more}" if changed else "no tensor differs"]
    settings = recorded.run.editor.settings
    if settings.get("adapter"):
        notes.append(f"read as {settings['over']} with the adapter in {settings['adapter']} merged")
    if settings.get("unread"):
        notes.append(f"not read, as transformers does not: {', '.join(settings['unread'])}")
    return notes if recorded.run.edits else [*notes, NOT_VERIFIED]


def ranges(numbers: Sequence[int]) -> str:
    """`3, 13-17` for sorted numbers."""
    words: list[str] = []
    first = None
    for number, following in zip(numbers, [*numbers[1:], None], strict=True):
        first = number if first is None else first
        if following != number + 1:
            words.append(str(number) if first == number else f"{first}-{number}")
            first = None
    return ", ".join(words)
