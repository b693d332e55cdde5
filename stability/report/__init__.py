"""Renderers, one per file: each is a pure function of a record and its judgement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stability.lazy import attributes_from

if TYPE_CHECKING:
    from stability.report.github import render_github
    from stability.report.html import render_html
    from stability.report.junit import render_junit
    from stability.report.markdown import render_markdown
    from stability.report.steps.comparison import (
        comparison_text,
        render_comparison,
        render_comparison_markdown,
    )
    from stability.report.terminal import render_terminal, terminal_text

__all__ = [
    "comparison_text",
    "render_comparison",
    "render_comparison_markdown",
    "render_github",
    "render_html",
    "render_junit",
    "render_markdown",
    "render_terminal",
    "terminal_text",
]

__getattr__ = attributes_from(
    __name__,
    {
        "stability.report.github": ("render_github",),
        "stability.report.html": ("render_html",),
        "stability.report.junit": ("render_junit",),
        "stability.report.markdown": ("render_markdown",),
        "stability.report.steps.comparison": (
            "comparison_text",
            "render_comparison",
            "render_comparison_markdown",
        ),
        "stability.report.terminal": ("render_terminal", "terminal_text"),
    },
)
