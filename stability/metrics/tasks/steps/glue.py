"""GLUE's published TSV files, as the fields and labels that the hub's `nyu-mll/glue` gives them."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stability.errors import DataError

log = logging.getLogger(__name__)

Document = dict[str, Any]

BINARY = {"0": 0, "1": 1}
ENTAILMENT = {"entailment": 0, "not_entailment": 1}
INFERENCE = {"entailment": 0, "neutral": 1, "contradiction": 2}
TRAIN_AND_DEV = {"train": ("train.tsv",), "validation": ("dev.tsv",)}


@dataclass(frozen=True)
class GlueForm:
    """One task's files. A field may go by several column names; a split by several patterns, the first found.

    A pattern with a `+` stands for files to be read one after the other. `columns` names those of a file that
    has no header. `ids` are the columns by which documents of the dev split are known in the training files.
    """

    folder: str
    fields: Mapping[str, Sequence[str]]
    label: Sequence[str] = ("label",)
    labels: Mapping[str, int] = field(default_factory=lambda: BINARY)
    splits: Mapping[str, Sequence[str]] = field(default_factory=lambda: TRAIN_AND_DEV)
    columns: Sequence[str] = ()
    ids: Sequence[str] = ()


GLUE = {
    "cola": GlueForm(
        "CoLA",
        {"sentence": ("sentence",)},
        splits={
            "train": ("train.tsv", "in_domain_train.tsv"),
            "validation": ("dev.tsv", "in_domain_dev.tsv+out_of_domain_dev.tsv"),
        },
        columns=("source", "label", "mark", "sentence"),
    ),
    "sst2": GlueForm(
        "SST-2",
        {"sentence": ("sentence", "text_a")},
        splits={"train": ("train.tsv", "train_*.tsv"), "validation": ("dev.tsv",)},
    ),
    "mrpc": GlueForm(
        "MRPC",
        {"sentence1": ("#1 String",), "sentence2": ("#2 String",)},
        label=("Quality",),
        splits={"train": ("train.tsv", "msr_paraphrase_train.txt"), "validation": ("dev.tsv",)},
        ids=("#1 ID", "#2 ID"),
    ),
    "qqp": GlueForm(
        "QQP", {"question1": ("question1",), "question2": ("question2",)}, label=("is_duplicate",)
    ),
    "mnli": GlueForm(
        "MNLI",
        {"premise": ("sentence1",), "hypothesis": ("sentence2",)},
        label=("gold_label",),
        labels=INFERENCE,
        splits={
            "train": ("train.tsv",),
            "validation_matched": ("dev_matched.tsv",),
            "validation_mismatched": ("dev_mismatched.tsv",),
        },
    ),
    "qnli": GlueForm("QNLI", {"question": ("question",), "sentence": ("sentence",)}, labels=ENTAILMENT),
    "rte": GlueForm("RTE", {"sentence1": ("sentence1",), "sentence2": ("sentence2",)}, labels=ENTAILMENT),
    "wnli": GlueForm("WNLI", {"sentence1": ("sentence1",), "sentence2": ("sentence2",)}),
}


def glue_files(folder: Path, form: GlueForm) -> dict[str, tuple[Path, ...]]:
    """The files of every split that is there."""
    found = {}
    for split, patterns in form.splits.items():
        for pattern in patterns:
            parts = [sorted(folder.glob(part)) for part in pattern.split("+")]
            if all(parts):
                found[split] = tuple(part[0] for part in parts)
                break
    return found


def read_glue(form: GlueForm, files: Mapping[str, Sequence[Path]], split: str) -> list[Document]:
    """The documents of one split, in the order of the files.

    Rows that lack a column are left out, as the hub's copy leaves them out; so are training documents that
    the dev split holds too.

    Raises:
        DataError: a file is unreadable, lacks a column, or has a label that is none.
    """
    documents: list[Document] = []
    held_out = _ids(form, files) if split == "train" else frozenset()
    for file in files[split]:
        short = 0
        for line, row in _rows(file, form.columns):
            if any(row.get(column) is None for column in row if column):
                short += 1
                continue
            if held_out and tuple(row[column] for column in form.ids) in held_out:
                continue
            documents.append(_document(form, row, f"{file}:{line}") | {"idx": len(documents)})
        if short:
            log.warning("%s: %d rows lack a column and are left out", file, short)
    return documents


def _document(form: GlueForm, row: Mapping[str, str], where: str) -> Document:
    written = _column(row, form.label, where)
    if written not in form.labels:
        raise DataError(f"{where}: no label {written!r}; expected one of {', '.join(form.labels)}")
    texts = {name: _column(row, columns, where) for name, columns in form.fields.items()}
    return texts | {"label": form.labels[written]}


def _column(row: Mapping[str, str], names: Sequence[str], where: str) -> str:
    for name in names:
        if name in row:
            return row[name]
    raise DataError(f"{where}: no column {' or '.join(names)}; the file has {', '.join(map(str, row))}")


def _ids(form: GlueForm, files: Mapping[str, Sequence[Path]]) -> frozenset[tuple[str, ...]]:
    rows = (row for file in files.get("validation", ()) for _, row in _rows(file, form.columns))
    return frozenset(tuple(row[column] for column in form.ids) for row in rows) if form.ids else frozenset()


def _rows(file: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row by column name, with its line number."""
    try:
        # utf-8-sig: MRPC's files begin with a byte order mark. Quotes are text in GLUE.
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(
                opened, fieldnames=columns or None, delimiter="\t", quoting=csv.QUOTE_NONE
            )
            for row in reader:
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot read it as a TSV file: {error}") from error
