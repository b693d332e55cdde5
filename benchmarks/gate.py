"""A gate of two bfloat16 checkpoints on disk: against loading both, `memcmp`, and a plain read.

    python -m benchmarks.gate [--layers 5] [--repeats 3] [--folder /tmp]

Five layers of Llama-2-7B's shapes are 35 tensors and 1.9 GiB; one of them gets a rank-1 edit. The pair is
made below the folder, and removed. All ways run in one process, in turn, on the same files and on as many
threads; GB/s counts the bytes of both checkpoints, ratios are medians over the repeats, and `cold` means
dropped from the page cache. Where others use the machine too, CPU seconds (of all threads) say more than the
clock.

`whole` is everything that `stability gate` works out of weights. Its stages are `looking`, which finds the
tensors that differ; `change`, the norms of the one that does, and of the difference, and its rank; and
`peers`, the norms of that kind of matrix in the other layers. Peak memory is that of a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from stability.gate.files.folder import open_folder
from stability.gate.files.layout import Layout, lay_out
from stability.gate.weights.change import change_of
from stability.gate.weights.compare import compare, differing_tensors, norms
from stability.gate.weights.windows import same, threads

SHAPES = {
    **{f"self_attn.{name}_proj": (4096, 4096) for name in "qkvo"},
    "mlp.gate_proj": (11008, 4096),
    "mlp.up_proj": (11008, 4096),
    "mlp.down_proj": (4096, 11008),
}
EDITED = "model.layers.3.mlp.down_proj.weight"
BUFFER = 2**24
MEMCMP, LOADING = "memcmp of memory", "load both, subtract"
MEMORY = """
import re, sys
from pathlib import Path
from stability import api
report = api.gate(*sys.argv[1:])
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(int(peak[1]) / 1024, report.judgement.exit_status())
"""


def main() -> None:
    """Make the pair, print the figures, remove it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--memory-only", action="store_true", help="leave the races out")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as place:
        base, edited = Path(place, "base"), Path(place, "edited")
        make(base, asked.layers, shards=1, edit=False)
        make(edited, asked.layers, shards=3, edit=True)
        before, now = lay_out(open_folder(base)), lay_out(open_folder(edited))
        size = sum(tensor.size for tensor in (*before.tensors.values(), *now.tensors.values()))
        print(f"{len(before.tensors)} tensors, {size / 2**31:.2f} GiB each, {threads()} threads")
        figures(before, now)
        memory(base, edited)
        if not asked.memory_only:
            warm(before, now, size, asked.repeats)
            cold(before, now, size, asked.repeats)


def make(folder: Path, layers: int, shards: int, edit: bool) -> None:
    """Write a checkpoint of the same random layer over and over, in so many files."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    layer = {
        path: torch.empty(shape, dtype=torch.bfloat16).normal_(0, 0.02, generator=generator)
        for path, shape in SHAPES.items()
    }
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "num_hidden_layers": layers}))
    names = [(f"model.layers.{index}.{path}.weight", path) for index in range(layers) for path in SHAPES]
    weight_map = {}
    for shard in range(shards):
        file = folder / ("model.safetensors" if shards == 1 else f"model-{shard + 1:05}.safetensors")
        part = names[shard::shards]
        weight_map |= {name: file.name for name, _ in part}
        header, offset = {}, 0
        for name, path in part:
            size = 2 * layer[path].numel()
            header[name] = {
                "dtype": "BF16", "shape": list(layer[path].shape), "data_offsets": [offset, offset + size]
            }  # fmt: skip
            offset += size
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with file.open("wb") as stream:
            stream.write(len(text).to_bytes(8, "little") + text)
            for name, path in part:
                value = layer[path]
                if edit and name == EDITED:
                    left, right = (torch.randn(side, generator=generator) for side in value.shape)
                    value = (value.float() + 0.002 * torch.outer(left, right)).bfloat16()
                stream.write(value.view(torch.int16).numpy().data)
            stream.flush()
            os.fsync(stream.fileno())
    if shards > 1:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def figures(base: Layout, edited: Layout) -> None:
    """The edited tensor's figures against float64."""
    comparison = compare(base, edited)
    assert comparison.changed == (EDITED,), comparison.changed
    change = comparison.changes[EDITED]

    def exact(layout: Layout) -> torch.Tensor:
        tensor = layout.tensors[EDITED]
        raw = np.fromfile(tensor.file, np.int16, tensor.elements, offset=tensor.offset)
        return torch.from_numpy(raw).view(torch.bfloat16).double()

    before, now = exact(base), exact(edited)
    for name, ours, reference in (
        ("‖W‖", change.base_norm, before.norm().item()),
        ("‖W'‖", change.norm, now.norm().item()),
        ("‖ΔW‖", change.delta_norm, (now - before).norm().item()),
    ):
        print(f"  {name:5} {ours:.6f}  float64 {reference:.6f}  error {abs(ours / reference - 1):.0e}")
    print(f"  rank ΔW {change.rank}, {change.elements:,} elements differ")


def memory(base: Path, edited: Path) -> None:
    """Peak memory of a process that gates the pair."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(base), str(edited)], check=True, capture_output=True, text=True
    )
    peak, status = done.stdout.split()
    print(f"  peak memory {float(peak):.0f} MiB, exit status {status}")


def warm(base: Layout, edited: Layout, size: int, repeats: int) -> None:
    """From the page cache."""
    torch.set_num_threads(threads())
    kind = EDITED.rpartition("layers.3.")[2]
    peers = [name for name in base.tensors if name.endswith(kind) and name != EDITED]
    ways: dict[str, Callable[[], object]] = {
        MEMCMP: memcmp(size),
        "whole": lambda: compare(base, edited),
        "  looking": lambda: differing_tensors(base.tensors, edited.tensors, base.tensors),
        "  change": lambda: change_of(base.tensors[EDITED], edited.tensors[EDITED]),
        "  peers": lambda: norms([base.tensors[name] for name in peers], names=peers),
        LOADING: lambda: naive(base, edited),
    }
    times = race(ways, repeats, prepare=lambda: None)
    print("\nwarm")
    for way in ways:
        print(
            line(way, times[way], size),
            f"  of memcmp's rate: {ratio(times[MEMCMP], times[way]):5.2f}",
            f"  over loading both: {ratio(times[LOADING], times[way]):5.1f}",
        )


def cold(base: Layout, edited: Layout, size: int, repeats: int) -> None:
    """From the disk."""
    files = sorted({tensor.file for layout in (base, edited) for tensor in layout.tensors.values()})
    ways: dict[str, Callable[[], object]] = {
        "plain read": lambda: plain_read(files),
        "looking": lambda: differing_tensors(base.tensors, edited.tensors, base.tensors),
        "whole": lambda: compare(base, edited),
    }
    times = race(ways, repeats, prepare=lambda: drop(files))
    print("\ncold")
    for way in ways:
        share = ratio(times["plain read"], times[way])
        print(line(way, times[way], size) + f"   of the plain read's rate: {share:5.2f}")


@dataclass(frozen=True)
class Times:
    """Seconds by the clock and of all threads, one of each per repeat."""

    wall: list[float]
    cpu: list[float]


def race(
    ways: dict[str, Callable[[], object]], repeats: int, prepare: Callable[[], None]
) -> dict[str, Times]:
    """The times of each, run in turn, another one first in each repeat."""
    times = {way: Times([], []) for way in ways}
    for repeat in range(repeats):
        first = repeat % len(ways)
        order = [*ways.items()]
        for way, run in order[first:] + order[:first]:
            prepare()
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            times[way].wall.append(time.perf_counter() - wall)
            times[way].cpu.append(time.process_time() - cpu)
    return times


def line(way: str, times: Times, size: int) -> str:
    """A way's name, its times and its rate."""
    wall, cpu = statistics.median(times.wall), statistics.median(times.cpu)
    return f"  {way:20} {wall:7.3f} s {cpu:7.3f} s CPU {size / wall / 1e9:6.1f} GB/s"


def ratio(one: Times, other: Times) -> float:
    """The median of ratios taken within a repeat, by the clock."""
    return statistics.median(a / b for a, b in zip(one.wall, other.wall, strict=True))


def memcmp(size: int) -> Callable[[], None]:
    """Comparing so many bytes in memory, both sides together, on as many threads as the gate has."""
    half = 2**29
    sides = [np.ones(half, np.uint8), np.ones(half, np.uint8)]
    parts = [(start, min(start + BUFFER, half)) for start in range(0, half, BUFFER)]
    rounds = size / (2 * half)
    jobs = (parts * (int(rounds) + 1))[: int(rounds * len(parts))]

    def run() -> None:
        with ThreadPoolExecutor(threads()) as pool:
            list(pool.map(lambda one: same(sides[0][one[0] : one[1]], sides[1][one[0] : one[1]]), jobs))

    return run


def naive(base: Layout, edited: Layout) -> list[float]:
    """What one writes first: load both, subtract in float32."""
    before = {name: value for file in files_of(base) for name, value in load_file(file).items()}
    now = {name: value for file in files_of(edited) for name, value in load_file(file).items()}
    return [(now[name].float() - value.float()).norm().item() for name, value in before.items()]


def files_of(layout: Layout) -> list[Path]:
    """A layout's files."""
    return sorted({tensor.file for tensor in layout.tensors.values()})


def plain_read(files: list[Path]) -> None:
    """Read every byte, all files from front to end side by side, on as many threads as the gate has."""
    opened = {file: os.open(file, os.O_RDONLY) for file in files}
    for descriptor in opened.values():
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    jobs = sorted((start, file) for file in files for start in range(0, file.stat().st_size, BUFFER))
    buffers = threading.local()

    def read(job: tuple[int, Path]) -> None:
        start, file = job
        if not hasattr(buffers, "one"):
            buffers.one = bytearray(BUFFER)
        os.preadv(opened[file], [buffers.one], start)

    with ThreadPoolExecutor(threads()) as pool:
        list(pool.map(read, jobs))
    for descriptor in opened.values():
        os.close(descriptor)


def drop(files: list[Path]) -> None:
    """Put the files out of the page cache."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


if __name__ == "__main__":
    main()
