"""A forked process: what it says arrives, and it ends with its parent and with all that it started."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from stability.run.process.child import Child

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")


def heard(work, seconds=20):
    """The lines that a child sends, and the status that it ends with."""
    until = time.monotonic() + seconds
    lines = []
    with Child(work) as child:
        for line in child.lines():
            if line is not None:
                lines.append(line)
            if time.monotonic() > until:
                child.kill()
    return lines, child.status


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def waited_for(condition, seconds=10):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


def test_lines_arrive_whole_and_in_order_however_long_they_are():
    def work(channel):
        for length in (3, 500_000, 0, 7):
            channel.send("x" * length)

    lines, status = heard(work)
    assert [len(line) for line in lines] == [3, 500_000, 0, 7]
    assert status == 0


def test_a_child_is_answered():
    def work(channel):
        channel.send("ask")
        channel.send(channel.receive().decode())

    lines = []
    with Child(work) as child:
        for line in child.lines():
            if line == b"ask":
                child.answer(b"y")
            elif line is not None:
                lines.append(line)
    assert lines == [b"y"]


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda: os._exit(0), 0),
        (lambda: os._exit(7), 7),
        (lambda: sys.exit(0), 1),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), -9),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), -15),
        (lambda: os.killpg(0, signal.SIGINT), -2),
        (lambda: os.abort(), -6),
    ],
    ids=["exit-0", "exit-7", "sys.exit", "SIGKILL", "SIGTERM", "SIGINT", "abort"],
)
def test_how_a_child_ends_is_told_and_what_it_sent_before_is_kept(end, status):
    def work(channel):
        channel.send("first")
        end()
        channel.send("never")

    assert heard(work) == ([b"first"], status)


def test_what_a_child_prints_is_printed_by_its_parent(capsys):
    def work(channel):
        sys.stdout.write("out größer\n")
        sys.stderr.write("err\n")
        subprocess.run(["echo", "from a command"], check=True)

    heard(work)
    printed = capsys.readouterr()
    assert sorted(printed.out.splitlines()) == ["from a command", "out größer"]
    assert printed.err == "err\n"


def test_an_exception_ends_the_child_only_in_one_line_with_the_file_of_its_traceback(capsys):
    def work(channel):
        raise ValueError("a mistake")

    parent = os.getpid()
    assert heard(work) == ([], 1)
    assert os.getpid() == parent
    [line] = capsys.readouterr().err.splitlines()
    file = Path(line.removeprefix("ValueError: a mistake; its traceback is in "))
    assert "ValueError: a mistake" in file.read_text()
    file.unlink()


def test_a_thread_of_the_child_that_fails_says_so_in_a_line(capsys):
    def work(channel):
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()

    heard(work)
    [line] = capsys.readouterr().err.splitlines()
    said, _, file = line.partition("; its traceback is in ")
    assert said == "a thread of the run has ended: ZeroDivisionError: division by zero"
    Path(file).unlink()


def test_a_copy_that_the_child_forks_is_not_heard():
    def work(channel):
        if os.fork() == 0:
            channel.send("the copy")
        else:
            os.wait()
            channel.send("the child")

    assert heard(work) == ([b"the child"], 0)


def test_a_child_that_uses_openmp_after_its_parent_did_does_not_hang():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    values = torch.randn(400_000)
    try:
        expected = float(values.exp().sum())
        lines, status = heard(lambda channel: channel.send(repr(float(values.exp().sum()))))
    finally:
        torch.set_num_threads(before)
    assert (status, lines) == (0, [repr(expected).encode()])


def test_what_a_child_started_ends_with_it():
    def work(channel):
        started = subprocess.Popen(["sleep", "1000"])
        channel.send(str(started.pid))

    began = time.monotonic()
    [pid], status = heard(work)
    assert status == 0
    assert waited_for(lambda: not is_running(int(pid)))
    assert time.monotonic() - began < 10


def test_leaving_early_ends_the_child():
    def work(channel):
        channel.send("here")
        time.sleep(1000)

    with Child(work) as child:
        assert next(line for line in child.lines() if line is not None) == b"here"
    assert child.status == -9


ORPHAN = """
import os, sys, time
from stability.run.process.child import Child

def work(channel):
    channel.send(str(os.getpid()))
    time.sleep(1000)

with Child(work) as child:
    for line in child.lines():
        if line is not None:
            print(line.decode(), flush=True)
"""


def test_a_parent_without_stdout_hears_its_child():
    code = """
import os, sys
from stability.run.process.child import Child
with Child(lambda channel: (sys.stdout.write("lost"), channel.send("heard"))) as child:
    assert [line for line in child.lines() if line] == [b"heard"]
sys.exit(child.status + 5)
"""
    closed = ["sh", "-c", 'exec "$@" <&- >&-', "sh", sys.executable, "-c", code]
    done = subprocess.run(closed, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (5, b"")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_no_child_is_left_when_its_parent_is_killed(number):
    with subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.send_signal(number)
    assert waited_for(lambda: not is_running(pid))


def test_signals_of_the_terminal_go_to_the_parent_only():
    lines, _ = heard(lambda channel: channel.send(str(os.getpgid(0))))
    assert int(lines[0]) != os.getpgid(0)


def test_nothing_of_the_parents_files_is_left_open():
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        heard(lambda channel: None)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
