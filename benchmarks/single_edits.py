"""Single edits of facts that a model knows, each taken back before the next: what each editor makes of them.

    python -m benchmarks.single_edits FILE.csv [--model smollm2] [--editors rome,memit] [--set lr=0.001]
        [--skip 30] [--facts 50]

The facts are CounterFact's, in the order of seed 0, of those whose true target is the unedited model's first
choice token by token. The first `--skip` of them are for choosing settings by, and are not used here unless
`--skip 0` says so. A row of the file is one edit by one editor; rows that are there already are not made
again, so that the command can be repeated until all are. `--summary` only prints the table of a file.
"""

from __future__ import annotations

import argparse
import csv
import logging
import os
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import yaml

from stability.data.edits import Edit, load_stream
from stability.editors import LoadedEditor, find_editor
from stability.metrics import edit_outcomes
from stability.metrics.scoring.known import known_first
from stability.models import LoadedModel, Snapshot, load_model, map_model
from stability.run.editing import make_batch, prepare
from stability.run.saved import copy_state
from stability.store import Store
from stability.suite import EditsSpec, ModelSpec

EDITORS = "rome,memit,pmet,emmet,alphaedit,encore,nas,ft_l,lora"
FIGURES = ("success", "accurate", "paraphrase", "neighborhood")
ROUND = 10  # facts for which every editor has its turn before the next
FIELDS = ("editor", "settings", "edit", *FIGURES, "seconds")


def main() -> None:
    """Make the edits that are missing from the file, and print its table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--model", default="smollm2")
    arguments.add_argument("--editors", default=EDITORS)
    arguments.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments.add_argument("--source", default="counterfact")
    arguments.add_argument("--skip", type=int, default=30)
    arguments.add_argument("--facts", type=int, default=50)
    arguments.add_argument("--summary", action="store_true")
    asked = arguments.parse_args()
    if not asked.summary:
        logging.basicConfig(level=logging.ERROR)
        torch.set_num_threads(1)
        make(
            asked, {key: yaml.safe_load(value) for key, _, value in (one.partition("=") for one in asked.set)}
        )
    print(table(rows(asked.file)))


def make(asked: argparse.Namespace, settings: Mapping[str, Any]) -> None:
    """The edits that the file lacks, a line each."""
    loaded = load_model(ModelSpec(name=asked.model, device="cpu"))
    stream = load_stream(EditsSpec(source=asked.source, count=1), 0)
    places = known_first(loaded.model, loaded.tokenizer, stream, asked.skip + asked.facts)
    facts = [stream[place] for place in places[asked.skip :]]
    done = {(row["editor"], row["settings"], row["edit"]) for row in rows(asked.file)}
    pristine = Snapshot(loaded.model)
    ready: dict[str, Ready] = {}
    for first in range(0, len(facts), ROUND):
        for name in asked.editors.split(","):
            some = facts[first : first + ROUND]
            missing = [fact for fact in some if (name, label(settings), fact.id) not in done]
            if missing:
                ready[name] = ready.get(name) or Ready.of(loaded, name, settings)
                append(asked.file, edited(loaded, pristine, ready[name], missing))


@dataclass(frozen=True)
class Ready:
    """An editor that has been prepared on the unedited model, and what it remembered then."""

    name: str
    settings: str
    editor: LoadedEditor
    fresh: Mapping[str, Any]

    @classmethod
    def of(cls, loaded: LoadedModel, name: str, settings: Mapping[str, Any]) -> Ready:
        """Find it and prepare it."""
        depth = map_model(loaded.model).n_layers
        editor = find_editor(name, dict(settings), model_name=loaded.name, depth=depth)
        prepare(editor, loaded.model, loaded.tokenizer, Store(), 0)
        return cls(name, label(settings), editor, copy_state(editor.state()))


def edited(
    loaded: LoadedModel, pristine: Snapshot, ready: Ready, facts: Iterable[Edit]
) -> Iterator[dict[str, Any]]:
    """A row for each fact: edited alone, asked about, and taken back."""
    model, tokenizer, editor = loaded.model, loaded.tokenizer, ready.editor
    for fact in facts:
        started = time.process_time()
        make_batch(editor, model, tokenizer, [fact], 0, 0)
        seconds = time.process_time() - started
        (outcome,) = edit_outcomes(model, tokenizer, [fact])
        pristine.restore(model)
        editor.load_state(copy_state(ready.fresh))  # what it remembers of this edit is no more
        yield {
            "editor": ready.name,
            "settings": ready.settings,
            "edit": fact.id,
            "success": int(bool(outcome.success)),
            "accurate": int(bool(outcome.accurate)),
            "paraphrase": outcome.paraphrase_success,
            "neighborhood": outcome.neighborhood_success,
            "seconds": round(seconds, 2),
        }


def label(settings: Mapping[str, Any]) -> str:
    """The settings that differ from the preset, in one line."""
    return " ".join(f"{key}={value}" for key, value in settings.items())


def rows(file: Path) -> list[dict[str, str]]:
    """The file's rows; none if there is no such file."""
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def append(file: Path, new: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as they come."""
    is_new = not file.is_file()
    with file.open("a", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, FIELDS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        for row in new:
            writer.writerow(row)
            lines.flush()


def table(found: list[dict[str, str]]) -> str:
    """Means by editor and settings, in Markdown."""
    groups: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in found:
        groups.setdefault((row["editor"], row["settings"]), []).append(row)
    lines = ["| editor | edits | success | accuracy | paraphrase | neighborhood | seconds |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|")
    for (editor, settings), group in groups.items():
        means = []
        for figure in FIGURES:
            values = [float(row[figure]) for row in group if row[figure]]
            means.append(f"{statistics.mean(values):.2f}" if values else "–")
        seconds = statistics.median(float(row["seconds"]) for row in group)
        name = f"`{editor}`" + (f" {settings}" if settings else "")
        lines.append(f"| {name} | {len(group)} | {' | '.join(means)} | {seconds:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
