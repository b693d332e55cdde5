"""`stability cache list | prune | verify`."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from stability.cli.steps.command import command
from stability.cli.steps.output import printed
from stability.errors import MeasurementError
from stability.store.places import bound, default_folder, in_words, parse_size

if TYPE_CHECKING:
    from stability.store import StoreEntry

WIDTH = 160
SECONDS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}
AGE = re.compile(rf"(\d{{1,9}}(?:\.\d{{1,6}})?) ?({'|'.join(SECONDS)})")


def size(text: str) -> int:
    """`20GiB` in bytes."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from error


def age(text: str) -> float:
    """`30d` in seconds."""
    if (found := AGE.fullmatch(text.strip())) is None:
        raise typer.BadParameter(f"cannot read {text!r}; write a number and one of {', '.join(SECONDS)}.")
    return float(found[1]) * SECONDS[found[2]]


@command("cache", place=140)
def cache() -> None:
    """What was worked out on unedited models, and is read back instead of being worked out again."""


@command("cache list", place=141)
def list_entries() -> None:
    """List what is kept, last used first."""
    from rich.markup import escape
    from rich.table import Table

    from stability.printable import clean
    from stability.store import all_entries

    folder = default_folder()
    if not (held := all_entries(folder)):
        typer.echo(f"nothing is kept in {folder}")
        return
    table = Table("name", "what", "model", "size", "used", box=None, pad_edge=False)
    for entry in held:
        what, model = entry.describe()
        cells = (entry.name, what or "unknown", model, in_words(entry.size), _ago(entry))
        table.add_row(*(escape(clean(cell)) for cell in cells))
    printed(table, WIDTH)
    typer.echo(f"{_summed(held)} of {in_words(bound())} in {folder}")


@command("cache prune", place=142)
def prune(
    older_than: Annotated[
        float | None,
        typer.Option(parser=age, metavar="AGE", help="Remove what was not used for so long: 30d, 12h."),
    ] = None,
    larger_than: Annotated[
        int | None,
        typer.Option(parser=size, metavar="SIZE", help="Remove what is larger than that: 500MiB."),
    ] = None,
    to: Annotated[
        int | None,
        typer.Option(
            parser=size, metavar="SIZE", help="Remove what was used longest ago, until no more is left."
        ),
    ] = None,
) -> None:
    """Remove entries: those that are named by an option, else those past the bound of the whole."""
    from stability.store import prune as remove

    folder = default_folder()
    if older_than is None and larger_than is None and to is None:
        to = bound()
    gone = remove(folder, most=to, older_than=older_than, larger_than=larger_than)
    typer.echo(f"removed {_summed(gone)} from {folder}")


@command("cache verify", place=143)
def verify() -> None:
    """Read every entry and compare it with its checksum.

    Exit status: 0 all are whole, 3 some are damaged: they are named, and count as missing.
    """
    from stability.store import all_entries
    from stability.store.store import is_entry

    folder = default_folder()
    held = all_entries(folder)
    damaged = [entry for entry in held if not is_entry(entry.path)]
    for entry in damaged:
        typer.echo(f"damaged: {entry.path}")
    if damaged:
        raise MeasurementError(
            f"{len(damaged)} of {len(held)} entries in {folder} are damaged; what is in them is worked out "
            "anew when it is needed"
        )
    typer.echo(f"{_summed(held)} in {folder}, all whole")


def _summed(held: Iterable[StoreEntry]) -> str:
    sizes = [entry.size for entry in held]
    return f"{len(sizes)} {'entry' if len(sizes) == 1 else 'entries'}, {in_words(sum(sizes))}"


def _ago(entry: StoreEntry) -> str:
    seconds = max(0.0, time.time() - entry.used)
    unit = next((unit for unit, length in reversed(SECONDS.items()) if seconds >= length), "s")
    return f"{seconds / SECONDS[unit]:.0f} {unit} ago"
