"""Figures as files in a folder: one per figure and format, named by editor and figure."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from pathlib import Path

from stability.errors import UsageError
from stability.judge import Judgement
from stability.record import Record
from stability.record.file import write_atomically
from stability.report.charts.figures import editor_runs, figure_names, figures, overlays
from stability.report.charts.plot import UNDATED, plot


def write_figures(
    record: Record,
    judgement: Judgement,
    folder: Path,
    names: Sequence[str] = (),
    editors: Sequence[str] = (),
    formats: Sequence[str] = ("svg", "png"),
    dpi: int = 200,
) -> list[Path]:
    """Write figures into a folder, `memit-norms.svg` and so on, each atomically; returns the files.

    `names` and `editors` select figures and editors; by default, these are all for which the record has data.
    If there are several editors, `side-by-side.svg` shows all of them.

    Raises:
        UsageError: a figure, editor or format is unknown, or the record has no data for a named figure.
    """
    for kind, wanted, there in (
        ("figure", names, figure_names()),
        ("editor", editors, [one.editor for one in judgement.editors]),
        ("format", formats, [*UNDATED]),
    ):
        unknown = next((name for name in wanted if name not in there), None)
        if unknown is not None:
            raise UsageError(f"no {kind} is called {unknown!r}; there are {', '.join(there)}")
    made = [("", figure) for figure in overlays(judgement)] if not editors else []
    made += [
        (runs.judgement.editor, figure)
        for runs in editor_runs(record, judgement)
        if not editors or runs.judgement.editor in editors
        for figure in figures(runs)
    ]
    missing = next((name for name in names if name not in {figure.name for _, figure in made}), None)
    if missing is not None:
        raise UsageError(f"the record has nothing to draw in the figure {missing!r}")
    written: dict[str, Path] = {}
    for editor, figure in made:
        if names and figure.name not in names:
            continue
        stem = file_stem(editor, figure.name, {Path(name).stem for name in written})
        for format_, content in plot(figure, formats, dpi).items():
            path = folder / f"{stem}.{format_}"
            write_atomically(path, content)
            written[path.name] = path
    return list(written.values())


def file_stem(editor: str, figure: str, taken: Container[str]) -> str:
    """`memit-norms`: a free name of letters, digits, dots and dashes, whatever the editor's name is."""
    stem = re.sub(r"[^A-Za-z0-9.]+", "-", f"{editor}-{figure}").strip("-.")
    number, name = 1, stem
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name
