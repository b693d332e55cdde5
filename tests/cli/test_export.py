"""What is exported is read back as it was, and no spreadsheet computes it."""

import csv
import io
import math

import pandas
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from stability.cli.export import render_csv, render_parquet
from stability.errors import RecordError
from stability.record.tables import TableName, table
from stability.record.tables.columns import Table

FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",
    "＠A1",
    '=HYPERLINK("http://x","y")',
]
KINDS = {"name": "text", "seed": "integer", "edits": "count", "value": "number", "success": "truth"}

texts = st.none() | st.sampled_from(FORMULAS) | st.text(st.characters(exclude_categories=["Cs"]))
wholes = st.integers(-(2**63), 2**63 - 1)
rows = st.lists(
    st.tuples(texts, st.none() | wholes, wholes, st.none() | st.floats(), st.none() | st.booleans())
)


def as_table(found):
    columns = list(zip(*found, strict=True)) if found else [()] * len(KINDS)
    return Table(KINDS, dict(zip(KINDS, columns, strict=True)))


def cells(text):
    """The cells below the heading, as a reader of CSV has them."""
    return list(csv.reader(io.StringIO(text, newline="")))[1:]


@given(rows)
def test_every_cell_of_the_csv_gives_its_value_back(found):
    read = cells(render_csv(as_table(found)))
    assert len(read) == len(found)
    for (name, seed, edits, value, success), row in zip(found, read, strict=True):
        assert row[0].removeprefix("'") == (name or "")
        assert row[1] == ("" if seed is None else str(seed))
        assert int(row[2]) == edits
        assert row[3] == "" if value is None else repr(float(row[3])) == repr(value)
        assert row[4] == ("" if success is None else str(success))


@given(rows)
def test_no_text_of_the_csv_begins_like_a_formula(found):
    for row in cells(render_csv(as_table(found))):
        assert row[0][:1] not in set("=+-@\t\r\n＝＋－＠")


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_name_that_is_a_formula_gets_an_apostrophe_in_front(formula):
    ((cell, *_),) = cells(render_csv(as_table([(formula, 0, 0, 0.0, True)])))
    assert cell == f"'{formula}"


def test_a_heading_is_guarded_and_quoted_like_a_cell():
    heading = render_csv(Table({"=x,y": "number"}, {"=x,y": [1.0]}))
    assert heading == '"\'=x,y"\n1.0\n'


def test_a_negative_number_is_no_formula():
    assert render_csv(as_table([("a", -1, 3, -2.5, None)])).splitlines()[1] == "a,-1,3,-2.5,"


def test_numbers_that_are_not_finite_are_the_words_of_the_record_and_nothing_is_empty():
    values = [math.nan, math.inf, -math.inf, None]
    text = render_csv(
        Table({"value": "number", "unit": "text"}, {"value": values, "unit": ["", None, "s", ""]})
    )
    assert text == 'value,unit\nNaN,""\nInfinity,\n-Infinity,s\n,""\n'


@pytest.mark.parametrize("name", list(TableName))
def test_pandas_reads_the_csv_of_a_record_as_its_frame(records, name):
    base, memit = records.whole_run()
    record = records.record(base, [memit])
    text = render_csv(table(record, name))
    types = {column: str(kind) for column, kind in record.frame(name).dtypes.items()}
    read = pandas.read_csv(io.StringIO(text), keep_default_na=False, na_values=["", "NaN"], dtype=types)
    expected = record.frame(name)
    for column in expected.columns[expected.dtypes == "string"]:  # pandas takes "" for nothing
        expected[column] = expected[column].replace("", pandas.NA)
    pandas.testing.assert_frame_equal(read, expected, check_exact=True)


@given(rows)
def test_parquet_keeps_every_value_and_what_is_missing(found):
    content = as_table(found)
    read = parquet.read_table(io.BytesIO(render_parquet(content))).to_pydict()
    assert {name: list(map(repr, values)) for name, values in read.items()} == {
        name: list(map(repr, values)) for name, values in content.columns.items()
    }


@pytest.mark.parametrize("name", list(TableName))
def test_pandas_reads_the_parquet_of_a_record_as_its_frame(records, name):
    base, memit = records.whole_run()
    record = records.record(base, [memit])
    read = pandas.read_parquet(io.BytesIO(render_parquet(table(record, name))))
    pandas.testing.assert_frame_equal(read, record.frame(name), check_exact=True)


def test_a_whole_number_of_more_than_64_bits_fits_in_csv_but_not_in_parquet():
    content = as_table([("a", 2**70, 0, 0.0, True)])
    assert str(2**70) in render_csv(content)
    with pytest.raises(RecordError, match="write CSV"):
        render_parquet(content)


def test_columns_of_an_empty_table_have_their_types_all_the_same():
    schema = parquet.read_schema(io.BytesIO(render_parquet(as_table([]))))
    assert schema.field("seed").type == pyarrow.int64()
    assert schema.field("success").type == pyarrow.bool_()
