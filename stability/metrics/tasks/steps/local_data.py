"""Data sets from a local folder, in the forms that they are published in, as lm-eval's tasks expect them.

    DATA/mmlu/{dev,val,test}/SUBJECT_{dev,val,test}.csv
    DATA/glue/{CoLA,SST-2,MRPC,QQP,MNLI,QNLI,RTE,WNLI}/*.tsv
    DATA/TASK/SPLIT.jsonl                                     any other task, one document a line

A data set that has no folder there is looked for on the hub instead. One that has a folder, but lacks a file
or a field in it, is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict

from stability.errors import DataError, first_line
from stability.metrics.tasks.steps.glue import GLUE, glue_files, read_glue
from stability.metrics.tasks.steps.mmlu import mmlu_files, read_mmlu
from stability.reading import UnreadableError, parse_json, read_text

MMLU_PATHS = ("cais/mmlu", "hails/mmlu_no_train")
GLUE_PATHS = ("nyu-mll/glue", "glue")


@dataclass(frozen=True)
class LocalSet:
    """The files of one data set, by split; `form` is `mmlu`, `glue` or `jsonl`, `name` its part of that."""

    form: str
    name: str
    files: Mapping[str, tuple[Path, ...]]

    def load(self) -> DatasetDict:
        """Every split.

        Raises:
            DataError: a file is missing, empty or malformed.
        """
        return DatasetDict({split: self._load(split) for split in self.files})

    def _load(self, split: str) -> Dataset:
        files = self.files[split]
        if self.form == "glue":
            documents = read_glue(GLUE[self.name], self.files, split)
        elif self.form == "mmlu":
            documents = [one for file in files for one in read_mmlu(file, self.name)]
        else:
            documents = [one for file in files for one in _read_lines(file)]
        if not documents:
            raise DataError(f"{files[0]}: holds no documents")
        try:
            return Dataset.from_list(documents)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:  # Arrow has these kinds
            raise DataError(f"{files[0]}: its documents do not fit together: {first_line(error)}") from error


def find_local(data: Path, task: str, config: Mapping[str, Any]) -> LocalSet | None:
    """The data set of an lm-eval task in a local folder; None if the folder holds nothing of the kind.

    Raises:
        DataError: the data set's folder is there, without any file of the task's.
    """
    path, name = str(config.get("dataset_path")), str(config.get("dataset_name"))
    if path in MMLU_PATHS and (data / "mmlu").is_dir():
        return LocalSet("mmlu", name, mmlu_files(data / "mmlu", name))
    if path in GLUE_PATHS and name in GLUE and (data / "glue" / GLUE[name].folder).is_dir():
        folder = data / "glue" / GLUE[name].folder
        files = glue_files(folder, GLUE[name])
        wanted = [split for split in GLUE[name].splits if split != "train"]
        for split in wanted:
            if split not in files:
                expected = " or ".join(GLUE[name].splits[split])
                raise DataError(f"{folder}: no {expected}, GLUE's {split} split of {name}")
        return LocalSet("glue", name, files)
    lines = {file.stem: (file,) for file in sorted((data / task).glob("*.jsonl"))}
    return LocalSet("jsonl", task, lines) if lines else None


def load(data: str, task: str, dataset_path: str, dataset_name: str, **_: Any) -> DatasetDict:
    """What lm-eval calls as a task's `custom_dataset`; the metadata that it passes too is not wanted.

    Raises:
        DataError: a file is missing, empty or malformed.
    """
    found = find_local(Path(data), task, {"dataset_path": dataset_path, "dataset_name": dataset_name})
    if found is None:
        raise DataError(f"{data}: holds no documents of {task}")
    return found.load()


def _read_lines(file: Path) -> list[dict[str, Any]]:
    """The documents of a JSON Lines file."""
    documents = []
    try:
        text = read_text(file, "utf-8-sig")
    except (OSError, UnreadableError) as error:
        raise DataError(f"{file}: cannot read it: {error}") from error
    try:
        # Not splitlines: a value may hold U+2028 or U+0085, which Python takes for ends of lines.
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip():
                continue
            document = parse_json(line)
            if not isinstance(document, dict):
                raise DataError(f"{file}:{number}: expected a JSON object, got {type(document).__name__}")
            documents.append(document)
    except UnreadableError as error:
        raise DataError(f"{file}:{number}: not JSON: {error}") from error
    return documents
