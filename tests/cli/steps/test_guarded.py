"""What anybody prints is no command for the runner; what the program means to say to it is."""

import io
import json
import logging
import re
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stability.api import Suite
from stability.cli.steps.guarded import GuardedStream, LineFormatter, guarded_streams, unguarded
from stability.record import read_record
from stability.report.steps.files import rendered_files
from tools.fuzz.commands import run_program

RECORD = Path(__file__).parents[2] / "record" / "schemas" / "2" / "run.json"


def commands(text):
    """The lines that GitHub's runner would take for a command."""
    return [line for line in re.split("[\r\n]", text) if line.lstrip().startswith("::") or "##[" in line]


@given(st.lists(st.text(":#[ \r\nae", max_size=6), max_size=12))
def test_no_sequence_of_writes_makes_a_command(pieces):
    written = io.StringIO(newline="")
    stream = GuardedStream(written)
    for piece in pieces:
        assert stream.write(piece) == len(piece)
    assert commands(written.getvalue()) == []
    assert written.getvalue().replace(" ", "") == "".join(pieces).replace(" ", "")


def test_what_is_no_command_is_written_as_it_is():
    written = io.StringIO()
    stream = GuardedStream(written)
    stream.writelines(["tests/a.py::test_b\n", "50 %|##", "##|\r", " :) :: x\n"])
    assert written.getvalue() == "tests/a.py::test_b\n50 %|####|\r :) :: x\n"


def test_the_stream_inside_is_not_guarded(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    with guarded_streams():
        sys.stdout.write("::error::a\n")
        unguarded(sys.stdout).write("::warning::b\n")
        assert sys.stdout.encoding == out.encoding
    assert sys.stdout is out
    assert commands(out.getvalue()) == ["::warning::b"]


def test_a_message_in_the_log_has_no_control_characters_and_is_cut():
    record = logging.LogRecord("a", logging.WARNING, "f", 1, "a\x1b[2J\nb" + "c" * 10**6, (), None)
    text = LineFormatter("%(levelname)s: %(message)s").format(record)
    assert text.startswith("WARNING: a\N{REPLACEMENT CHARACTER}[2J\nbccc")
    assert len(text) == 20_000


EVIL = "\n::error::injected\r##[error]injected\x1b[2J\x00\u202e<script>alert(1)</script>]]>"


@pytest.fixture
def hostile(tmp_path):
    """A record in which every text that is free is an attack."""
    content = json.loads(RECORD.read_text(encoding="utf-8"))
    for key in ("command", "started", "edits_source", "harness_version"):
        content[key] = EVIL
    content["versions"] = {EVIL: EVIL}
    content["replaced"]["model"] = EVIL
    for key in ("name", "architecture", "fingerprint", "dtype", "device"):
        content["model"][key] = EVIL
    for number, run in enumerate(content["runs"]):
        run["editor"]["name"] = f"::error::{number}{EVIL}"
        run["editor"]["settings"] = {EVIL: EVIL}
        if run["error"]:
            run["error"]["message"] = EVIL
        for edit in run["edits"]:
            edit["prompt"] = edit["subject"] = edit["target"] = EVIL
    path = tmp_path / "run.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_no_file_that_is_written_of_a_hostile_record_has_control_characters_or_markup_of_it(hostile):
    record = read_record(hostile)
    report = Suite.of(record).judge(record)
    for name, text in rendered_files(report.record, report.judgement):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]", text), name
        if name != "report.md":  # there it stands in a block of code
            assert "<script>alert" not in text, name
    assert commands(str(report)) == []
    for verdict in report.judgement.verdicts:
        assert commands(report.explain(verdict)) == []


@pytest.mark.parametrize("command", ["judge", "compare", "baseline save", "baseline list", "plot"])
def test_no_command_s_output_on_a_hostile_record_is_a_command_for_the_runner(hostile, command, tmp_path):
    words = [*command.split(), str(hostile)]
    if command == "baseline list":
        place = tmp_path / "kept" / "::error::s"
        place.mkdir(parents=True)
        shutil.copyfile(hostile, place / "::error::e.json")
        words = [*command.split(), str(tmp_path), "--baselines", str(tmp_path / "kept")]
    elif command == "baseline save":
        words += ["--baselines", str(tmp_path / "::error::new")]
    ended = run_program(words, tmp_path)
    assert ended.outcome[0] in ("read", "refused"), ended
    assert ended.out + ended.err
    assert commands(ended.out + ended.err) == []
