"""Renderers: each a pure function of a record and its judgement, one a file."""

from stability.report.github import render_github
from stability.report.html import render_html
from stability.report.junit import render_junit
from stability.report.markdown import render_markdown
from stability.report.steps.comparison import comparison_text, render_comparison, render_comparison_markdown
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
