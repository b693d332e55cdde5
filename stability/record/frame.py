"""The tables of a record as pandas data frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stability.errors import RecordError
from stability.record.tables.columns import Kind, Table

if TYPE_CHECKING:
    import pandas

DTYPES: dict[Kind, str] = {
    "text": "string",
    "count": "int64",
    "integer": "Int64",
    "number": "float64",
    "truth": "boolean",
}


def data_frame(table: Table) -> pandas.DataFrame:
    """The table as a data frame; its types do not depend on the values, and missing numbers are NaN.

    Raises:
        RecordError: a number in it does not fit into 64 bits.
    """
    import pandas

    series = {}
    for name, values in table.columns.items():
        try:
            series[name] = pandas.array(list(values), dtype=DTYPES[table.kinds[name]])
        except (OverflowError, TypeError) as error:  # as 2**63 is a TypeError to pandas
            raise RecordError(f"the record holds a whole number of more than 64 bits, in {name}") from error
    return pandas.DataFrame(series)
