from __future__ import annotations

import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from stability.errors import DataError, UsageError
from stability.imports import import_named, import_point


def test_a_plain_name_is_nothing_to_import() -> None:
    assert import_named("rome", "editor", "edit", DataError) is None


def test_a_path_and_a_dotted_name_are_imported_and_told_apart(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def read(): ...\ndef usual(): ...\n")
    read, by_path = import_named(f"{tmp_path}/mine.py:read", "edit source", "usual", DataError) or ((), "")
    usual, _ = import_named(f"{tmp_path}/mine.py", "edit source", "usual", DataError) or ((), "")
    assert (getattr(read, "__name__", ""), getattr(usual, "__name__", "")) == ("read", "usual")
    assert import_named("json:dumps", "metric", "measure", DataError) == (
        __import__("json").dumps,
        "dotted name",
    )
    assert by_path == "path"


def test_the_place_of_an_error_is_the_users_line_even_if_installed_code_raised_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import yaml\n\nyaml.safe_load('a: [')\n")
    with pytest.raises(
        DataError, match=r"^metric .*mine\.py: importing it failed at .*mine\.py:3: ParserErr"
    ) as caught:
        import_named(f"{tmp_path}/mine.py", "metric", "measure", DataError)
    assert "\n" not in str(caught.value)


def test_an_error_of_code_that_is_installed_altogether_has_a_place_too() -> None:
    point = EntryPoint("shiny", "yaml.no_such_module:read", "stability.documents")
    with pytest.raises(DataError, match=re.escape("text source shiny: importing it failed")):
        import_point(point, "text source", DataError)


def test_an_error_of_usage_passes_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from stability.errors import UsageError\nraise UsageError('not so')\n")
    with pytest.raises(UsageError, match=r"^not so$"):
        import_named(f"{tmp_path}/mine.py", "metric", "measure", DataError)
