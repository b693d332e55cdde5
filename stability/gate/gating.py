"""Two checkpoints on disk, measured: a record like any other comes of it, with one run of one checkpoint."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Container, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from stability.data.edits import Edit, read_edits
from stability.gate.files.configs import config_differences
from stability.gate.files.folder import open_folder
from stability.gate.files.layout import Layout, lay_out
from stability.gate.files.tokenizers import files_fingerprint, tokenizer_differences
from stability.gate.levels import Level, not_asked
from stability.gate.weights.compare import Comparison, compare
from stability.gate.weights.readings import base_readings, edited_readings
from stability.parts import COSTS, metric_names
from stability.record import Checkpoint, EditorInfo, ModelInfo, Reading, Record, Run
from stability.suite import SuiteFile

if TYPE_CHECKING:
    from stability.gate.models import Examined

PACKAGES = ("numpy", "torch", "transformers")
SUITE = "gate.stability.yaml"
ONCE = 1  # edits that stand for an unknown number


class Told(Protocol):
    """Told of each stage, as the engine's `Listener` is."""

    def stage(self, text: str) -> None:
        """A stage begins."""

    def edits(self, label: str, done: int, total: int) -> None:
        """So many edits have been made."""


class Untold:
    """Tells nobody."""

    def stage(self, text: str) -> None:
        """Say nothing."""

    def edits(self, label: str, done: int, total: int) -> None:
        """Say nothing."""


def default_suite() -> Path:
    """The suite of a gate for which none is named: bounds that hold for any model."""
    installed = Path(__file__).parent / SUITE
    return installed if installed.is_file() else Path(__file__).parents[2] / "suites" / SUITE


def gate(
    base: str,
    edited: str,
    suite: SuiteFile,
    listener: Told | None = None,
    *,
    level: Level = Level.weights,
    edits: Path | None = None,
    command: str = "",
) -> Record:
    """Measure what an edited checkpoint is against the one that it was made from.

    The weights are compared on disk, in bounded memory. A level above `weights` loads the models, one after
    the other; `edits`, a file of the edits that were made, loads the edited one in any case. Of several edits
    of one prompt and subject the last is asked for.

    Raises:
        MeasurementError: a folder or file is missing, cut short, a pickle, or of an unknown architecture.
    """
    started, at = time.perf_counter(), datetime.now(UTC)
    listener = listener or Untold()
    asked = tuple({edit.filled: edit for edit in read_edits(edits)}.values()) if edits else ()
    listener.stage("reading headers")
    before, now = lay_out(open_folder(base)), lay_out(open_folder(edited))
    config = config_differences(before.folder, now.folder)
    tokenizer = tokenizer_differences(before.folder.path, now.folder.path)
    listener.stage("comparing weights")
    comparison = compare(before, now)
    compared = time.perf_counter() - started
    examined = _examined(before, now, suite, level, asked, comparison, listener)
    streamed = edited_readings(before, now, comparison, config, tokenizer)
    reasons = not_asked(level, with_edits=bool(asked))
    if examined is not None and not asked:
        reasons |= {name: reason for name, reason in examined.edited.skipped.items() if name not in reasons}
    run = Run(
        editor=EditorInfo(
            name=now.folder.name,
            source="checkpoint",
            settings={
                "base": str(base),
                "edited": str(edited),
                "level": str(level),
                "edits": None if edits is None else str(edits),
                "differences": _listed(comparison, config, tokenizer),
            },
        ),
        seed=0,
        edits=() if examined is None else examined.outcomes,
        checkpoints=(
            Checkpoint(
                edits=len(asked) or ONCE,
                changed=comparison.changed,
                readings=_merged(streamed, None if examined is None else examined.edited),
                errors=_unless(examined.edited.errors, streamed)
                if examined
                else _unscored(streamed, reasons),
                skipped=_unless(examined.edited.skipped, reasons) if examined else {},
                costs={
                    "measure_seconds": _scalar(time.perf_counter() - started, "s"),
                    "peak_memory": _scalar(peak_memory(), "MiB"),
                },
            ),
        ),
        timing={"compare": compared, "measure": time.perf_counter() - started - compared},
    )
    unedited = None if examined is None else examined.base
    return Record(
        harness_version=metadata.version("stability-harness"),
        suite_name=suite.spec.name,
        suite_text=suite.text,
        suite_path=None if suite.path is None else str(suite.path),
        measured_fingerprint=suite.measured_fingerprint,
        command=command,
        model=_described(before, None if examined is None else examined.model),
        edits_source="" if edits is None else str(edits),
        text_fingerprint="" if examined is None else examined.text.fingerprint,
        text_tokens=0 if examined is None else examined.text.tokens,
        base=Checkpoint(
            edits=0,
            readings=_merged(base_readings(before, comparison), unedited),
            errors={} if unedited is None else unedited.errors,
            skipped={} if unedited is None else unedited.skipped,
            costs={} if unedited is None else unedited.costs,
        ),
        runs=(run,),
        not_asked=reasons,
        versions={name: metadata.version(name) for name in PACKAGES},
        started=at.isoformat(timespec="seconds"),
    )


def _examined(
    base: Layout,
    edited: Layout,
    suite: SuiteFile,
    level: Level,
    edits: Sequence[Edit],
    comparison: Comparison,
    listener: Told,
) -> Examined | None:
    """What the models give; None if none is to be loaded, or the edited one's weights are no numbers."""
    broken = comparison.nonfinite + sum(change.nonfinite for change in comparison.changes.values())
    if broken or (level is Level.weights and not edits):
        return None
    from stability.gate.models import ask_edits, examine

    before, now = str(base.folder.path.resolve()), str(edited.folder.path.resolve())
    if level is Level.weights:
        return ask_edits(now, suite.spec, edits, listener)
    return examine(before, now, suite.spec, level, edits, listener)


def _merged(streamed: dict[str, Reading], examined: Checkpoint | None) -> dict[str, Reading]:
    """The streamed readings, which need no model, before the models' own; but these saw logits as well."""
    if examined is None:
        return dict(sorted(streamed.items()))
    logits = {name: reading for name, reading in examined.readings.items() if name == "nonfinite"}
    return dict(sorted({**examined.readings, **streamed, **logits}.items()))


def _unscored(streamed: dict[str, Reading], reasons: dict[str, str]) -> dict[str, str]:
    """Why what was asked of the models was not measured: weights that are no numbers."""
    count = sum(streamed["nonfinite"].values.values())
    wanted = [name for name in metric_names() if name not in (*streamed, *reasons, *COSTS)]
    return dict.fromkeys(wanted, f"not scored: {count:.0f} weights are not finite") if count else {}


def _unless(table: dict[str, str], known: Container[str]) -> dict[str, str]:
    """The entries of a table that are not known otherwise."""
    return {name: text for name, text in table.items() if name not in known}


def _described(layout: Layout, loaded: ModelInfo | None) -> ModelInfo:
    """The unedited model; its fingerprint is left out where its bytes were compared but not hashed."""
    name = layout.folder.name
    if loaded is not None:
        return loaded.model_copy(update={"name": name})
    return ModelInfo(
        name=name,
        architecture=layout.architecture,
        fingerprint="",
        tokenizer_fingerprint=files_fingerprint(layout.folder.path),
        dtype="+".join(sorted({tensor.dtype for tensor in layout.tensors.values()})),
        device="disk",
        layers=layout.layers,
        parameters=sum(tensor.elements for tensor in layout.tensors.values()),
        matrices=layout.matrices,
    )


def _listed(
    comparison: Comparison, config: dict[str, tuple[Any, Any]], tokenizer: Sequence[str]
) -> dict[str, Any]:
    """Every difference that is not one of values, in full; kinds that there are none of are left out."""
    kinds = {
        "missing": list(comparison.missing),
        "extra": list(comparison.extra),
        "reshaped": {name: [list(was), list(now)] for name, (was, now) in comparison.reshaped.items()},
        "retyped": {name: list(pair) for name, pair in comparison.retyped.items()},
        "config": {key: list(pair) for key, pair in config.items()},
        "tokenizer": list(tokenizer),
    }
    return {kind: found for kind, found in kinds.items() if found}


def _scalar(value: float, unit: str) -> Reading:
    return Reading(over="scalar", values={"": value}, unit=unit)


def peak_memory() -> float:
    """The most memory that this process has held so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
