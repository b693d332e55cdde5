"""The pytest plugin's reference: its options, markers and fixture, from the plugin itself."""

from __future__ import annotations

import inspect

from _pytest.config.argparsing import Parser
from sources import code, prose, table

from stability import pytest_plugin


def pytest_options() -> str:
    """The options, and the fixture's docstring."""
    parser = Parser(_ispytest=True)
    pytest_plugin.pytest_addoption(parser)
    rows = []
    for option in parser.getgroup("stability").options:
        attributes = option.attrs()
        words = " ".join([*option.names(), attributes.get("metavar") or ""]).strip()
        rows.append((code(words), prose(attributes["help"])))
    summary, _, example = (inspect.getdoc(pytest_plugin.stability_run) or "").partition("\n\n")
    parts = [
        "# pytest plugin",
        "[Suites as tests](pytest.md) says how it is used.",
        table(("option", "meaning"), rows),
        "## stability_run",
        prose(summary),
        f"```python\n{example}\n```",
    ]
    return "\n\n".join(parts) + "\n"
