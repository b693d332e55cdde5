"""MMLU's published CSV files: questions with four choices and the answer, by subject and split."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from stability.errors import DataError

SPLITS = {"test": "test", "dev": "dev", "validation": "val"}  # the hub's name: the folder's
OPTIONAL = "validation"
ANSWERS = {"0": 0, "1": 1, "2": 2, "3": 3, "A": 0, "B": 1, "C": 2, "D": 3}
FIELDS = 6


def mmlu_files(folder: Path, subject: str) -> dict[str, tuple[Path, ...]]:
    """The files of one subject, those that are missing included: lm-eval asks for the test and dev splits."""
    root = folder / "data" if (folder / "data" / "test").is_dir() else folder
    files = {split: root / part / f"{subject}_{part}.csv" for split, part in SPLITS.items()}
    return {split: (file,) for split, file in files.items() if split != OPTIONAL or file.is_file()}


def read_mmlu(file: Path, subject: str) -> list[dict[str, Any]]:
    """The documents of one file, with the fields of the hub's `cais/mmlu`.

    The file may have a header row, and answers may be letters, as in the authors' archive, or numbers.

    Raises:
        DataError: the file is missing or malformed.
    """
    documents: list[dict[str, Any]] = []
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            reader = csv.reader(opened)
            for row in reader:
                if len(row) != FIELDS:
                    raise DataError(
                        f"{file}:{reader.line_num}: {len(row)} fields; expected a question, four choices and "
                        "the answer"
                    )
                question, *choices, answer = row
                if not documents and answer.strip().lower() == "answer":
                    continue
                if answer.strip() not in ANSWERS:
                    raise DataError(f"{file}:{reader.line_num}: no answer {answer!r}; expected 0-3 or A-D")
                documents.append(
                    {
                        "question": question,
                        "subject": subject,
                        "choices": choices,
                        "answer": ANSWERS[answer.strip()],
                    }
                )
    except FileNotFoundError as error:
        raise DataError(
            f"MMLU's {subject}: {file} is missing; copy it there, or leave the task out"
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot read it as a CSV file: {error}") from error
    return documents
