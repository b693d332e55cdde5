"""`stability export`: a record's tables as CSV or Parquet.

A text in the CSV that a spreadsheet could take for a formula gets an apostrophe in front, for names in a
record are anybody's; so does one that begins with an apostrophe, so that taking the first one away from every
text gives back what was there. Numbers are as run.json has them: NaN, Infinity and -Infinity are those words.
An empty text is `""`, and a cell that has nothing to say is empty.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stability.cli.steps.command import command
from stability.errors import RecordError, UsageError
from stability.files import record_path
from stability.printable import clean_lines
from stability.record.tables import TableName

if TYPE_CHECKING:
    from stability.record.tables.columns import Kind, Table

# What spreadsheets begin a formula with, the full-width forms and what they skip before it, too.
FORMULA = re.compile(r"[=+\-@\t\r\n'＝＋－＠]")
WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
QUOTED = re.compile(r'[",\r\n]')


def render_csv(content: Table) -> str:
    """The table as CSV (RFC 4180, but for lines that end in a line feed alone)."""
    cells = [column_cells(kind, content.columns[name]) for name, kind in content.kinds.items()]
    lines = [",".join(map(text_cell, content.kinds)), *map(",".join, zip(*cells, strict=True))]
    return "\n".join(lines) + "\n"


def column_cells(kind: Kind, values: Sequence[Any]) -> Iterator[str]:
    """The cells of a column; of texts and whole numbers, which repeat, each is written once."""
    if kind == "number":
        return map(number_cell, values)
    write = text_cell if kind == "text" else whole_cell
    written = {value: write(value) for value in set(values)}
    return map(written.__getitem__, values)


def text_cell(text: str | None) -> str:
    """A text as a cell that no spreadsheet computes."""
    if text is None:
        return ""
    guarded = f"'{text}" if FORMULA.match(text) else text
    return f'"{guarded.replace(chr(34), 2 * chr(34))}"' if not text or QUOTED.search(guarded) else guarded


def number_cell(value: float | None) -> str:
    """A number in as many digits as give it back exactly."""
    if value is None:
        return ""
    digits = repr(value)
    return WORDS.get(digits, digits)


def whole_cell(value: int | None) -> str:
    """A whole number, or True or False."""
    return "" if value is None else str(value)


def render_parquet(content: Table) -> bytes:
    """The table as Parquet, with the types that `Record.frame` has.

    Raises:
        RecordError: a number in it does not fit into 64 bits.
    """
    import pyarrow
    from pyarrow import parquet

    from stability.record.frame import data_frame

    schema = pyarrow.Schema.from_pandas(data_frame(content.empty), preserve_index=False)
    try:
        arrays = [pyarrow.array(content.columns[field.name], type=field.type) for field in schema]
    except OverflowError as error:
        raise RecordError("the record holds a whole number of more than 64 bits; write CSV") from error
    stream = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_arrays(arrays, schema=schema), stream)
    return stream.getvalue()


RENDERERS: dict[str, Callable[[Table], str | bytes]] = {".csv": render_csv, ".parquet": render_parquet}


@command("export", place=7)
def export(
    record: Annotated[
        Path, typer.Argument(metavar="RUN", help="A record, or the folder that holds one; a baseline, too.")
    ],
    which: Annotated[
        TableName, typer.Option("--table", help="Series, single edits, documents of tasks, or runs.")
    ] = TableName.readings,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="FILE.csv or FILE.parquet; default: CSV on stdout."),
    ] = None,
) -> None:
    """Write the figures of a record as a table, one row for each."""
    from stability.baselines import read_baseline
    from stability.record.file import write_atomically
    from stability.record.tables import table

    render = RENDERERS.get(out.suffix.lower()) if out else render_csv
    if render is None:
        raise UsageError(f"--out {out}: cannot tell what to write; end the name in .csv or .parquet")
    found = table(read_baseline(record_path(record)), which)
    content = render(found)
    if out is None:
        typer.echo(_to_stdout(content), nl=False)
        return
    write_atomically(out, content)
    typer.echo(f"{out}: {found.rows} {which}", err=True)


def _to_stdout(content: str | bytes) -> str | bytes:
    """As bytes, which no locale changes; a terminal gets no control characters, for it would obey them."""
    if isinstance(content, str):
        return clean_lines(content) + "\n" if sys.stdout.isatty() else content.encode()
    return content
