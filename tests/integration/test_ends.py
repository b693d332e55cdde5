"""What comes from outside: a second process, a full disk, places that cannot be written to, nobody who reads."""

import subprocess
import sys
from pathlib import Path

import pytest

from stability.record import read_record
from stability.writer import LOCK_FILE

EDITORS = '''
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

PLACE = Path(__file__).parent


def second(model, tokenizer, edits):
    """Starts the same run again, into the same folder."""
    command = [sys.executable, "-m", "stability", "run", "small.stability.yaml", "--editor", "./ends.py:second"]
    done = subprocess.run([*command, "--out", "out", "--overwrite"], cwd=PLACE, capture_output=True, text=True)
    (PLACE / "second.txt").write_text(f"{os.getppid()}\\n{done.returncode}\\n{done.stdout}{done.stderr}")


made = []


def fills_the_disk(model, tokenizer, edits):
    """Lets no file of the harness become larger than the record after one checkpoint."""
    made.extend(edits)
    if len(made) == 2:
        size = (PLACE / "out" / "run.json").stat().st_size
        resource.prlimit(os.getppid(), resource.RLIMIT_FSIZE, (size, size))


def prints(model, tokenizer, edits):
    sys.stdout.write("said by the editor\\n")
'''


@pytest.fixture
def ends(folder):
    (folder / "ends.py").write_text(EDITORS)
    return folder


def test_a_second_run_into_a_folder_is_refused_and_the_first_goes_on(shell, ends):
    done = shell(
        "stability",
        "run",
        "small.stability.yaml",
        "--edits",
        1,
        "--editor",
        "./ends.py:second",
        "--out",
        "out",
    )
    assert done.returncode == 1, done.stderr
    pid, status, *said = (ends / "second.txt").read_text().splitlines()
    assert (status, len(said)) == ("2", 1)
    assert said[0].startswith(f"out: process {pid} writes into it (")
    assert "run small.stability.yaml --edits 1 --editor ./ends.py:second --out out); wait for it" in said[0]
    assert read_record(ends / "out" / "run.json").runs[0].status == "complete"
    assert not (ends / "out" / LOCK_FILE).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="no other process's limits can be set here")
def test_a_full_disk_loses_the_last_checkpoint_and_says_what_is_kept(shell, ends):
    done = shell(
        "stability", "run", "small.stability.yaml", "--editor", "./ends.py:fills_the_disk", "--out", "out"
    )
    assert done.returncode == 3
    assert "out/run.json: cannot be written: File too large" in done.stderr
    assert "kept is what was measured before: ./ends.py:fills_the_disk at seed 0, 1 edits" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert {path.name for path in (ends / "out").iterdir()} == {"run.json", "points"}
    record = read_record(ends / "out" / "run.json")
    assert [checkpoint.edits for checkpoint in record.runs[0].checkpoints] == [1]
    assert record.is_unfinished


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "small.stability.yaml", "--out", "mine.py"),
        ("run", "small.stability.yaml", "--out", "mine.py/below"),
        ("horizon", "small.stability.yaml", "--out", "mine.py"),
        ("gate", "world", "world", "--out", "mine.py"),
        ("run", "small.stability.yaml", "--summary", "nowhere/s.md"),
    ],
    ids=["file", "below-a-file", "horizon", "gate", "summary"],
)
def test_a_place_that_cannot_be_written_to_is_refused_before_anything_is_loaded(ends, arguments, start_in):
    code = (
        "import sys\n"
        "from stability.cli import main\n"
        "try:\n    main()\nfinally:\n    assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ends, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "cannot be written to: " in done.stderr or "cannot write the summary" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here is always full")
@pytest.mark.parametrize(
    ("redirected", "said"),
    [(">/dev/full", "cannot be printed: No space left on device\n"), ("2>/dev/full", ""), ("2>&-", "")],
)
def test_what_cannot_be_printed_does_not_say_that_a_check_has_failed(tmp_path, redirected, said):
    command = "editors" if said else "judge nowhere"
    done = subprocess.run(
        ["sh", "-c", f'"$0" -m stability {command} {redirected}', sys.executable],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (3, said)
