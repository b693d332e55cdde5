"""Two checkpoints on disk, measured: a record like any other comes of it, with one run of one checkpoint."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from stability.data.edits import Edit, read_edits
from stability.gate.examined import Examined
from stability.gate.files.layout import Layout
from stability.gate.files.tokenizers import files_fingerprint
from stability.gate.levels import Level, not_asked
from stability.gate.on_disk import DiskComparison, compare_on_disk
from stability.metrics import heads_of, refuse_unjudgeable
from stability.parts import MetricHead
from stability.record import (
    Checkpoint,
    EditorInfo,
    GateCall,
    ModelInfo,
    Problem,
    Reading,
    Record,
    Replaced,
    Run,
)
from stability.run.costs import measuring_costs
from stability.run.listener import Listener, Silent
from stability.suite import SuiteFile
from stability.suite.overrides import Overrides

PACKAGES = ("numpy", "torch", "transformers")
SUITE = "gate.stability.yaml"
ONCE = 1  # edits that stand for an unknown number


def default_suite() -> Path:
    """The suite of a gate for which none is named: bounds that hold for any model."""
    installed = Path(__file__).parent / SUITE
    return installed if installed.is_file() else Path(__file__).parents[2] / "suites" / SUITE


def gate(
    base: str,
    edited: str,
    suite: SuiteFile,
    listener: Listener | None = None,
    *,
    level: Level = Level.weights,
    edits: Path | None = None,
    changes: Overrides | None = None,
    keep: Callable[[Record], None] | None = None,
) -> Record:
    """Measure what an edited checkpoint is against the one that it was made from.

    The weights are compared on disk, in bounded memory. A level above `weights` loads the models, one after
    the other; `edits`, a file of the edits that were made, loads the edited one in any case. Of several edits
    of one prompt and subject the last is asked for. `changes` are what was replaced in the suite. If this is
    interrupted once the files were compared, `keep` is given the record of what they say.

    Raises:
        MeasurementError: a folder or file is missing, cut short, a pickle, or of an unknown architecture.
    """
    started, at = time.perf_counter(), datetime.now(UTC)
    refuse_unjudgeable(suite)
    heads = heads_of(suite.spec)
    listener, changes = listener or Silent(), changes or Overrides()
    call = GateCall(
        base=base,
        edited=edited,
        level=level,
        edits=None if edits is None else str(edits),
        suite=None if suite.path in (None, default_suite()) else str(suite.path),
    )
    asked = tuple({edit.filled: edit for edit in read_edits(edits)}.values()) if edits else ()
    disk = compare_on_disk(base, edited, listener)

    def record(examined: Examined, cut_off: Problem | None = None) -> Record:
        reasons = not_asked(level, heads, with_edits=bool(asked))
        if not asked:
            reasons |= _without(examined.edited.skipped, reasons)
        number = len(asked) or ONCE
        checkpoint = _edited_checkpoint(disk, examined, reasons, heads, number, started, cut_off)
        settings = {
            **call.model_dump(include={"base", "edited", "level", "edits"}),
            **disk.reading(),
            "differences": disk.differences(),
        }
        run = Run(
            editor=EditorInfo(name=disk.edited.folder.name, source="checkpoint", settings=settings),
            seed=0,
            edits=examined.outcomes,
            checkpoints=(checkpoint,),
            timing={"compare": disk.seconds, "measure": time.perf_counter() - started - disk.seconds},
        )
        return Record(
            harness_version=metadata.version("stability-harness"),
            suite_name=suite.spec.name,
            suite_text=suite.text,
            suite_path=None if suite.path is None else str(suite.path),
            measured_fingerprint=suite.measured_fingerprint,
            command=shlex.join(["stability", "gate", *call.arguments(), *changes.arguments()]),
            replaced=Replaced(**asdict(changes)),
            gate=call,
            model=_described(disk.base, examined.model),
            edits_source="" if edits is None else str(edits),
            text_fingerprint=examined.text_fingerprint,
            text_tokens=examined.text_tokens,
            base=examined.base.model_copy(update={"readings": _merged(disk.base_readings, examined.base)}),
            runs=(run,),
            under_way=cut_off is not None,
            not_asked=reasons,
            versions={name: metadata.version(name) for name in PACKAGES},
            started=at.isoformat(timespec="seconds"),
        )

    try:
        return record(_examined(disk, suite, level, asked, listener))
    except KeyboardInterrupt:
        if keep is not None:
            keep(record(Examined(), Problem(kind="interrupted", message="interrupted")))
        raise


def _examined(
    disk: DiskComparison, suite: SuiteFile, level: Level, edits: Sequence[Edit], listener: Listener
) -> Examined:
    """What the models give: nothing, if none is to be loaded, or the edited one's weights are no numbers."""
    if disk.nonfinite or (level is Level.weights and not edits):
        return Examined()
    from stability.gate.models import ask_edits, examine

    before, now = (str(layout.folder.source.resolve()) for layout in (disk.base, disk.edited))
    if level is Level.weights:
        return ask_edits(before, now, suite.spec, edits, listener)
    return examine(before, now, suite.spec, level, edits, listener)


def _edited_checkpoint(
    disk: DiskComparison,
    examined: Examined,
    reasons: Container[str],
    heads: Mapping[str, MetricHead],
    edits: int,
    started: float,
    cut_off: Problem | None,
) -> Checkpoint:
    """The edited checkpoint by its files and by its model; `reasons` has the metrics that were not asked.

    What was to be asked of models has the error that cut it off, if one did.
    """
    streamed = disk.edited_readings
    wanted = [name for name, head in heads.items() if name not in streamed and head.measured != "clock"]
    message = f"not scored: {disk.nonfinite} weights are not finite"
    broken = Problem(kind="not_finite", message=message, count=disk.nonfinite) if disk.nonfinite else cut_off
    unscored = {} if broken is None else dict.fromkeys(wanted, broken)
    return Checkpoint(
        edits=edits,
        changed=disk.weights.changed,
        readings=_merged(streamed, examined.edited),
        errors=_without(examined.edited.errors, streamed) | _without(unscored, reasons),
        skipped=_without(examined.edited.skipped, reasons),
        costs=measuring_costs(started),
    )


def _merged(streamed: dict[str, Reading], examined: Checkpoint) -> dict[str, Reading]:
    """The streamed readings, which need no model, before the models' own; but these saw logits as well."""
    logits = {name: reading for name, reading in examined.readings.items() if name == "nonfinite"}
    return dict(sorted({**examined.readings, **streamed, **logits}.items()))


def _without(table: dict[str, Problem], known: Container[str]) -> dict[str, Problem]:
    """The entries of a table that are not known otherwise."""
    return {name: problem for name, problem in table.items() if name not in known}


def _described(layout: Layout, loaded: ModelInfo | None) -> ModelInfo:
    """The unedited model; its fingerprint is left out where its bytes were compared but not hashed."""
    name = layout.folder.name
    if loaded is not None:
        return loaded.model_copy(update={"name": name, "layers": layout.layers, "matrices": layout.matrices})
    return ModelInfo(
        name=name,
        architecture=layout.architecture,
        fingerprint="",
        tokenizer_fingerprint=files_fingerprint(layout.folder.tokenizer),
        dtype="+".join(sorted({tensor.dtype for tensor in layout.tensors.values()})),
        device="disk",
        layers=layout.layers,
        parameters=sum(tensor.elements for tensor in layout.tensors.values()),
        matrices=layout.matrices,
    )
