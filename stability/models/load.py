"""Loading a model with its tokenizer, from a folder or the hub: safetensors only, complete, or an error."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from stability.errors import ModelError, first_line
from stability.models.files import INDEX, WEIGHTS, no_safetensors
from stability.models.memory import kind_of
from stability.models.tokens import Tokenizer
from stability.suite import ModelSpec
from stability.world import MODEL as WORLD

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedModel:
    """A language model, its tokenizer and the name that the suite calls it by."""

    model: nn.Module
    tokenizer: Tokenizer
    name: str


def load_model(spec: ModelSpec, *, trust_remote_code: bool = False) -> LoadedModel:
    """Load what the suite names: in eval mode, no parameter requiring a gradient.

    `world` is the built-in model; another name is a folder if there is one, else looked up on the hub. The
    device, if none is named, is the first accelerator, else the CPU.

    Raises:
        ModelError: the folder, or a file in it, is missing or truncated; weights are in pickles only, or do
            not cover the model; the hub has no such model or cannot be reached.
    """
    folder = _folder(spec.name)
    if folder is not None:
        check_folder(folder)
    source = str(folder) if folder is not None else spec.name
    common = {"revision": spec.revision, "trust_remote_code": trust_remote_code}
    dtype = "auto" if spec.dtype == "auto" else getattr(torch, spec.dtype)
    try:
        with _no_progress_bars():
            tokenizer = AutoTokenizer.from_pretrained(source, **common)
            model, loading = AutoModelForCausalLM.from_pretrained(
                source,
                dtype=dtype,
                device_map=spec.device_map,
                use_safetensors=True,
                output_loading_info=True,
                **common,
            )
    except (OSError, ValueError, SafetensorError, ImportError) as error:
        raise ModelError(f"cannot load model {spec.name}: {first_line(error)}") from error
    for problem in ("missing_keys", "mismatched_keys"):
        if loading.get(problem):
            names = sorted(str(key) for key in loading[problem])
            raise ModelError(
                f"model {spec.name} is incomplete: {len(names)} {problem.replace('_', ' ')}, "
                f"first {names[0]}; its weights would be random"
            )
    if spec.device_map is None:
        device = spec.device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            model.to(device)
        except (RuntimeError, AssertionError) as error:
            raise ModelError(
                f"cannot move model {spec.name} to {device}: {first_line(error)}",
                kind=kind_of(error, "model_unusable"),
            ) from error
    model.eval().requires_grad_(False)
    log.info("loaded %s: %s", spec.name, type(model).__name__)
    return LoadedModel(model, tokenizer, spec.name)


def model_depth(spec: ModelSpec) -> int | None:
    """The number of the model's blocks as its configuration has it; None if there is no telling."""
    try:
        folder = _folder(spec.name)
        source = str(folder) if folder is not None else spec.name
        config = AutoConfig.from_pretrained(source, revision=spec.revision, trust_remote_code=False)
    except (ModelError, OSError, ValueError):
        return None
    depth = getattr(config, "num_hidden_layers", None)
    return depth if isinstance(depth, int) else None


def _folder(name: str) -> Path | None:
    """The folder that a model's name means; None if it is a name on the hub."""
    if name == "world":
        return WORLD
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_absolute() or name.startswith((".", "~")):
        raise ModelError(f"no model at {name}: there is no such folder")
    return None


def check_folder(folder: Path) -> None:
    """See that a model's folder has its configuration and whole safetensors files.

    Raises:
        ModelError: naming the file that is missing, truncated or a pickle.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(f"no model in {folder}: config.json is missing")
    for file in _weight_files(folder):
        if not file.is_file():
            raise ModelError(f"the model in {folder} is incomplete: {file.name} is missing")
        try:
            with safe_open(file, framework="pt") as opened:
                opened.keys()
        except SafetensorError as error:
            raise ModelError(
                f"{file} is truncated or damaged ({first_line(error)}); copy it again"
            ) from error


def _weight_files(folder: Path) -> list[Path]:
    index = folder / INDEX
    if index.is_file():
        try:
            shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, AttributeError) as error:
            raise ModelError(f"{index} is not a safetensors index: {first_line(error)}") from error
        return [folder / shard for shard in sorted(shards)]
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    raise no_safetensors(folder)


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
