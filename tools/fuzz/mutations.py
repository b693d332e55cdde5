"""Changing a valid file at random, mostly within its syntax, to reach what comes after the parser."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any, Literal

import yaml

from stability.reading import parse_yaml
from tools.fuzz.values import BYTES, LONG, NUMBERS, OF_YAML, TEXTS, WHOLE

Form = Literal["json", "lines", "yaml", "safetensors", "text"]

STRUCTURAL = 0.75  # the share of mutations that keep a file within its syntax


def mutated(content: bytes, form: Form, random: Random) -> bytes:
    """The content with one to three changes."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        content = _within(content, form, random) if random.random() < STRUCTURAL else _bytes(content, random)
    return content


def parses(content: bytes, form: Form) -> bool:
    """Whether a file gets past its first parse: it is UTF-8, and JSON or YAML where that is its form."""
    try:
        if form == "safetensors":
            return isinstance(json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]), dict)
        text = content.decode("utf-8")
        if form == "json":
            json.loads(text)
        elif form == "lines":
            for line in text.split("\n"):
                json.loads(line) if line.strip() else None
        elif form == "yaml":
            yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (ValueError, RecursionError, yaml.YAMLError):
        return False
    return True


def _within(content: bytes, form: Form, random: Random) -> bytes:
    """A change of the content's structure, if it has one; else of its bytes."""
    try:
        if form == "json":
            return _json(_tree(json.loads(content), random))
        if form == "lines":
            lines = [json.loads(line) for line in content.decode().split("\n") if line.strip()]
            return b"\n".join(map(_json, _entries(lines, random))) + b"\n"
        if form == "yaml":
            if random.random() < 0.3:
                return _in_yaml(content.decode(), random).encode("utf-8", "surrogatepass")
            return _json(_tree(parse_yaml(content.decode())[0], random))
        if form == "safetensors":
            length = int.from_bytes(content[:8], "little")
            header = _json(_tree(json.loads(content[8 : 8 + length]), random))
            return len(header).to_bytes(8, "little") + header + content[8 + length :]
    except (ValueError, RecursionError, TypeError, AttributeError, ArithmeticError, LookupError):
        pass  # an earlier change has left no structure
    return _bytes(content, random)


def _json(content: Any) -> bytes:
    return json.dumps(content, default=str).encode()


def _entries(lines: list[Any], random: Random) -> list[Any]:
    """The lines with one changed, or with lines left out, doubled or in another order."""
    if not lines or random.random() < 0.1:
        return [*lines, odd(random)]
    place = random.randrange(len(lines))
    action = random.randrange(6)
    if action == 0:
        return lines[:place] + lines[place + 1 :]
    if action == 1:
        return [*lines[:place], lines[place], *lines[place:]]
    if action == 2:
        return random.sample(lines, len(lines))
    return [*lines[:place], _tree(lines[place], random), *lines[place + 1 :]]


def _tree(content: Any, random: Random) -> Any:
    """Plain data with one node changed."""
    nodes: list[tuple[Any, Any]] = []
    stack = [content]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            keys: Any = list(node)
        elif isinstance(node, list):
            keys = range(min(len(node), 50))
        else:
            continue
        nodes += ((node, key) for key in keys)
        stack += (node[key] for key in keys)
    if not nodes or random.random() < 0.01:
        return odd(random)
    # Half of the changes are near the top: few nodes are there, and most depends on them.
    node, key = random.choice(nodes if random.random() < 0.5 else nodes[:40])
    _change(node, key, nodes, random)
    return content


def _change(node: Any, key: Any, nodes: list[tuple[Any, Any]], random: Random) -> None:
    value = node[key]
    action = random.randrange(12)
    if action == 0:
        del node[key]
    elif action == 1 and isinstance(node, dict):
        node[f"{key}{random.choice(TEXTS)}"] = node.pop(key)
    elif action == 1:
        node.insert(key, value)
    elif action == 2:
        other, at = random.choice(nodes)
        node[key] = json.loads(json.dumps(other[at]))
    elif action == 3:
        node[key] = [value]
    elif action == 4:
        node[key] = {random.choice(TEXTS): value}
    elif action == 5:
        node[key] = str(value)
    elif action == 6 and isinstance(value, list) and value:
        node[key] = value[: random.randrange(len(value))]
    elif action == 7 and isinstance(value, (int, float)) and not isinstance(value, bool):
        node[key] = random.choice((-value, value + 1, value - 1, value * 1000, float(value)))
    elif action == 8 and isinstance(value, dict) and value:
        node[key] = {name: odd(random) for name in value}
    else:
        node[key] = alike(value, random) if random.random() < 0.6 else odd(random)


def alike(value: Any, random: Random) -> Any:
    """Another value of the same kind, which a check of types lets through."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice(WHOLE)
    if isinstance(value, float):
        return random.choice(NUMBERS)
    if isinstance(value, str):
        return random.choice(TEXTS)
    return odd(random)


def odd(random: Random) -> Any:
    """A value that hardly anything expects."""
    kind = random.randrange(7)
    if kind == 0:
        return random.choice((None, True, False, [], {}, [[]], [{}], {"": None}))
    if kind in (1, 2):
        return random.choice(NUMBERS)
    if kind == 3:
        deep: Any = random.choice(TEXTS)
        for _ in range(random.choice((2, 60, 400))):
            deep = [deep] if random.random() < 0.5 else {"a": deep}
        return deep
    if kind == 4:
        return [random.choice(NUMBERS), random.choice(TEXTS), None]
    return "x" * LONG if random.random() < 0.02 else random.choice(TEXTS)


def _in_yaml(text: str, random: Random) -> str:
    """YAML with one value replaced by another that YAML, and only YAML, can say."""
    lines = text.split("\n")
    places = [
        number for number, line in enumerate(lines) if ":" in line and not line.lstrip().startswith("#")
    ]
    if not places:
        return random.choice(OF_YAML)
    place = random.choice(places)
    key, _, rest = lines[place].partition(":")
    value = random.choice(OF_YAML) if random.random() < 0.7 else json.dumps(odd(random))
    change: tuple[Callable[[], str], ...] = (
        lambda: f"{key}: {value}",
        lambda: f"{value}: {rest}",
        lambda: f"{key}:{rest}\n{value}",
        lambda: lines[place] + "\n" + lines[place],
    )
    lines[place] = random.choice(change[:1] * 5 + change[1:])()
    return "\n".join(lines)


def _bytes(content: bytes, random: Random) -> bytes:
    """Bytes flipped, cut out, doubled, put in, or cut off."""
    place = random.randrange(len(content) + 1)
    end = min(len(content), place + random.choice((1, 1, 2, 8, 100)))
    action = random.randrange(6)
    if action == 0 and place < len(content):
        return content[:place] + bytes([content[place] ^ 1 << random.randrange(8)]) + content[place + 1 :]
    if action == 1:
        return content[:place] + content[end:]
    if action == 2:
        return content[:end] + content[place:]
    if action == 3:
        return content[:place]
    if action == 4:
        return content[:place] + bytes(random.randrange(32, 127) for _ in range(3)) + content[end:]
    return content[:place] + random.choice(BYTES) + content[place:]
