"""The layout that docs/architecture.md describes: one rule, floors, and names that mean one thing."""

import ast
import importlib
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from stability import parts
from stability.parts import Kind

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "stability"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
KINDS = [value for value in vars(parts).values() if isinstance(value, Kind)]


def modules(folder):
    """The modules in a package's folder and in its folders, but for those that hold what parts share."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name not in parts.SHARED:
            yield from modules(path)
        elif path.suffix == ".py" and path.name != "__init__.py":
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.noun)
def test_a_file_of_a_room_of_parts_holds_what_a_user_can_name(kind):
    named = {part.made.__module__ for other in KINDS for part in other.built_in().values()}
    folders = [PACKAGE.joinpath(*package.split(".")[1:]) for package in kind.packages]
    assert [module for folder in folders for module in modules(folder) if module not in named] == []


def test_a_class_name_means_one_thing_in_the_whole_package():
    names = Counter(
        node.name
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, times in names.items() if times > 1] == []


def test_the_page_on_the_architecture_shows_the_floors_that_are_checked():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (layers,) = (one["layers"] for one in contracts["contracts"] if one["type"] == "layers")
    block = PAGE.partition("## The floors\n\n")[2].partition("\n\n")[0]
    shown = [set(re.findall(r"[a-z_]{2,}", line)) - {"floor"} for line in block.splitlines()]
    assert shown == [set(re.findall(r"\w+", layer)) for layer in layers]


def test_every_file_that_the_page_on_the_architecture_names_is_there():
    named = set(re.findall(r"`((?:stability|tests|tools|docs)/[\w./-]+)`", PAGE))
    assert len(named) >= 10
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_module_can_be_imported_by_its_name():
    for module in modules(PACKAGE):
        if not module.endswith("__main__"):
            importlib.import_module(module)
