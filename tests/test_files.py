"""A file is written whole or not at all, and can be kept to one process."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from stability.files import append, lock, write_whole


def test_what_is_written_replaces_what_was_there(tmp_path):
    file = tmp_path / "a.txt"
    write_whole(file, "old")
    write_whole(file, "naïve")
    assert file.read_text(encoding="utf-8") == "naïve"
    write_whole(file, b"\x00\r\n")
    assert file.read_bytes() == b"\x00\r\n"
    assert [found.name for found in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no such permissions")
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_has_the_permissions_that_it_was_to_have(tmp_path, mode):
    write_whole(tmp_path / "a", "", mode=mode)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


def test_a_file_that_cannot_be_put_in_its_place_leaves_nothing_behind(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(OSError):  # noqa: PT011  which one, and what it says, is the system's matter
        write_whole(tmp_path / "a", "content")
    assert [found.name for found in tmp_path.iterdir()] == ["a"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not tell a descriptor's file")
def test_the_content_is_on_the_disk_before_the_name_and_the_name_before_it_returns(tmp_path, monkeypatch):
    synced = []
    original = os.fsync

    def fsync(descriptor):
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink(), (tmp_path / "a").exists()))
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(tmp_path / "a", "content")
    (part, before), (folder, after) = synced
    assert (part.parent, part.suffix, before) == (tmp_path, ".part", False)
    assert (folder, after) == (tmp_path, True)


def test_what_is_appended_is_there_whole_or_not_at_all(tmp_path):
    file = tmp_path / "a"
    append(file, b"one\n")
    append(file, b"two\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match=r"No space left|File too large"):
            append(file, b"three" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert file.read_bytes() == b"one\ntwo\n"


def test_a_locked_file_is_kept_to_one_process_until_it_is_closed(tmp_path):
    file = tmp_path / "a"
    code = "import sys; from stability.files import lock; lock(open(sys.argv[1], 'ab'))"

    def elsewhere():
        return subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True).returncode

    with file.open("ab") as stream:
        lock(stream)
        assert elsewhere() == 1
    assert elsewhere() == 0
