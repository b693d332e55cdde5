"""One process at a time writes into a folder, and a place that cannot be written to is told of at once."""

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stability import writer
from stability.errors import RecordError, UsageError
from stability.files import lock
from stability.writer import LOCK_FILE, sole_writer

HOLDER = """
import os, sys, time
from pathlib import Path
from stability.writer import sole_writer
with sole_writer(Path(sys.argv[1])):
    if sys.argv[2:] == ["fork"]:
        read, write = os.pipe()
        if os.fork() == 0:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.write(write, b".")
            time.sleep(1000)
        os.read(read, 1)
    print("holding", flush=True)
    time.sleep(1000)
"""


def holding(folder, *arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "holding\n"
    return process


def test_a_second_process_is_refused_with_the_firsts_number_and_command(tmp_path):
    with holding(tmp_path, "--edits", "3") as first:
        with pytest.raises(UsageError) as refused, sole_writer(tmp_path):
            raise AssertionError
        said = f"{tmp_path}: process {first.pid} writes into it (-c {tmp_path} --edits 3); wait for it, or"
        assert str(refused.value).startswith(said)
        first.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_a_process_that_was_killed_keeps_nobody_out(tmp_path, number):
    with holding(tmp_path) as first:
        first.send_signal(number)
    assert (tmp_path / LOCK_FILE).exists()
    with sole_writer(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_neither_does_what_it_has_left_behind(tmp_path):
    with holding(tmp_path, "fork") as first:
        left = int(Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text())
        first.kill()
    try:
        with sole_writer(tmp_path):
            os.kill(left, 0)
    finally:
        os.kill(left, signal.SIGKILL)


def test_a_forked_process_that_leaves_does_not_let_go(tmp_path):
    with sole_writer(tmp_path / "a"):
        pid = os.fork()
        if pid == 0:
            try:
                raise ZeroDivisionError
            except ZeroDivisionError:
                os._exit(0)
        os.waitpid(pid, 0)
        with (
            pytest.raises(UsageError, match=f"process {os.getpid()} writes into it"),
            sole_writer(tmp_path / "a"),
        ):
            raise AssertionError


def test_what_stands_in_the_file_is_no_more_than_words(tmp_path):
    with sole_writer(tmp_path):
        for content in (b"", b"[]", b'{"pid": "\x1b[2J", "host": 1, "command": []}', b"\xff", b"[" * 10_000):
            (tmp_path / LOCK_FILE).write_bytes(content)
            with (
                pytest.raises(UsageError, match=r"another process writes into it; wait"),
                sole_writer(tmp_path),
            ):
                raise AssertionError


def test_a_folder_is_created_and_is_gone_if_nothing_was_written(tmp_path):
    with sole_writer(tmp_path / "a" / "b"):
        pass
    assert list(tmp_path.iterdir()) == []
    with sole_writer(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "run.json").touch()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["run.json"]


def test_a_folder_that_is_removed_meanwhile_is_no_fault(tmp_path):
    with sole_writer(tmp_path / "a"):
        (tmp_path / "a" / LOCK_FILE).unlink()
        (tmp_path / "a").rmdir()
    assert not (tmp_path / "a").exists()


def test_a_process_that_waited_for_a_removed_file_does_not_get_it(tmp_path, monkeypatch):
    """Whoever has the file open when its holder removes it takes the one that is there then."""
    opened = []

    def locked(stream):
        opened.append(stream)
        if len(opened) == 1:
            (tmp_path / LOCK_FILE).unlink()  # the holder has left between opening and locking
        lock(stream)

    monkeypatch.setattr(writer, "lock", locked)
    with sole_writer(tmp_path):
        assert len(opened) == 2
        assert os.path.samestat(os.fstat(opened[1].fileno()), (tmp_path / LOCK_FILE).stat())


def test_a_place_that_is_none_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("a" * 300)):
        with (
            pytest.raises(UsageError, match=r"cannot be written to: .*; use another folder"),
            sole_writer(folder),
        ):
            raise AssertionError


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder here takes no files")
def test_a_folder_that_takes_no_files_is_refused():
    with (
        pytest.raises(UsageError, match=r"^/proc/self: cannot be written to: "),
        sole_writer(Path("/proc/self")),
    ):
        raise AssertionError


def test_a_disk_without_room_is_told_of_before_anything_else(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (writer.ROOM // 2, before[1]))
    try:
        with (
            pytest.raises(RecordError, match=r"cannot be written to: .*; make room"),
            sole_writer(tmp_path / "a"),
        ):
            raise AssertionError
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_is_told_of_and_used(tmp_path, monkeypatch, caplog):
    def none(stream):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(writer, "lock", none)
    with sole_writer(tmp_path):
        pass
    assert "has no locks" in caplog.text
