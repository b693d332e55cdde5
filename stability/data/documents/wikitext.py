"""WikiText-2, from the hub or from the folder STABILITY_DATA."""

from __future__ import annotations

import os
from pathlib import Path

from stability.errors import DataError
from stability.parts import SourceHead, part


@part(
    SourceHead(
        "wikitext",
        "WikiText-2's test split, from the hub or from STABILITY_DATA/corpus/wikitext2_test.txt",
    )
)
def wikitext(_path: str | None = None) -> tuple[str, ...]:
    """Articles of WikiText-2: a heading of the first level, ` = Title = `, begins one."""
    local = Path(os.environ.get("STABILITY_DATA", ""), "corpus", "wikitext2_test.txt")
    if os.environ.get("STABILITY_DATA") and local.is_file():
        # Not splitlines, which takes U+2028 and U+0085 for ends of lines, as the hub does not.
        lines = local.read_text(encoding="utf-8-sig").split("\n")
    else:
        lines = _lines_from_hub()
    articles: list[list[str]] = [[]]
    for line in map(str.strip, lines):
        if line.startswith("= ") and line.endswith(" =") and not line.startswith("= = "):
            articles.append([])
        if line:
            articles[-1].append(line)
    return tuple("\n".join(article) for article in articles if article)


def _lines_from_hub() -> list[str]:
    from datasets import load_dataset

    try:
        rows = load_dataset("Salesforce/wikitext", "wikitext-2-raw-v1", split="test")
    except (OSError, ValueError) as error:
        raise DataError(
            "wikitext: neither the hub nor STABILITY_DATA/corpus/wikitext2_test.txt can be read "
            f"({type(error).__name__}); set STABILITY_DATA, or give a file of your own with 'path'"
        ) from error
    return [str(line) for line in rows["text"]]
