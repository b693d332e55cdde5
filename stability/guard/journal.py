"""The guard's journal: what was applied, what was refused and why, on the disk before it is acknowledged.

    FOLDER/journal.jsonl            a header, then one line for each batch; only ever appended to
    FOLDER/000007.safetensors       the tensors that entry 7 changed, as they were after it
    FOLDER/state-HASH.safetensors   what an editor remembered after an entry, by its content

A line counts once it is whole, and is written after the files that it names are on the disk. A process that
is killed leaves either the whole entry, or none: a last line cut short is taken away when the journal is
opened again, and so are files that no line names.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from torch import Tensor

from stability.data.edits import Edit
from stability.errors import RecordError, UsageError, first_line
from stability.files import sync_folder
from stability.reading import parse_json
from stability.record import EditOutcome
from stability.record.schema import RecordModel
from stability.run.saved import (
    read_state,
    read_tensors,
    state_digest,
    write_state,
    write_tensors,
)
from stability.writer import sole_writer

FILE = "journal.jsonl"


class JournalHeader(RecordModel):
    """What the journal is of."""

    schema_version: Literal[1] = 1
    harness_version: str
    model: str
    model_fingerprint: str
    seed: int


class JournalEntry(RecordModel):
    """One batch of edits, kept or refused; or a way back."""

    number: int
    accepted: bool
    editor: str = ""
    editor_fingerprint: str = ""
    edits: tuple[Edit, ...] = ()
    outcomes: tuple[EditOutcome, ...] = ()
    reasons: tuple[str, ...] = ()  # why it was refused
    checked: Literal["cheap", "all"] = "cheap"
    changed: tuple[str, ...] = ()  # the tensors that the batch changed
    digest: str = ""  # SHA-256 of their file
    state: str = ""  # the file with the editor's state; empty if it has none
    harmful: tuple[str, ...] = ()  # ids that a bisection of the entry before has left out
    back_to: int | None = None  # no batch: what was accepted after that entry counts no more
    seconds: dict[str, float] = Field(default_factory=dict)

    @property
    def tensors(self) -> str:
        """The file with what was changed; a refused entry has none."""
        return f"{self.number:06}.safetensors"


class Journal:
    """A journal opened to be appended to, by one process at a time.

    Raises:
        UsageError: another process has it open, it was begun on another model or with another seed, or its
            folder cannot be written to.
        RecordError: it cannot be read, or is damaged.
    """

    def __init__(self, folder: Path, header: JournalHeader) -> None:
        self.folder = folder
        self.entries: list[JournalEntry] = []
        with ExitStack() as stack:
            stack.enter_context(sole_writer(folder))
            try:  # without a buffer, for what failed to be written is not tried again
                self._file = stack.enter_context((folder / FILE).open("a+b", buffering=0))
            except OSError as error:
                raise RecordError(f"{folder}: cannot open the journal: {error.strerror}") from error
            self._open(header)
            self._opened = stack.pop_all()

    def close(self) -> None:
        """Close the journal, so that other processes can open it."""
        self._opened.close()

    def append(
        self, entry: JournalEntry, tensors: Mapping[str, Tensor], state: Mapping[str, Any]
    ) -> JournalEntry:
        """Write an entry with what it changed and the editor's state, and return it once it is on the disk.

        Raises:
            RecordError: it could not be written; the journal is as before.
            EditorError: the state holds something else than JSON values and tensors.
        """
        try:
            if entry.accepted:
                digest = write_tensors(self.folder / entry.tensors, tensors)
                entry = entry.model_copy(update={"digest": digest, "state": self._write_state(state)})
            self._write(entry)
        except OSError as error:
            raise RecordError(f"{self.folder}: cannot write to the journal: {error.strerror}") from error
        return entry

    @property
    def accepted(self) -> list[JournalEntry]:
        """The entries that were kept, and that nothing has gone back behind."""
        kept: list[JournalEntry] = []
        for entry in self.entries:
            if entry.back_to is not None:
                kept = [earlier for earlier in kept if earlier.number <= entry.back_to]
            elif entry.accepted:
                kept.append(entry)
        return kept

    @property
    def not_fully_checked(self) -> list[JournalEntry]:
        """The batches that were accepted since all checks were made."""
        found: list[JournalEntry] = []
        for entry in reversed(self.accepted):
            if entry.checked == "all":
                break
            found.append(entry)
        return found[::-1]

    def tensors(self, back_to: int | None = None) -> dict[str, Tensor]:
        """Every tensor that was changed, as the last entry that changed it left it; others are not read.

        With `back_to`, as it was after that entry.

        Raises:
            RecordError: a file is missing or damaged.
        """
        kept = [entry for entry in self.accepted if back_to is None or entry.number <= back_to]
        last = {name: entry for entry in kept for name in entry.changed}
        found: dict[str, Tensor] = {}
        for number in sorted({entry.number for entry in last.values()}):
            entry = self.entries[number - 1]
            read = read_tensors(self.folder / entry.tensors, entry.digest)
            wanted = [name for name, owner in last.items() if owner is entry]
            if lost := [name for name in wanted if name not in read]:
                raise RecordError(f"{self.folder / entry.tensors}: damaged: it does not hold {lost[0]}")
            found |= {name: read[name] for name in wanted}
        return found

    def state(self, editor_name: str, fingerprint: str) -> dict[str, Any]:
        """What an editor remembered after the last entry that it made; empty if there is none.

        Raises:
            RecordError: the file is missing or damaged.
        """
        for entry in reversed(self.accepted):
            if (entry.editor, entry.editor_fingerprint) == (editor_name, fingerprint):
                return read_state(self.folder / entry.state) if entry.state else {}
        return {}

    def _write_state(self, state: Mapping[str, Any]) -> str:
        if not state:
            return ""
        name = f"state-{state_digest(state)[:32]}.safetensors"
        if not (self.folder / name).exists():
            write_state(self.folder / name, state)
        return name

    def _write(self, content: JournalHeader | JournalEntry) -> None:
        """Append a line, and wait for the disk; if that does not come to an end, the line is taken away."""
        end = os.fstat(self._file.fileno()).st_size
        try:
            line = content.model_dump_json().encode() + b"\n"
            if self._file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
            if isinstance(content, JournalEntry):
                self.entries.append(content)
        except BaseException:
            self._file.truncate(end)
            raise

    def _open(self, header: JournalHeader) -> None:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        lines = content[:whole].decode("utf-8", errors="replace").split("\n")[:-1]
        if whole < len(content):
            self._file.truncate(whole)
        if not lines:
            self._write(header)
            sync_folder(self.folder)
        else:
            self._check(header, lines[0])
        self.entries += self._read(lines[1:])
        self._clean()

    def _check(self, header: JournalHeader, line: str) -> None:
        path = self.folder / FILE
        try:
            begun = JournalHeader.model_validate_json(line)
        except ValidationError as error:
            raise RecordError(f"{path}:1: is no journal's header: {error.errors()[0]['msg']}") from error
        if begun.model_fingerprint != header.model_fingerprint:
            raise UsageError(
                f"{path}: was begun on another model ({begun.model}, {begun.model_fingerprint[:12]}, here "
                f"{header.model_fingerprint[:12]}); give the unedited model, or another folder"
            )
        if begun.seed != header.seed:
            raise UsageError(f"{path}: was begun with seed {begun.seed}, not {header.seed}")

    def _read(self, lines: Sequence[str]) -> Iterator[JournalEntry]:
        for number, line in enumerate(lines, start=1):
            where = f"{self.folder / FILE}:{number + 1}"
            try:
                entry = JournalEntry.model_validate(parse_json(line))
            except ValueError as error:
                raise RecordError(f"{where}: damaged: {first_line(error)}") from error
            if entry.number != number:
                raise RecordError(f"{where}: damaged: it is entry {entry.number}, expected {number}")
            yield entry

    def _clean(self) -> None:
        """Remove files that a process has left behind that was killed before their line was written."""
        named = {name for entry in self.entries if entry.accepted for name in (entry.tensors, entry.state)}
        for pattern in ("*.part", "[0-9]*.safetensors", "state-*.safetensors"):
            for file in self.folder.glob(pattern):
                if file.name not in named:
                    file.unlink()
