"""Giving readers their inputs, one after the other, and what came of each; a campaign can be gone on with."""

from __future__ import annotations

import faulthandler
import json
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from shutil import rmtree
from tempfile import TemporaryDirectory
from traceback import extract_tb
from typing import Literal

from stability.errors import StabilityError, SuiteError
from stability.files import write_whole
from stability.printable import LONGEST, is_printed
from tools.fuzz.mutations import mutated, parses
from tools.fuzz.reader import Reader

Outcome = Literal["read", "refused", "unclear", "traceback", "hang"]
GOOD: tuple[Outcome, ...] = ("read", "refused")
BLOCK = 100  # inputs between two savings
LONGEST_READ = 30  # seconds; a reader that takes longer hangs
KEPT = 20  # problems that are kept, of each reader


class HangError(BaseException):
    """A reader has taken too long; no handler of errors is to stop it."""


@dataclass
class Tally:
    """What came of a reader's inputs; a problem is the input's number with what happened."""

    tried: int = 0
    parsed: int = 0  # past the first parse
    outcomes: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def bad(self) -> int:
        """How many inputs had another outcome than a file that is read, or refused in one clear line."""
        return sum(count for outcome, count in self.outcomes.items() if outcome not in GOOD)

    def add(self, number: int, outcome: Outcome, reason: str, *, has_parsed: bool) -> None:
        """Count one input."""
        self.tried += 1
        self.parsed += has_parsed
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        if outcome not in GOOD and len(self.problems) < KEPT:
            self.problems.append(f"{number}: {outcome}: {reason}")


def shares(readers: Sequence[Reader], inputs: int) -> dict[str, int]:
    """How many inputs each reader gets: the fewer, the longer it takes, but not in proportion."""
    weights = {reader.name: reader.cost**-0.5 for reader in readers}
    return {name: -int(-inputs * weight // sum(weights.values())) for name, weight in weights.items()}


def content_of(reader: Reader, valid: Sequence[bytes], seed: int, number: int) -> bytes:
    """The input of that number, the same each time."""
    random = Random(f"{seed}/{reader.name}/{number}")
    return mutated(random.choice(valid), reader.form, random)


def fuzz(reader: Reader, numbers: Sequence[int], tally: Tally, seed: int = 0) -> None:
    """Give a reader the inputs of these numbers."""
    valid = reader.valid()
    with TemporaryDirectory(prefix="fuzz-") as root:
        folder = Path(root, "folder")
        for number in numbers:
            if reader.is_altered or not folder.exists():
                rmtree(folder, ignore_errors=True)
                folder.mkdir()
                reader.beside(folder)
            content = content_of(reader, valid, seed, number)
            file = folder / reader.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            outcome, reason = outcome_of(lambda file=file: reader.read(file))
            tally.add(number, outcome, reason, has_parsed=parses(content, reader.form))


def outcome_of(read: Callable[[], object]) -> tuple[Outcome, str]:
    """What comes of reading, and what is wrong with it, in a line."""
    try:
        with _limited(), warnings.catch_warnings():
            warnings.filterwarnings("error", module=r"stability\.")  # others warn as they like
            read()
    except StabilityError as error:
        reason = unclear(str(error), lines=len(error.problems) if isinstance(error, SuiteError) else 1)
        return ("unclear", reason) if reason else ("refused", "")
    except HangError as error:
        return "hang", _place(error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # what is looked for; Rust's panics are no exceptions
        return "traceback", f"{type(error).__name__} {_place(error)}: {str(error)[:200]!a}"
    return "read", ""


def unclear(message: str, lines: int = 1) -> str:
    """What is wrong with a message of so many lines; empty if it is clear."""
    if not message.strip():
        return "says nothing"
    if len(message.split("\n")) > lines or len(message.splitlines()) > lines:
        return f"has several lines: {message[:200]!a}"
    if any(len(line) > LONGEST for line in message.split("\n")):
        return f"is long: {message[:200]!a}"
    if not all(is_printed(letter) for letter in message if letter != "\n"):
        return f"has control characters: {message[:200]!a}"
    return ""


@contextmanager
def _limited() -> Iterator[None]:
    """Stop what takes too long; what does not come back from C ends the process, with where it was."""

    def stop(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_READ)
    faulthandler.dump_traceback_later(10 * LONGEST_READ, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()


def _place(error: BaseException) -> str:
    """The last line of ours that an error came through."""
    frames = extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/stability/" in frame.filename] or frames
    return f"at {Path(ours[-1].filename).name}:{ours[-1].lineno}"


class Campaign:
    """The tallies of all readers in a file, from which an interrupted campaign goes on."""

    def __init__(self, file: Path | None, seed: int) -> None:
        self._file = file
        self._seed = seed
        self.tallies: dict[str, Tally] = {}
        if file is not None and file.exists():
            content = json.loads(file.read_text(encoding="utf-8"))
            if content["seed"] == seed:
                self.tallies = {name: Tally(**tally) for name, tally in content["tallies"].items()}

    def tally(self, name: str) -> Tally:
        """The tally of that name."""
        return self.tallies.setdefault(name, Tally())

    def run(self, readers: Sequence[Reader], wanted: Mapping[str, int]) -> None:
        """Give each reader as many inputs as wanted, less those that it has had."""
        for reader in readers:
            tally = self.tally(reader.name)
            while tally.tried < wanted[reader.name]:
                numbers = range(tally.tried, min(tally.tried + BLOCK, wanted[reader.name]))
                fuzz(reader, numbers, tally, self._seed)
                self.save()

    def save(self) -> None:
        """Write the file, if there is one."""
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._file, json.dumps(self.as_dict(), indent=1) + "\n", mode=0o644)

    def as_dict(self) -> dict[str, object]:
        """The campaign as JSON."""
        return {"seed": self._seed, "tallies": {name: asdict(tally) for name, tally in self.tallies.items()}}
