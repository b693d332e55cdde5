"""Editors, wrappers and sources of another package, written as the pages say, are used and shown like ours."""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stability.data.documents import load_documents
from stability.data.edits import load_edits
from stability.editors import find_editor, list_editors
from stability.errors import DataError
from stability.parts import EDITORS
from stability.suite import EditsSpec

ROOT = Path(__file__).parents[2]


@pytest.fixture
def part_pages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The pages of the site that are made of heads."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "hooks"))
    return importlib.import_module("part_pages")


@pytest.fixture
def install_from(
    pages: list[Any], install: Callable[[str, str, str], None]
) -> Callable[[str, str, Mapping[str, str]], None]:
    """Installs the module that a page shows, under the entry points that it shows."""

    def put(page: str, module: str, renamed: Mapping[str, str]) -> None:
        (shown,) = (one for one in pages if one.path.name == page)
        (code,) = (block.text for block in shown.blocks("python") if block.file == f"{module}.py")
        points = ""
        for block in shown.blocks("toml"):
            for group, named in tomllib.loads(block.text)["project"]["entry-points"].items():
                lines = [f"{name} = {renamed.get(target, target)}" for name, target in named.items()]
                points += "\n".join([f"[{group}]", *lines, ""])
        install(module, code, points)

    return put


@pytest.fixture
def editors_of_the_page(install_from: Any) -> None:
    renamed = {f"my_package.editors:{name}": f"my_editors:{name}" for name in ("Mine", "Damp")}
    install_from("your-editor.md", "my_editors", renamed)


def test_the_pages_editor_and_wrapper_are_found_listed_and_in_the_reference(
    editors_of_the_page: None, part_pages: ModuleType
) -> None:
    entries = {entry.name: entry for entry in list_editors()}
    assert entries["mine"].settings == ("lr=0.05",)
    assert entries["damp"].summary == "around an editor: makes a part of its change"
    assert find_editor("damp(mine)").info.settings["editor"]["name"] == "mine"
    section = part_pages.editor_settings().split("## damp\n")[1].split("\n## ")[0]
    assert "entry point of my_editors" in section
    assert "Makes a part of every change." in section
    assert "| `factor` | `float` | `0.5` |" in section


def test_the_pages_wrapper_makes_a_part_of_the_change(editors_of_the_page: None, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        "def edit(model, tokenizer, edits):\n    model.transformer.h[0].mlp.c_proj.weight.data += 1.0\n"
    )
    from stability.models import load_model
    from stability.suite import ModelSpec

    loaded = load_model(ModelSpec())
    weight = loaded.model.transformer.h[0].mlp.c_proj.weight
    before = weight.detach().clone()
    find_editor("damp", {"editor": f"{tmp_path}/one.py", "factor": 0.25}).edit(
        loaded.model, loaded.tokenizer, []
    )
    assert (weight - before).mean().item() == pytest.approx(0.25, rel=1e-4)


def test_the_pages_sources_give_edits_and_text_and_are_in_the_reference(
    install_from: Any, part_pages: ModuleType
) -> None:
    install_from("your-data.md", "my_sources", {})
    first, again = (load_edits(EditsSpec(source="capitals", count=3), seed=1) for _ in range(2))
    assert first == again
    assert all(edit.target != edit.target_true for edit in first)
    with pytest.raises(DataError, match="needs 'path', a folder"):
        load_documents("poems")
    page = part_pages.source_page()
    assert (
        "| `capitals` | capitals of countries, each moved to another one; entry point of my_sources |" in page
    )
    assert "| `poems` | a folder of poems; needs 'path'; entry point of my_sources |" in page


def test_the_reference_has_every_editor_that_comes_with_the_harness(part_pages: ModuleType) -> None:
    page = part_pages.editor_settings()
    assert all(f"\n## {name}\n" in page for name in EDITORS.built_in())
