"""Text by name: what a model is measured on, and what editors draw their statistics from."""

from __future__ import annotations

import os
from pathlib import Path

from stability.errors import DataError
from stability.world import build_world
from stability.world.text import covariance_documents, fact_documents, heldout_documents

TEXT_SOURCES = {
    "world": "the built-in world's held-out text",
    "world_training": "text like that which the built-in model was trained on",
    "other_world": "the same words about another world: the built-in model knows them, but not the facts",
    "wikitext": "WikiText-2's test split, from the hub or from STABILITY_DATA/corpus/wikitext2_test.txt",
    "file": "a UTF-8 text file, its documents parted by blank lines; needs 'path'",
}


def load_documents(source: str, path: str | None = None) -> tuple[str, ...]:
    """The documents of a named source, or of the file at `path`, always in the same order.

    Raises:
        DataError: no such source or file, or nothing in it.
    """
    if path is not None or source == "file":
        return _from_file(path)
    if source == "world":
        return tuple(heldout_documents(build_world()))
    if source == "world_training":
        return tuple(covariance_documents(build_world()))
    if source == "other_world":
        return tuple(fact_documents(build_world(seed=1), count=1000))
    if source == "wikitext":
        return _wikitext()
    raise DataError(
        f"no text is called {source!r}; known: {', '.join(TEXT_SOURCES)}; or give a file with 'path'"
    )


def _from_file(path: str | None) -> tuple[str, ...]:
    if path is None:
        raise DataError("text source 'file' needs 'path', a UTF-8 text file")
    try:
        content = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot read it as UTF-8 text: {error}") from error
    return _paragraphs(content, path)


def _paragraphs(content: str, origin: str) -> tuple[str, ...]:
    documents = tuple(part.strip() for part in content.split("\n\n") if part.strip())
    if not documents:
        raise DataError(f"{origin}: holds no text")
    return documents


def _wikitext() -> tuple[str, ...]:
    """Articles of WikiText-2: a heading of the first level, ` = Title = `, begins one."""
    local = Path(os.environ.get("STABILITY_DATA", ""), "corpus", "wikitext2_test.txt")
    if os.environ.get("STABILITY_DATA") and local.is_file():
        lines = local.read_text(encoding="utf-8").splitlines()
    else:
        lines = _wikitext_lines_from_hub()
    articles: list[list[str]] = [[]]
    for line in map(str.strip, lines):
        if line.startswith("= ") and line.endswith(" =") and not line.startswith("= = "):
            articles.append([])
        if line:
            articles[-1].append(line)
    return tuple("\n".join(article) for article in articles if article)


def _wikitext_lines_from_hub() -> list[str]:
    from datasets import load_dataset

    try:
        rows = load_dataset("Salesforce/wikitext", "wikitext-2-raw-v1", split="test")
    except (OSError, ValueError) as error:
        raise DataError(
            "wikitext: neither the hub nor STABILITY_DATA/corpus/wikitext2_test.txt can be read "
            f"({type(error).__name__}); set STABILITY_DATA, or give a file of your own with 'path'"
        ) from error
    return [str(line) for line in rows["text"]]
