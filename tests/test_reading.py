"""What anybody may have written: read within limits, as plain values, or refused in one line."""

import json
import os
import time

import pytest

from stability.reading import (
    MOST_LEVELS,
    MOST_YAML,
    UnreadableError,
    parse_json,
    parse_yaml,
    read_bytes,
    read_text,
)

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: !!int abc", "'abc' is no int"),
        ("a: !!int ''", "'' is no int"),
        ("a: !!float x", "'x' is no float"),
        ("a: !!bool x", "'x' is no bool"),
        ("a: " + "9" * 5_000, "is no int"),
        ("a: 0x" + "f" * 5_000, "more than 64 bits"),
        ("a: !!timestamp 2001-99-99", "could not determine a constructor"),
        ("a: !!set {b}", "could not determine a constructor"),
        ("a: !!python/object/apply:os.system [true]", "could not determine a constructor"),
        ("a: &b [*b]", "nested too deep"),
        ("a: &b {c: *b}", "nested too deep"),
        ("a: " + "[" * 200 + "]" * 200, "nested too deep"),
        ("[" * 3_000, "nested too deep"),
        (BOMB, "aliases written out"),
        ("a" * (MOST_YAML + 1), "longer than"),
        ("a: \x00", "not allowed"),
        ("a: 'b", "unexpected end"),
        ("{[a]: 1}", "unhashable"),
        ('a: "b\\0"', "holds NUL or half"),
        ('"\\ud800": 1', "holds NUL or half"),
    ],
)
def test_yaml_that_asks_for_too_much_or_for_other_values_is_refused(text, said):
    began = time.process_time()
    with pytest.raises(UnreadableError, match=said):
        parse_yaml(text)
    assert time.process_time() - began < 5


def test_a_date_in_yaml_stays_a_text():
    assert parse_yaml("{a: 2001-99-99, b: 2001-01-01, c: 2001-01-01 10:00:00}")[0] == {
        "a": "2001-99-99",
        "b": "2001-01-01",
        "c": "2001-01-01 10:00:00",
    }


def test_the_line_of_a_fault_in_yaml_is_known():
    with pytest.raises(UnreadableError) as caught:
        parse_yaml("a: 1\nb: !!int abc\n")
    assert caught.value.line == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "nested too deep"),
        ("[" * (MOST_LEVELS + 1) + "]" * (MOST_LEVELS + 1), "nested too deep"),
        ('{"a":' * (MOST_LEVELS + 1) + "1" + "}" * (MOST_LEVELS + 1), "nested too deep"),
        ("9" * 5_000, "integer string"),
        ("{", "Expecting"),
        (b"\xff\xfe\xff", "codec"),
    ],
)
def test_json_that_asks_for_too_much_is_refused(text, said):
    with pytest.raises(UnreadableError, match=said):
        parse_json(text)


def test_what_is_nested_as_deep_as_is_allowed_is_read():
    text = "[" * MOST_LEVELS + "]" * MOST_LEVELS
    assert json.dumps(parse_json(text)) == text


def test_a_file_that_never_ends_is_refused_at_the_limit():
    with pytest.raises(UnreadableError, match="larger than 1 MiB"):
        read_bytes(os.path.realpath("/dev/zero"), 2**20)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without named pipes")
def test_a_pipe_that_nothing_is_written_to_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert read_bytes(tmp_path / "pipe") == b""


def test_a_text_has_the_line_ends_that_python_reads(tmp_path):
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert read_text(tmp_path / "a", "utf-8-sig") == "a\nb\nc\n"
    (tmp_path / "a").write_bytes(b"\xff")
    with pytest.raises(UnreadableError, match="not UTF-8 text"):
        read_text(tmp_path / "a")
