"""What README.md and docs/*.md name is there: commands, options, files, suites and Python."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import typer
import yaml
from _pytest.config import get_config

from stability.cli import app
from stability.data.edits import load_edits
from stability.editors import find_editor
from stability.metrics import edit_outcomes
from stability.models import Snapshot, load_model
from stability.suite import EditsSpec, ModelSpec, parse_suite

SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Every command of the application by its words, with its options."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield (*path, name), set()
            yield from commands(command, (*path, name))
        else:
            options = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
            yield (*path, name), options | {"-h", "--help"}


COMMANDS: Mapping[tuple[str, ...], set[str]] = {
    (): {"-h", "--help", "--version", "--install-completion", "--show-completion"},
    **dict(commands(typer.main.get_command(app))),
}


def prose(page: Any) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^( *)```.*?^\1```", "", page.text, flags=re.DOTALL | re.MULTILINE)


def calls(page: Any) -> Iterator[str]:
    """Every call of the program in a page: in code within a line, in a command, script or CI job."""
    yield from (span for span in SPAN.findall(prose(page)) if span.startswith("stability "))
    written = [command.text for command in page.commands()]
    written += [block.text for block in page.blocks("yaml")]
    for text in written:
        joined = text.replace("\\\n", " ")
        yield from re.findall(r"^ *(?:- )?(?:[A-Z_]+=\S+ )?(stability .*)", joined, re.MULTILINE)


def called(call: str) -> tuple[tuple[str, ...] | None, set[str]]:
    """The command's words, None if there is no such command, and the options that it is given."""
    words = re.split(r"[|>;&]|(?:^| )#", call)[0].split()[1:]
    known = max((path for path in COMMANDS if tuple(words[: len(path)]) == path), key=len)
    is_bare = known == () and not words[0].startswith("-")
    return None if is_bare else known, set(OPTION.findall(" ".join(words)))


@pytest.fixture(scope="module")
def pytests_options(pytestconfig: pytest.Config) -> set[str]:
    """Those of pytest with all of its own plugins and ours; its --help has no aliases, and takes seconds."""
    parsers = (get_config()._parser, pytestconfig._parser)
    groups = (group for parser in parsers for group in (parser._anonymous, *parser._groups))
    return {name for group in groups for option in group.options for name in option.names()}


def test_commands_and_options_that_a_page_calls_exist(page):
    for call in calls(page):
        path, options = called(call)
        assert path is not None, f"{page.path.name}: {call}"
        assert options <= COMMANDS[path], f"{page.path.name}: {call}"


def test_options_that_a_page_names_exist(page, pytests_options):
    known = set().union(*COMMANDS.values()) | pytests_options
    for span in SPAN.findall(prose(page)):
        if span.startswith("--"):
            assert OPTION.match(span)[0] in known, f"{page.path.name}: {span}"


def test_every_command_is_mentioned(pages):
    mentioned = {called(call)[0] for page in pages for call in calls(page)}
    groups = {path[:-1] for path in COMMANDS if path}
    assert set(COMMANDS) - groups <= mentioned


def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.text):
        assert (page.path.parent / target).exists(), f"{page.path.name}: {target}"


def test_python_is_python(page):
    for block in page.blocks("python"):
        compile(block.text, f"{page.path.name}:{block.line}", "exec")


def test_yaml_is_yaml_and_suites_are_suites(page):
    adds_to_the_harness = any((block.file or "").startswith("stability/") for block in page.blocks())
    for block in page.blocks("yaml"):
        content = yaml.safe_load(block.text)
        if isinstance(content, dict) and "schema" in content and not adds_to_the_harness:
            parse_suite(block.text)


def test_the_readmes_suite_loads(pages):
    (block,) = pages[0].blocks("yaml")
    assert parse_suite(block.text).spec.run.edits.count == 120


def test_the_readmes_editor_edits(pages, tmp_path):
    (block,) = (block for block in pages[0].blocks("python") if block.file == "my_editor.py")
    (tmp_path / "my_editor.py").write_text(block.text)
    editor = find_editor(f"{tmp_path / 'my_editor.py'}:edit")
    loaded = load_model(ModelSpec())
    pristine = Snapshot(loaded.model)
    for one in load_edits(EditsSpec(count=3), seed=0):
        editor.edit(loaded.model, loaded.tokenizer, [one])
        assert edit_outcomes(loaded.model, loaded.tokenizer, [one])[0].success
    assert pristine.changed(loaded.model) == ("transformer.h.0.mlp.c_proj.weight",)
