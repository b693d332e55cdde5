"""A renderer: a line for each verdict."""

from __future__ import annotations

from stability.parts import RendererHead, part


@part(RendererHead("tsv", "a line for each verdict, its parts between tabs", file="verdicts.tsv"))
def render_tsv(record, judgement):
    """`editor, check, status, value`, between tabs."""
    rows = [
        (v.editor, v.check, v.status, f"{v.value:.6g}") for v in judgement.verdicts if v.value is not None
    ]
    return "".join("\t".join(row) + "\n" for row in rows)
