"""Everything that figures of an unedited model depend on, as keys of the store."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import platform
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from stability.data.edits import load_stream
from stability.imports import own_files
from stability.metrics import Context, Metric
from stability.models import tokenizer_fingerprint, tokenizer_parts
from stability.models.tokens import Tokenizer
from stability.parts import METRICS
from stability.run.points.fit import stream_fingerprint
from stability.run.surroundings import read_flags
from stability.suite import SuiteSpec

PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "lm-eval", "datasets", "scikit-learn", "peft")
HARNESS = Path(__file__).parents[1]
ROOMS = ("metrics", "models", "record", "world")  # whose code decides what is measured
NO_MATTER = ("the working directory", "numpy's error handling")
LARGE = 2**24  # bytes of a file of documents above which its date stands for its content
TOKENIZING = (
    "model_max_length",
    "padding_side",
    "truncation_side",
    "add_bos_token",
    "add_eos_token",
    "add_prefix_space",
    "clean_up_tokenization_spaces",
    "split_special_tokens",
)


class BaseKeys:
    """The keys of one unedited model's figures, where it is measured on one text by one suite."""

    def __init__(self, context: Context, identity: str) -> None:
        self._suite, self._text, self._streams = context.suite, context.text, context.streams
        self._common = of_model(context.tokenizer, identity)

    def of_observation(self) -> dict[str, Any]:
        """Of the pass over the text."""
        return {
            **self._common,
            "of": "observation",
            "text": self._of_text(),
            "features": self._suite.probes.tokens,
        }

    def of_metric(self, name: str, metric: Metric) -> dict[str, Any]:
        """Of a metric's reading, and what it has fitted."""
        known = {
            "text": self._of_text,
            "probes": self._of_probes,
            "tasks": self._of_tasks,
            "edits": self._of_edits,
        }
        key: dict[str, Any] = {**self._common, "of": name}
        key |= {part: known[part]() for part in metric.depends_on}
        if name not in METRICS.built_in():
            file = inspect.getsourcefile(type(metric))
            key["its code"] = "" if file is None else files_digest(own_files(Path(file)))
            checks = (check for check in self._suite.checks.values() if check.metric == name)
            key["its checks"] = [check.model_dump(mode="json") for check in checks]
        return key

    def _of_text(self) -> Any:
        documents = hashlib.sha256(json.dumps(self._text.document).encode()).hexdigest()
        return [self._text.fingerprint, documents, self._suite.text.skip_tokens]

    def _of_probes(self) -> Any:
        return self._suite.probes.model_dump(mode="json")

    def _of_edits(self) -> Any:
        run = self._suite.run
        stream = load_stream(run.edits.model_copy(update={"count": 1}), run.seeds[0])
        made = {str(seed): stream_fingerprint(edits) for seed, edits in self._streams.items()}
        return [stream_fingerprint(stream), made, self._suite.untouched.model_dump(mode="json")]

    def _of_tasks(self) -> Any:
        return of_tasks(self._suite)


def of_model(tokenizer: Tokenizer, identity: str) -> dict[str, Any]:
    """What every figure of an unedited model depends on: it, its tokenizer, the machine, and the code."""
    return {
        "what": "unedited model",
        "weights": identity,
        "tokenizer": [
            type(tokenizer).__name__,
            tokenizer_fingerprint(tokenizer),
            tokenizer_parts(tokenizer),
            {name: str(getattr(tokenizer, name, None)) for name in TOKENIZING},
        ],
        "machine": [platform.machine(), processor(), torch.backends.cpu.get_cpu_capability()],
        "flags": {name: str(flag) for name, flag in read_flags().items() if name not in NO_MATTER},
        "versions": {name: metadata.version(name) for name in (*PACKAGES, "stability-harness")},
        "python": platform.python_version(),
        "code": files_digest(_harness_files()),
    }


def of_tasks(suite: SuiteSpec) -> Any:
    """The tasks that a suite names, how they are run, and the content of the folders that they come from."""
    spec = suite.tasks
    folders = [spec.include_path, spec.data or os.environ.get("STABILITY_DATA")]
    return {
        "names": suite.task_names,
        "clusters": suite.clusters,
        "settings": spec.model_dump(mode="json", exclude={"include_path", "data"}),
        "folders": [None if folder is None else folder_digest(Path(folder)) for folder in folders],
    }


def folder_digest(folder: Path) -> str:
    """SHA-256 of the files of a folder by their paths in it; of large ones size and date count."""
    found = hashlib.sha256()
    root = folder.expanduser()
    for file in sorted(root.rglob("*")):
        if file.is_file():
            status = file.stat()
            large = status.st_size > LARGE
            content = str(status.st_mtime_ns) if large else hashlib.sha256(file.read_bytes()).hexdigest()
            found.update(json.dumps([str(file.relative_to(root)), status.st_size, content]).encode())
    return found.hexdigest()


def files_digest(files: Iterable[Path]) -> str:
    """SHA-256 of files' names and content, in this order."""
    found = hashlib.sha256()
    for file in files:
        content = file.read_bytes() if file.is_file() else b""
        found.update(json.dumps([file.name, hashlib.sha256(content).hexdigest()]).encode())
    return found.hexdigest()


def processor() -> str:
    """The processor's name, for libraries may compute other bits on another."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _harness_files() -> Iterator[Path]:
    for room in ROOMS:
        for folder in (HARNESS / room, *sorted(one for one in (HARNESS / room).rglob("*") if one.is_dir())):
            yield from sorted(file for file in folder.iterdir() if file.suffix in (".py", ".yaml", ""))
