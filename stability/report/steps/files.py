"""The files that renderers write into a report's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePath

from stability.errors import RendererError
from stability.files import HORIZON_FILE, RECORD_FILE
from stability.imports import import_part, in_one_line
from stability.judge import Judgement
from stability.parts import RENDERERS
from stability.printable import without_controls
from stability.record import Record


def report_files() -> Iterator[str]:
    """The names of the files that a report may have; a renderer that cannot be loaded writes none."""
    for part in RENDERERS.built_in().values():
        if part.head.file is not None:
            yield part.head.file
    for point in RENDERERS.points().values():
        with suppress(RendererError):
            file = import_part(point, RENDERERS, RendererError).head.file
            if file is not None and _is_name(file):
                yield file


def _is_name(file: str) -> bool:
    """Whether it is the name of a file in the report's own folder, and of none that is no report."""
    return PurePath(file).name == file and "\\" not in file and file not in (RECORD_FILE, HORIZON_FILE)


def rendered_files(record: Record, judgement: Judgement) -> Iterator[tuple[str, str]]:
    """The name and text of each file, built-in renderers first; there is no control character in them.

    Raises:
        RendererError: a renderer of another package cannot be loaded or fails, or its file's name is taken.
    """
    taken = {RECORD_FILE}
    for part in RENDERERS.built_in().values():
        if part.head.file is not None:
            taken.add(part.head.file)
            yield part.head.file, without_controls(part.made(record, judgement))
    for name, point in sorted(RENDERERS.points().items()):
        part = import_part(point, RENDERERS, RendererError)
        file = part.head.file
        if file is None:
            continue
        if file in taken or not _is_name(file):
            raise RendererError(f"renderer {name} ({part.source}): it cannot write a file called {file!r}")
        taken.add(file)
        with in_one_line(f"renderer {name}: writing {file}", RendererError):
            text = part.made(record, judgement)
            if not isinstance(text, str):
                raise TypeError(f"it made a {type(text).__name__}, expected a text")
        yield file, without_controls(text)
