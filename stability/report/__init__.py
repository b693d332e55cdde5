"""Renderers: each a pure function of a record and its judgement, one a file."""

from stability.report.html import render_html
from stability.report.junit import render_junit
from stability.report.markdown import render_markdown
from stability.report.terminal import render_terminal, terminal_text

__all__ = ["render_html", "render_junit", "render_markdown", "render_terminal", "terminal_text"]
