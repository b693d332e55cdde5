"""The documentation site: built strictly, without network, and its references say all that there is."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import stability
from stability import cli, testing
from stability.editors import list_editors
from stability.parts import METRICS
from stability.record import Record
from stability.suite import SuiteSpec

ROOT = Path(__file__).parents[2]
FETCHED = re.compile(
    r"""(?:<script[^>]*\ssrc|<link[^>]*stylesheet[^>]*\shref|<img[^>]*\ssrc)=["']?(\w+:)?//"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def text(site: Path, page: str) -> str:
    """The words of a page, without its menus."""
    content = (site / f"{page}.html").read_text(encoding="utf-8")
    article = re.search(r"<article.*?</article>", content, re.DOTALL)
    assert article is not None
    return html.unescape(re.sub(r"<[^>]+>", "", article[0]))


def test_every_page_of_the_folder_is_there_and_fetches_nothing_from_elsewhere(site):
    written = {path.stem for path in (ROOT / "docs").glob("*.md")}
    built = {path.stem for path in site.glob("*.html")}
    assert written < built
    for path in site.glob("*.html"):
        assert not FETCHED.search(path.read_text(encoding="utf-8")), path.name
    for path in site.rglob("*.css"):
        assert "url(http" not in path.read_text(encoding="utf-8"), path.name
    assert not list(site.rglob("*.py"))


def test_the_reference_of_the_command_line_has_every_command_and_option(site):
    shown = text(site, "command-line")
    groups = [((), typer.main.get_command(cli.app))]
    for path, group in groups:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                groups.append(((*path, name), command))
                continue
            section = shown.split(f"\nstability {' '.join((*path, name))}¶")[1].split("¶")[0]
            options = [param for param in command.params if param.param_type_name == "option"]
            assert all(name in section for option in options for name in option.opts)


def test_the_reference_of_the_editors_has_every_setting_in_its_order(site):
    sections = dict(re.findall(r"\n(\w+)¶\n(.*?)(?=\n\w+¶|\Z)", text(site, "editor-settings"), re.DOTALL))
    for editor in list_editors():
        places = [sections[editor.name].rindex(f"\n{one.partition('=')[0]}\n") for one in editor.settings]
        assert places == sorted(places), editor.name


def test_the_reference_of_the_metrics_has_every_metric(site):
    shown = text(site, "metrics")
    for name, part in METRICS.built_in().items():
        assert f"\n{name}\n" in shown
        assert part.head.summary in shown


def test_the_reference_of_python_has_every_public_name(site):
    content = (site / "python-api.html").read_text(encoding="utf-8")
    for module in (stability, testing):
        assert all(f">{name}<" in re.sub(r"\s", "", content) for name in module.__all__)


def test_the_reference_of_the_plugin_has_every_option(site, pytestconfig):
    shown = text(site, "pytest-options")
    (group,) = (group for group in pytestconfig._parser._groups if group.name == "stability")
    assert len(group.options) > 5
    assert all(name in shown for option in group.options for name in option.names())


def test_the_schemas_have_every_key(site):
    for page, model in (("suite-schema", SuiteSpec), ("record-schema", Record)):
        shown = text(site, page)
        schema = model.model_json_schema(by_alias=True)
        for part in (schema, *schema["$defs"].values()):
            assert all(f"\n{key}\n" in shown for key in part.get("properties", {}))
