"""What a gate holds at once, measured in a process of its own: a few windows, whatever the size of a tensor."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

MIB = 2**20
MEASURE = """
import re, sys
from pathlib import Path

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

import stability.gate.gating
from stability.gate.weights.compare import compare
from stability.gate.files.folder import open_folder
from stability.gate.files.layout import lay_out
from stability.api import judge

before = peak()
comparison = compare(*(lay_out(open_folder(folder)) for folder in sys.argv[1:]))
(name,) = comparison.changed
print(peak() - before, comparison.changes[name].rank, comparison.changes[name].elements)
"""


def write(folder, rows, every):
    """A bfloat16 matrix of 4,096 columns of zeros, but for a row of ones now and then; written in pieces."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    size = rows * 4096 * 2
    header = json.dumps(
        {
            "model.layers.0.mlp.down_proj.weight": {
                "dtype": "BF16",
                "shape": [rows, 4096],
                "data_offsets": [0, size],
            }
        }
    ).encode()
    piece = bytearray(64 * 8192)
    if every:
        piece[:8192] = b"\x80\x3f" * 4096
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for _ in range(rows // 64):
            file.write(piece)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_bounded_however_large_a_changed_tensor_is(tmp_path):
    grown = {}
    for megabytes in (64, 256):
        rows = megabytes * MIB // 8192
        folders = [tmp_path / f"{name}{megabytes}" for name in ("base", "edited")]
        write(folders[0], rows, every=False)
        write(folders[1], rows, every=True)
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, *map(str, folders)], check=True, capture_output=True, text=True
        )
        mib, rank, elements = done.stdout.split()
        assert (int(rank), int(elements)) == (1, rows // 64 * 4096)
        grown[megabytes] = float(mib)
    assert grown[256] < 200  # both files are 512 MiB, in float32 1 GiB
    assert grown[256] < grown[64] + 60
