"""`stability export`, as a user runs it."""

import csv
import io
import os
import subprocess
import sys

import pandas
import pytest

from stability.record import read_record, write_record


@pytest.fixture
def kept(records, folder):
    """A record in out/run.json, with names that a stranger chose."""
    base, memit = records.whole_run(at=(20, 40))
    named = memit.editor.model_copy(update={"name": "=cmd|'/C calc'!A0", "version": 'a,"b"\r\nc\x1b[31m'})
    record = records.record(base, [memit, memit.model_copy(update={"editor": named})])
    write_record(record, folder / "out" / "run.json")
    return record


def parsed(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_without_out_the_series_go_to_stdout_as_csv(shell, kept):
    done = shell("stability", "export", "out")
    assert (done.returncode, done.stderr) == (0, "")
    rows = parsed(done.stdout)
    assert len(rows) == len(kept.frame())
    assert {row["editor"] for row in rows} == {"memit", "'=cmd|'/C calc'!A0"}
    assert {row["edits"] for row in rows} == {"0", "20", "40"}


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("readings", "parquet"), ("edits", "csv"), ("documents", "parquet"), ("runs", "CSV")],
)
def test_each_table_goes_into_a_file_that_is_as_its_name_says(shell, folder, kept, name, suffix):
    done = shell("stability", "export", "out/run.json", "--table", name, "--out", f"new/it.{suffix}")
    frame, path = kept.frame(name), folder / "new" / f"it.{suffix}"
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert f"new/it.{suffix}: {len(frame)} {name}" in done.stderr
    if suffix == "parquet":
        pandas.testing.assert_frame_equal(pandas.read_parquet(path), frame, check_exact=True)
    else:
        assert len(parsed(path.read_bytes().decode())) == len(frame)
    assert list((folder / "new").iterdir()) == [path]


def test_names_reach_a_pipe_as_they_are(folder, kept, stability_command):
    command = [stability_command, "export", "out", "--table", "runs"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=True)
    assert parsed(done.stdout.decode())[1]["version"] == 'a,"b"\r\nc\x1b[31m'


def test_a_terminal_gets_no_control_characters(folder, kept, stability_command):
    terminal, end = os.openpty()
    command = [stability_command, "export", "out", "--table", "runs"]
    subprocess.run(command, cwd=folder, stdout=end, check=True)
    os.close(end)
    shown = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert "\x1b" not in shown
    assert "c\N{REPLACEMENT CHARACTER}[31m" in shown


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["out", "--out", "table.xlsx"], 2, "--out table.xlsx: cannot tell what to write; end the name in .csv or .parquet"),
        (["out", "--out", "table"], 2, "end the name in .csv or .parquet"),
        (["out", "--out", "mine.py/table.csv"], 3, "mine.py/table.csv: cannot be written: "),
        (["out", "--out", "folder.csv"], 3, "folder.csv: cannot be written: "),
        (["nowhere", "--out", "table.csv"], 3, "nowhere: cannot read the record"),
        (["mine.py"], 3, "mine.py:1: not JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_exported_is_one_line_and_leaves_no_file(
    shell, folder, kept, arguments, status, message
):
    (folder / "folder.csv").mkdir()
    before = sorted(folder.rglob("*"))
    done = shell("stability", "export", *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
    assert sorted(folder.rglob("*")) == before


def test_a_reader_that_has_seen_enough_ends_it_quietly(folder, kept, stability_command):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = f"{stability_command} export out | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.stdout.startswith("suite,model,editor,seed,edits,metric")
    assert done.stderr == ""


def test_a_locale_without_unicode_changes_nothing(folder, records, kept):
    strange = kept.model_copy(update={"suite_name": "Ω≤1"})
    write_record(strange, folder / "out" / "run.json")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "stability", "export", "out", "--table", "runs"],
        cwd=folder, env=environment, capture_output=True, check=True,
    )  # fmt: skip
    assert {row["suite"] for row in parsed(done.stdout.decode())} == {"Ω≤1"}


def test_a_baseline_has_its_documents_again(shell, folder, kept):
    done = shell("stability", "baseline", "save", "out", "--baselines", "kept")
    assert done.returncode == 0, done.stderr
    (path, *_) = sorted((folder / "kept").rglob("*memit*.json"))
    assert "gold" not in read_record(path).runs[0].checkpoints[0].readings["task_score"].tasks["choice"].gold
    rows = parsed(shell("stability", "export", path, "--table", "documents").stdout)
    memit = kept.frame("documents")
    assert len(rows) == len(memit[memit.editor == "memit"])
    assert all(row["gold"] for row in rows)
