"""What a run in a process of its own tells its parent: one JSON object a line."""

from __future__ import annotations

import logging
from contextlib import suppress

from stability.errors import with_type
from stability.printable import clean, clean_lines
from stability.record.schema import RecordModel
from stability.run.process.begin import Channel
from stability.run.recording import Progress

YES, NO = b"1", b"0"  # what the parent answers when it is asked whether the run goes on


class Told(RecordModel):
    """A line; what it says nothing of is None."""

    progress: Progress | None = None
    asks: bool = False  # whether to go on
    editing: int | None = None
    stage: str | None = None
    edits: tuple[str, int, int] | None = None
    log: tuple[str, int, str] | None = None  # the logger's name, the level, and the message
    raised: str | None = None


class Telling:
    """The recorder and the listener of a run whose record is another process's."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def tell(self, told: Told) -> None:
        """Send a line."""
        self._channel.send(told.model_dump_json(exclude_defaults=True))

    def add(self, progress: Progress) -> None:
        """Something new of the run."""
        self.tell(Told(progress=progress))

    def goes_on(self) -> bool:
        """As the parent decides."""
        self.tell(Told(asks=True))
        return self._channel.receive() == YES

    def editing(self, edits: int) -> None:
        """A batch of so many edits begins."""
        self.tell(Told(editing=edits))

    def stage(self, text: str) -> None:
        """A stage begins."""
        self.tell(Told(stage=text))

    def edits(self, label: str, done: int, total: int) -> None:
        """So many edits have been made."""
        self.tell(Told(edits=(label, done, total)))

    def take_logs(self) -> None:
        """Tell what is logged, in place of the handlers: they may wait for threads that are not here."""
        root = logging.getLogger()
        for logger in (root, *logging.Logger.manager.loggerDict.values()):
            if isinstance(logger, logging.Logger):
                logger.handlers = []
                logger.propagate = True
        root.addHandler(_LogTeller(self))


class _LogTeller(logging.Handler):
    """Tells what is logged."""

    def __init__(self, telling: Telling) -> None:
        super().__init__()
        self._telling = telling

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of a record; as the handlers of the standard library, it raises nothing."""
        try:
            message = record.getMessage()
        except Exception as error:  # a stranger's arguments do not fit
            message = f"a message that cannot be formatted: {with_type(error)}"
        with suppress(Exception):  # without a channel there is nobody to tell
            self._telling.tell(Told(log=(clean(record.name), record.levelno, clean_lines(message))))
