"""The pages of the site that are made when it is built, from the sources that they describe."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from command_pages import command_line
from metric_page import metric_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from part_pages import editor_settings, source_page
from plugin_page import pytest_options
from schema_pages import json_schema, record_page, suite_page

import stability
from stability import testing
from stability.record import Record
from stability.suite import SuiteSpec

ROOT = Path(__file__).resolve().parents[2]
SUITES = sorted((ROOT / "suites").glob("*.stability.yaml"))


def suites() -> str:
    """The suites that come with the harness, in full."""
    parts = ["# The suites that come with it", "In `suites/` of the repository, as they stand there."]
    for file in SUITES:
        parts += [f"## {_suite_name(file)}", f"```yaml\n{file.read_text(encoding='utf-8')}```"]
    return "\n\n".join(parts) + "\n"


def python_api() -> str:
    """The public names, documented by their docstrings."""
    parts = [
        "# Python API",
        (stability.__doc__ or "").strip(),
        "The public names of the package `stability`:",
    ]
    parts += [f"::: {getattr(stability, name).__module__}.{name}" for name in stability.__all__]
    parts += ["Judging a record that is there, and gating two checkpoints:"]
    parts += ["::: stability.api.judge", "::: stability.api.gate"]
    parts += ["## stability.testing", _opening(testing)]
    parts += [f"::: stability.testing.conformance.{name}" for name in testing.__all__]
    parts += ["## stability.errors", "::: stability.errors\n    options: {show_root_heading: false}"]
    return "\n\n".join(parts) + "\n"


def changelog() -> str:
    """The changelog, as it stands in the repository."""
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").replace("(docs/", "(")


PAGES: Mapping[str, Callable[[], str]] = {
    "changelog.md": changelog,
    "command-line.md": command_line,
    "editor-settings.md": editor_settings,
    "metrics.md": metric_page,
    "pytest-options.md": pytest_options,
    "python-api.md": python_api,
    "record-schema.md": record_page,
    "sources.md": source_page,
    "record.schema.json": lambda: json_schema(Record),
    "suite-schema.md": suite_page,
    "suite.schema.json": lambda: json_schema(SuiteSpec),
    "suites.md": suites,
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is made here (called by mkdocs)."""
    for name, made in PAGES.items():
        files.append(File.generated(config, name, content=made()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links to suite files of the repository lead to where the site shows them (called by mkdocs)."""
    return re.sub(r"\]\(\.\./suites/([\w-]+)\.stability\.yaml\)", r"](suites.md#\1)", markdown)


def _opening(module: ModuleType) -> str:
    return (module.__doc__ or "").strip()


def _suite_name(file: Path) -> str:
    return file.name.removesuffix(".stability.yaml")
