"""The first signal lets a command finish what it writes, the second ends it at once."""

import signal
import subprocess
import sys

import pytest

from stability.cli.steps.interruption import TerminatedError, interruptible, interruption

SLOW = """
import signal, sys, time
from stability.cli.steps.interruption import interruptible, interruption
signal.signal(signal.SIGINT, signal.default_int_handler)
with interruptible():
    try:
        print("working", flush=True)
        time.sleep(1000)
    except KeyboardInterrupt as error:
        print(*interruption(error), flush=True)
        try:
            time.sleep(1000)
        finally:
            print("never")
"""


@pytest.fixture
def slow():
    process = subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "working\n"
    yield process
    process.kill()
    process.stdout.close()


@pytest.mark.parametrize(
    ("first", "second", "word", "status"),
    [
        (signal.SIGINT, signal.SIGINT, "interrupted 130", 130),
        (signal.SIGTERM, signal.SIGTERM, "terminated 143", 143),
        (signal.SIGTERM, signal.SIGINT, "terminated 143", 130),
    ],
    ids=["INT-INT", "TERM-TERM", "TERM-INT"],
)
def test_the_first_signal_raises_and_the_second_ends_at_once(slow, first, second, word, status):
    slow.send_signal(first)
    assert slow.stdout.readline() == f"{word}\n"
    slow.send_signal(second)
    assert slow.wait(20) == status
    assert slow.stdout.read() == ""


def test_handlers_are_put_back():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with interruptible():
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_signal_that_a_process_was_started_to_ignore_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible():
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(TerminatedError) as told:
                signal.raise_signal(signal.SIGTERM)
        assert interruption(told.value) == ("terminated", 143)
    finally:
        signal.signal(signal.SIGINT, before)
