"""Two configurations against each other: what decides how a model computes, and how it generates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stability.errors import ModelError, first_line
from stability.gate.files.folder import Folder
from stability.models.configuration import computing_keys
from stability.models.files import CONFIG, read_json

GENERATION = "generation_config"
OF_SAVING = ("transformers_version", "_from_model_config")
ENDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def config_differences(base: Folder, edited: Folder) -> dict[str, tuple[Any, Any]]:
    """The keys, dotted, whose values differ, with both values; None means that a key is missing.

    Where the files differ, both are read as transformers reads them, so that a default that one of them
    leaves out, or an older spelling, is no difference. Keys of generation_config.json begin with
    `generation_config`; code that a configuration names (`auto_map`) differs under its file's name.
    """
    found = _differences(base.config, edited.config)
    if found and base.config.get("model_type") == edited.config.get("model_type") and _is_known(base):
        found = _differences(_completed(base), _completed(edited))
    return {**found, **_generation_differences(base, edited), **_code_differences(base, edited)}


def default_of(folder: Folder, key: str) -> Any:
    """What transformers takes a key of the configuration to be; None if it does not know the model."""
    return _completed(folder).get(key) if _is_known(folder) else None


def _flat(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested keys in dots."""
    result: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            result |= _flat(value, f"{above}{key}.")
        else:
            result[f"{above}{key}"] = value
    return result


def _differences(base: Mapping[str, Any], edited: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    was, now = _flat(computing_keys(base)), _flat(computing_keys(edited))
    pairs = {key: (was.get(key), now.get(key)) for key in sorted(was.keys() | now.keys())}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _is_known(folder: Folder) -> bool:
    """Whether transformers itself has a configuration of that type; code of a repository is not run."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    return folder.config.get("model_type") in CONFIG_MAPPING


def _completed(folder: Folder) -> Mapping[str, Any]:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(str(folder.path), trust_remote_code=False)
        content: Mapping[str, Any] = config.to_dict()
    except Exception as error:  # transformers raises anything of what is in a file
        raise ModelError(
            f"{folder.path / CONFIG} is no configuration of a known model: {first_line(error)}"
        ) from error
    return content


def _generation_differences(base: Folder, edited: Folder) -> dict[str, tuple[Any, Any]]:
    """What generation_config.json decides; a file that is missing means the configuration's own values."""
    one, other = (_generation_file(folder.path) for folder in (base, edited))
    if one == other and (one is not None or base.config == edited.config):
        return {}
    if (one is None or other is None) and not (_is_known(base) and _is_known(edited)):
        was, now = _flat(one or {}), _flat(other or {})
    else:
        was, now = (_flat(_generation(folder)) for folder in (base, edited))
    keys = sorted((was.keys() | now.keys()) - set(OF_SAVING))
    pairs = {f"{GENERATION}.{key}": (_one(key, was.get(key)), _one(key, now.get(key))) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _generation_file(folder: Path) -> Mapping[str, Any] | None:
    file = folder / f"{GENERATION}.json"
    if not file.is_file():
        return None
    content = read_json(file, "no generation configuration")
    if not isinstance(content, dict):
        raise ModelError(f"{file} is no generation configuration: expected a mapping")
    return {key: value for key, value in content.items() if key not in OF_SAVING}


def _generation(folder: Folder) -> Mapping[str, Any]:
    """The whole of what a model would generate by, as transformers completes it."""
    from transformers import AutoConfig, GenerationConfig

    content = _generation_file(folder.path)
    try:
        if content is None:
            config = AutoConfig.from_pretrained(str(folder.path), trust_remote_code=False)
            made = GenerationConfig.from_model_config(config)
        else:
            made = GenerationConfig.from_dict(dict(content))
        # Newer versions leave out what is not set, and fill it in when they generate.
        defaults: dict[str, Any] = getattr(GenerationConfig, "_get_default_generation_params", dict)()
        said = {key: value for key, value in made.to_dict().items() if value is not None}
        completed: Mapping[str, Any] = {**defaults, **said}
    except Exception as error:  # transformers raises anything of what is in a file
        raise ModelError(
            f"{folder.path / GENERATION}.json cannot be read as transformers does: {first_line(error)}"
        ) from error
    return completed


def _one(key: str, value: Any) -> Any:
    """A list of one token where a token may stand."""
    return value[0] if key in ENDS and isinstance(value, list) and len(value) == 1 else value


def _code_differences(base: Folder, edited: Folder) -> dict[str, tuple[Any, Any]]:
    """Files of code that belong to a model which is loaded by code of its own."""
    if not ("auto_map" in base.config or "auto_map" in edited.config):
        return {}
    names = sorted({file.name for folder in (base, edited) for file in folder.path.glob("*.py")})

    def text(folder: Folder, name: str) -> str | None:
        file = folder.path / name
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else None

    pairs = {name: (text(base, name), text(edited, name)) for name in names}
    return {name: _said(pair) for name, pair in pairs.items() if pair[0] != pair[1]}


def _said(pair: tuple[str | None, str | None]) -> tuple[str | None, str | None]:
    return ("missing" if pair[0] is None else "code", "missing" if pair[1] is None else "other code")
