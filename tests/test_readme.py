"""What the README shows works as pasted."""

import re
from pathlib import Path

import pytest

from stability.editors import find_editor
from stability.edits import load_edits
from stability.metrics import edit_outcomes
from stability.models import Snapshot, load_model
from stability.suite import EditsSpec, ModelSpec, parse_suite

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of that language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def test_the_readmes_suite_loads():
    (text,) = blocks(ROOT / "README.md", "yaml")
    assert parse_suite(text).spec.run.edits.count == 120


def test_the_readmes_editor_edits(tmp_path):
    text = next(block for block in blocks(ROOT / "README.md", "python") if block.startswith("# my_editor.py"))
    (tmp_path / "my_editor.py").write_text(text)
    editor = find_editor(f"{tmp_path / 'my_editor.py'}:edit")
    loaded = load_model(ModelSpec())
    pristine = Snapshot(loaded.model)
    edits = load_edits(EditsSpec(count=3), seed=0)
    for one in edits:
        editor.edit(loaded.model, loaded.tokenizer, [one])
        assert edit_outcomes(loaded.model, loaded.tokenizer, [one])[0].success
    assert pristine.changed(loaded.model) == ("transformer.h.0.mlp.c_proj.weight",)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_in_the_documents_is_python(document):
    for text in blocks(document, "python"):
        compile(text, document.name, "exec")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_documents_links_lead_somewhere(document):
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), target
