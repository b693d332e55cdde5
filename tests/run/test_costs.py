from __future__ import annotations

import subprocess
import sys
import time

import pytest

from stability.run.costs import measuring_costs, peak_memory


def test_the_peak_grows_with_what_the_process_holds() -> None:
    before = peak_memory()
    assert before is not None
    held = b"x" * (2**20 * int(before + 64))
    assert (peak_memory() or 0) > before + 32
    del held


def test_a_system_that_does_not_tell_leaves_memory_out_of_the_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)  # importing it fails, as on Windows
    assert peak_memory() is None
    assert set(measuring_costs(time.perf_counter())) == {"measure_seconds"}


def test_costs_can_be_counted_without_torch() -> None:
    code = "import sys; from stability.run.costs import peak_memory; assert peak_memory(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
