"""Two tokenizers against each other: all that decides which ids a text becomes, and what is put round it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stability.errors import ModelError, first_line
from stability.models.files import read_json

RULES = "tokenizer.json"
FILES = (
    RULES,
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "added_tokens.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)
OF_A_CALL = ("padding", "truncation", "version")  # calling a tokenizer changes the first two
SETTINGS = ("add_bos_token", "add_eos_token", "chat_template")


def tokenizer_differences(base: Path, edited: Path) -> tuple[str, ...]:
    """The parts in which the tokenizers of two folders differ, such as `vocab` or `eos_token`, sorted.

    Raises:
        ModelError: a file is not JSON, or the tokenizers are kept in different forms and cannot be loaded.
    """
    before, now = files(base), files(edited)
    if before == now:
        return ()
    if not before or not now:
        return (f"{'base' if not before else 'edited'} has none",)
    if RULES in before and RULES in now:
        one, other = _rules(base), _rules(edited)
    else:
        one, other = _loaded_rules(base), _loaded_rules(edited)
    one, other = one | _settings(base), other | _settings(edited)
    return tuple(sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key)))


def files(folder: Path) -> dict[str, bytes]:
    """The tokenizer's files that are there, by name."""
    return {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()}


def files_fingerprint(folder: Path) -> str:
    """SHA-256, hexadecimal, over the tokenizer's files; "" if there are none."""
    found = files(folder)
    digest = hashlib.sha256()
    for name, content in found.items():
        digest.update(json.dumps([name, len(content)]).encode() + content)
    return digest.hexdigest() if found else ""


def _rules(folder: Path) -> dict[str, Any]:
    content = read_json(folder / RULES, "no tokenizer")
    if not isinstance(content, dict):
        raise ModelError(f"{folder / RULES} is no tokenizer: expected a mapping")
    return _parts(content)


def _parts(content: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a tokenizer.json; those of its model one by one, merges in one spelling."""
    parts = {key: value for key, value in content.items() if key not in OF_A_CALL and value is not None}
    model = parts.pop("model", None)
    if isinstance(model, Mapping):
        parts |= {key: value for key, value in model.items() if value is not None}
    if isinstance(parts.get("merges"), list):
        parts["merges"] = [
            " ".join(map(str, merge)) if isinstance(merge, list) else merge for merge in parts["merges"]
        ]
    return parts


def _loaded_rules(folder: Path) -> dict[str, Any]:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder))
    except Exception as error:  # tokenizers raises a bare one
        raise ModelError(f"cannot load the tokenizer in {folder}: {first_line(error)}") from error
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return {"vocab": tokenizer.get_vocab()}
    return _parts(json.loads(backend.to_str()))


def _settings(folder: Path) -> dict[str, Any]:
    """Special tokens, what is put round a text, and the chat template."""
    settings: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        content = read_json(folder / name, "no tokenizer") if (folder / name).is_file() else {}
        for key, value in content.items() if isinstance(content, Mapping) else ():
            if key in SETTINGS or (key.endswith("_token") and not key.startswith("add_")):
                settings[key] = value.get("content") if isinstance(value, Mapping) else value
    template = folder / "chat_template.jinja"
    if template.is_file():
        settings["chat_template"] = template.read_text(encoding="utf-8", errors="replace")
    return {key: value for key, value in settings.items() if value is not None and value is not False}
