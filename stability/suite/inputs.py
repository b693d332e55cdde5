"""What is read beside a suite: the files that it names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from stability.imports import file_of, own_files
from stability.suite.schema import SuiteSpec


def inputs_fingerprint(spec: SuiteSpec) -> str:
    """SHA-256 of the files of edits, text, tasks and metrics that a suite names, as they are now."""
    digest = hashlib.sha256()
    for file in _files(spec):
        content = file.read_bytes() if file.is_file() else b""
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def _files(spec: SuiteSpec) -> Iterator[Path]:
    yield from (Path(path) for path in (spec.run.edits.path, spec.text.path) if path is not None)
    for folder in (spec.tasks.include_path, spec.tasks.data):
        if folder is not None:
            yield from sorted(file for file in Path(folder).expanduser().rglob("*") if file.is_file())
    for name in sorted({*spec.metric_names, *spec.record}):
        if file := file_of(name):
            yield from own_files(file)
