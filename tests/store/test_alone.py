"""Locks are files: one holder at a time, and none is left."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import pytest

from stability.store import alone as module
from stability.store.alone import alone


def test_one_at_a_time_and_no_file_is_left(tmp_path: Path) -> None:
    path, inside, seen = tmp_path / "one.lock", [], []

    def work() -> None:
        for _ in range(3):
            with alone(path):
                inside.append(1)
                seen.append(len(inside))
                time.sleep(0.002)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 18
    assert list(tmp_path.iterdir()) == []


def test_what_is_raised_inside_ends_it(tmp_path: Path) -> None:
    for _ in range(2):
        try:
            with alone(tmp_path / "one.lock"):
                raise ValueError
        except ValueError:
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_a_killed_process_has_left_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "one.lock").touch()
    with alone(tmp_path / "one.lock"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("silent", "times"), [(0.0, 1), (1e9, 0)])
def test_who_waits_for_another_says_so_once_and_only_after_a_while(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    silent: float,
    times: int,
) -> None:
    path, tries = tmp_path / "one.lock", threading.Semaphore(0)
    monkeypatch.setattr(module, "SILENT", silent)
    monkeypatch.setattr(module, "PAUSE", 0.0)
    monkeypatch.setattr(module.time, "sleep", lambda pause: tries.release())

    def wait() -> None:
        with alone(path):
            pass

    waiting = threading.Thread(target=wait)
    with caplog.at_level(logging.WARNING), alone(path):
        waiting.start()
        for _ in range(5):  # it tries again and again
            assert tries.acquire(timeout=60)
    waiting.join()
    assert [record.getMessage() for record in caplog.records] == [
        f"waiting for another process, which computes what is needed here: {path}"
    ] * times
