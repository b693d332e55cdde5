"""The same through the command line: each command that reads a mutated file runs in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from stability.cli import main
from stability.printable import LONGEST, without_commands
from tools.fuzz import records
from tools.fuzz.campaign import BLOCK, Outcome, Tally, content_of
from tools.fuzz.checkpoints import PRISTINE
from tools.fuzz.mutations import parses
from tools.fuzz.reader import Reader
from tools.fuzz.readers import READERS, SUITES

NAME = "the command line"
STATUSES = (0, 1, 2, 3)
LONGEST_COMMAND = 120  # seconds
RECORD = str(records.SCHEMAS / "2" / "run.json")
SMOKE = str(SUITES / "smoke.stability.yaml")

Words = Callable[[Path], list[str]]
"""The arguments of a command that reads a file."""

GATED: Words = lambda file: ["gate", str(file.parents[1] / PRISTINE), str(file.parent)]  # noqa: E731
COMMANDS: dict[str, tuple[Words, ...]] = {
    "suite": (
        lambda file: ["judge", RECORD, "--suite", str(file), "--json"],
        lambda file: ["run", str(file), "--model", "./nowhere", "--out", str(file.parent / "out")],
        lambda file: ["judge", RECORD, "--suite", str(file), "--format", "github"],
    ),
    "--set": (
        lambda file: ["run", SMOKE, "--model", "./nowhere", "--set", _argument(file)],
    ),
    "record": (
        lambda file: ["judge", str(file)],
        lambda file: ["judge", str(file), "--format", "github"],
        lambda file: ["judge", str(file), "--out", f"{file.parent}/out", "--summary", f"{file.parent}/md"],
        lambda file: ["export", str(file)],
        lambda file: ["baseline", "save", str(file), "--baselines", str(file.parent)],
        lambda file: ["plot", str(file), "--out", str(file.parent / "figures"), "--format", "svg"],
    ),
    "record, compared": (lambda file: ["compare", str(file.parent)],),
    "horizon.json": (lambda file: ["compare", str(file.parent)],),
    "baseline": (lambda file: ["baseline", "list", str(file.parent), "--baselines", str(file.parents[1])],),
    "edits": (lambda file: ["gate", "./nowhere", "./nowhere", "--edits", str(file)],),
    "config.json, gated": (GATED,),
    "tokenizer.json, gated": (GATED,),
    "model.safetensors, gated": (GATED,),
    "adapter_config.json, gated": (GATED,),
}  # fmt: skip


def _argument(file: Path) -> str:
    """What a shell could give as one argument."""
    return file.read_text(encoding="utf-8", errors="replace").replace("\0", "")


def run_commands(tally: Tally, wanted: int, seed: int, save: Callable[[], None]) -> None:
    """Run commands, one after the other, until so many have been run."""
    readers = [(reader, words) for reader in READERS for words in COMMANDS.get(reader.name, ())]
    while tally.tried < wanted:
        reader, words = readers[tally.tried % len(readers)]
        _run(tally, reader, words, seed)
        if tally.tried % BLOCK == 0 or tally.tried == wanted:
            save()


def _run(tally: Tally, reader: Reader, words: Words, seed: int) -> None:
    with TemporaryDirectory(prefix="fuzz-") as root:
        folder = Path(root, "folder")
        folder.mkdir()
        reader.beside(folder)
        # The numbers go on where those of the inputs in the process are sure to have ended.
        content = content_of(reader, reader.valid(), seed, 10**9 + tally.tried)
        file = folder / reader.file
        file.write_bytes(content)
        ended = run_program(words(file), Path(root))
        outcome, reason = ended.outcome
        tally.add(tally.tried, outcome, f"{reader.name}: {reason}", has_parsed=parses(content, reader.form))


@dataclass(frozen=True)
class Ended:
    """What a command has left: its status, None where it was stopped, and what it wrote."""

    words: Sequence[str]
    status: int | None
    out: str
    err: str

    @property
    def outcome(self) -> tuple[Outcome, str]:
        """The outcome, and what is wrong with it."""
        called = " ".join(self.words[:2])
        if self.status is None:
            return "hang", called
        if self.status not in STATUSES or "Traceback (most" in self.err or "nobody foresaw" in self.err:
            return "traceback", f"{called}: status {self.status}: {self.err[-300:]!a}"
        if self.status == 3 and not self.err.strip() and not self.out.strip():
            return "unclear", f"{called}: says nothing"
        for line in self.err.splitlines():
            if len(line) > LONGEST + 100:
                return "unclear", f"{called}: a line of {len(line)} characters: {line[:200]!a}"
        # What `export` writes to stdout is data, which stays as it is.
        out = "" if self.words[0] == "export" or "github" in self.words else self.out
        if without_commands(out + self.err) != out + self.err:
            return "unclear", f"{called}: a command for the runner"
        if any(ord(letter) < 32 and letter not in "\n\t\r" for letter in out + self.err):
            return "unclear", f"{called}: control characters"
        return ("read" if self.status in (0, 1) else "refused"), ""


def run_program(words: Sequence[str], folder: Path) -> Ended:
    """Run the program in a child of this process, which has imported what is slow to import."""
    out, err = folder / "out.txt", folder / "err.txt"
    child = os.fork()
    if child == 0:
        os.setsid()  # what is done to its group is done to no other
        _become(words, folder, out, err)
    ended = time.monotonic() + LONGEST_COMMAND
    status = None
    while status is None and time.monotonic() < ended:
        done, how = os.waitpid(child, os.WNOHANG)
        status = os.waitstatus_to_exitcode(how) if done else None
        time.sleep(0.01)
    if status is None:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return Ended(words, status, *(file.read_text(encoding="utf-8", errors="replace") for file in (out, err)))


def _become(words: Sequence[str], folder: Path, out: Path, err: Path) -> None:
    """In the child: the program, with its streams in files."""
    status = 70
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # both are ignored in the background
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
        for file, descriptor in ((out, 1), (err, 2)):
            with file.open("wb") as stream:
                os.dup2(stream.fileno(), descriptor)
        for name in ("stdout", "stderr"):
            setattr(sys, name, os.fdopen(1 if name == "stdout" else 2, "w", encoding="utf-8", closefd=False))
        os.chdir(folder)
        sys.argv = ["stability", *words]
        main()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
