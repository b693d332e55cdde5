"""Which files of a model's folder are its weights, by the precedence of transformers' loader. Loads no torch.

    adapter_config.json           a PEFT adapter: over the folder's own model or, if the folder has no
                                  config.json, over the model that it names
    transformers_weights          a key of config.json: the file that it names
    model.safetensors             whatever else is there: an index beside it is not read
    model.safetensors.index.json  every tensor of every shard that it names

Variants (`model.fp16.safetensors`), `consolidated.safetensors` and subfolders are not read. Pickles are
refused, and what transformers would load only in part, or can load in two ways.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stability.errors import ModelError, first_line
from stability.reading import UnreadableError, parse_json, read_text
from stability.world import MODEL as WORLD

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
WEIGHTS = "model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER = "adapter_model.safetensors"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
FEW_BLOCKS = 1_000
LONGEST_NAME = 255  # bytes of a file's name, of which no file system takes more
DEPTHS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
DISTRIBUTED = re.compile(r"shard-\d{5}-model-\d{5}-of-\d{5}\.safetensors")


@dataclass(frozen=True)
class WeightFiles:
    """The safetensors files that a model is read from, in the order in which they are read.

    `promised` says, for shards, in which file the index looks for each tensor; `adapter` is the file of an
    adapter that is laid over them; `unread` names other files of weights that lie in the folder.
    """

    files: tuple[Path, ...]
    promised: Mapping[str, str] = field(default_factory=dict)
    adapter: Path | None = None
    unread: tuple[str, ...] = ()


def model_folder(name: str) -> Path | None:
    """The folder that a model's name means; `world` is the built-in one's. None if it is a name on the hub.

    Raises:
        ModelError: it can only be a folder, and there is none.
    """
    if name == "world":
        return WORLD
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_absolute() or name.startswith((".", "~")):
        raise ModelError(f"no model at {name}: there is no such folder")
    return None


def weight_files(folder: Path) -> WeightFiles:
    """What transformers reads the weights of a folder with a config.json from.

    Raises:
        ModelError: a file that would be read is missing, or a pickle; there are no weights, or no index.
    """
    config = read_json(folder / CONFIG, "no model in it")
    if not isinstance(config, dict):
        raise ModelError(f"{folder / CONFIG} is not a model's configuration")
    named = config.get("transformers_weights")
    promised: Mapping[str, str] = {}
    if any(DISTRIBUTED.fullmatch(file.name) for file in folder.glob("shard-*.safetensors")):
        raise ModelError(
            f"the weights in {folder} are a distributed checkpoint (shard-….safetensors), which cannot be "
            "read here; save the model with save_pretrained"
        )
    if named is not None:
        source = _inside(folder, named, f"{folder / CONFIG}: transformers_weights")
    elif (folder / WEIGHTS).is_file():
        source = folder / WEIGHTS
    elif (folder / INDEX).is_file():
        source = folder / INDEX
    else:
        raise no_safetensors(folder)
    if source.name.endswith(".index.json"):
        promised = _weight_map(source)
        files = tuple(sorted({folder / shard for shard in promised.values()}))
    else:
        files = (source,)
    for file in files:
        if not file.is_file():
            raise ModelError(f"the model in {folder} is incomplete: {file.name} is missing")
    adapter = adapter_file(folder) if (folder / ADAPTER_CONFIG).is_file() else None
    read = {source, *files, adapter}
    others = (file for file in (*folder.glob("*.safetensors"), folder / INDEX) if file not in read)
    return WeightFiles(
        files, promised, adapter, tuple(sorted(file.name for file in others if file.is_file()))
    )


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds a PEFT adapter and no model, so that it is laid over the one that it names."""
    return (folder / ADAPTER_CONFIG).is_file() and not (folder / CONFIG).is_file()


def adapter_file(folder: Path) -> Path:
    """The weights of a folder's adapter.

    Raises:
        ModelError: they are missing, or a pickle.
    """
    if not (folder / ADAPTER).is_file():
        if (folder / "adapter_model.bin").is_file():
            raise _pickled(folder, "adapter_model.bin")
        raise ModelError(
            f"{folder / ADAPTER_CONFIG} says that an adapter is laid over the model, but {ADAPTER} is "
            f"missing; remove {ADAPTER_CONFIG} if the adapter was merged"
        )
    return folder / ADAPTER


def adapter_base(folder: Path) -> str:
    """The model that an adapter's configuration names: a folder, or a name on the hub.

    Raises:
        ModelError: it names none.
    """
    content = read_json(folder / ADAPTER_CONFIG, "no adapter")
    name = content.get("base_model_name_or_path") if isinstance(content, dict) else None
    if not isinstance(name, str) or not name:
        raise ModelError(f"{folder / ADAPTER_CONFIG} does not name the adapter's base_model_name_or_path")
    return name


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds a tokenizer; an adapter's need not."""
    return any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json"))


def read_json(file: Path, otherwise: str) -> Any:
    """The content of a JSON file.

    Raises:
        ModelError: it is missing, which means `otherwise`, or is not JSON.
    """
    try:
        return parse_json(read_text(file))
    except FileNotFoundError:
        raise ModelError(f"{otherwise}: {file} is missing") from None
    except (OSError, UnreadableError) as error:
        raise ModelError(f"{file} cannot be read as JSON: {first_line(error)}") from error


def refuse_more_blocks(file: Path, config: Mapping[str, Any], tensors: int) -> None:
    """See that a configuration has no more blocks than there are tensors: all of them would be built.

    A few are soon built, and what is wrong with them is said better where their tensors are looked for.

    Raises:
        ModelError: it has.
    """
    for part in (config, *(inner for inner in config.values() if isinstance(inner, dict))):
        for key in DEPTHS:
            if isinstance(part.get(key), int | float) and part[key] > max(tensors, FEW_BLOCKS):
                raise ModelError(f"{file}: {key} is {part[key]}, but the weights have {tensors} tensors")


def refuse_incomplete(name: str, loading: Mapping[str, Any]) -> None:
    """See that the weights that were loaded cover the model, by what transformers says of their loading.

    Raises:
        ModelError: they do not.
    """
    for problem in ("missing_keys", "mismatched_keys"):
        if loading.get(problem):
            names = sorted(str(key) for key in loading[problem])
            raise ModelError(
                f"model {name} is incomplete: {len(names)} {problem.replace('_', ' ')}, "
                f"first {names[0]}; its weights would be random"
            )


def no_safetensors(folder: Path) -> ModelError:
    """The error of a folder that has no weights by a name that is read; it names what is there instead."""
    pickles = sorted(file.name for pattern in PICKLES for file in folder.glob(pattern))
    if pickles:
        return _pickled(folder, pickles[0])
    others = sorted(file.name for ending in ("*.safetensors", "*.gguf") for file in folder.glob(ending))
    but = f"; {others[0]} is not read under that name" if others else ""
    return ModelError(f"no weights in {folder}: expected {WEIGHTS} or {INDEX}{but}")


def _pickled(folder: Path, name: str) -> ModelError:
    return ModelError(
        f"the weights in {folder} are a pickle ({name}), which can run code when opened and is "
        "refused; save the model as safetensors"
    )


def _weight_map(index: Path) -> dict[str, str]:
    """Which shard is to hold each tensor.

    Raises:
        ModelError: it is not an index that transformers can read.
    """
    content = read_json(index, "no index")
    shards = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(shards, dict) or not shards:
        raise ModelError(f"{index} has no weight_map that says which file holds each tensor")
    if not isinstance(content.get("metadata"), dict):
        raise ModelError(f"{index} has no metadata, without which transformers does not load it")
    for shard in shards.values():
        _inside(index.parent, shard, str(index))
    return shards


def _is_too_long(name: str) -> bool:
    return len(name.encode(errors="replace")) > LONGEST_NAME


def _inside(folder: Path, name: object, where: str) -> Path:
    """A file that is named somewhere, which has to lie in the folder itself and to be in safetensors."""
    if not isinstance(name, str) or Path(name).name != name or _is_too_long(name):
        raise ModelError(f"{where}: {name!r} is not the name of a file in the folder")
    if not name.endswith((".safetensors", ".safetensors.index.json")):
        raise _pickled(folder, name)
    return folder / name
