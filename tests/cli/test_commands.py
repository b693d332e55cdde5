"""Commands are found by their heads, and are quick to list."""

import inspect
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from stability import cli
from stability.cli.steps.command import command
from stability.errors import StabilityError, UsageError
from stability.parts import COMMANDS

HEAVY = "torch transformers matplotlib numpy scipy pandas lm_eval jinja2 mlflow wandb"


def commands(group, before=""):
    for name, found in group.commands.items():
        yield f"{before}{name}"
        yield from commands(found, f"{name} ") if hasattr(found, "commands") else ()


def test_every_head_is_a_command_and_every_command_has_a_head():
    assert sorted(commands(typer.main.get_command(cli.app))) == sorted(COMMANDS.built_in())


def test_a_command_stands_in_the_file_of_its_name():
    for name, part in COMMANDS.built_in().items():
        file = Path(inspect.getfile(inspect.unwrap(part.made)))
        assert file.stem == name.split()[0].replace("-", "_")


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["log", "--help"], ["gate", "--help"]])
def test_help_is_shown_without_what_is_slow_to_import(words):
    code = (
        "import sys; from stability.cli import app; app(sys.argv[1:], standalone_mode=False)\n"
        f"sys.stderr.write(' '.join({{*'{HEAVY}'.split()}} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert "Usage: " in done.stdout
    assert done.stderr == ""


@dataclass(frozen=True)
class Weather:
    """A group of options."""

    wind: Annotated[int, typer.Option(help="Beaufort.")] = 3
    rain: Annotated[list[str] | None, typer.Option("--rain", metavar="WHEN")] = None


@dataclass(frozen=True)
class Storm(Weather):
    """The same with another default for one of them."""

    wind: Annotated[int, typer.Option(help="At least.")] = 10


def shown(group: type[Weather]) -> typer.Typer:
    app = typer.Typer(add_completion=False)

    @command("sail", place=5)
    def sail(where: str, *, weather: group, back: bool = False) -> None:
        """Sail somewhere.

        And more.
        """
        typer.echo(f"{where} {weather} {back}")

    assert (sail.head.name, sail.head.summary, sail.head.place) == ("sail", "Sail somewhere", 5)
    app.command()(sail)
    return app


@pytest.mark.parametrize(
    ("group", "words", "said"),
    [
        (Weather, ["home"], "home Weather(wind=3, rain=None) False"),
        (Weather, ["home", "--wind", "5", "--back"], "home Weather(wind=5, rain=None) True"),
        (
            Storm,
            ["home", "--rain", "noon", "--rain", "night"],
            "home Storm(wind=10, rain=['noon', 'night']) False",
        ),
    ],
)
def test_a_group_of_options_reaches_the_command_as_one(group, words, said):
    done = CliRunner().invoke(shown(group), words)
    assert done.output == f"{said}\n"


def test_the_options_of_a_group_stand_where_the_group_stands():
    parameters = typer.main.get_command(shown(Storm)).params
    assert [one.name for one in parameters] == ["where", "wind", "rain", "back"]
    assert [one.help for one in parameters[1:3]] == ["At least.", None]


@pytest.fixture
def ended(monkeypatch, capsys):
    """Runs the program with a command that raises this; its status, and the lines on stderr."""

    def run(error):
        def raises():
            raise error

        monkeypatch.setattr(cli, "app", raises)
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code, capsys.readouterr().err.splitlines()

    return run


def test_an_error_that_nobody_foresaw_is_one_line_with_the_file_of_its_traceback(ended):
    status, lines = ended(ZeroDivisionError("one\ntwo\x1b"))
    assert status == 3
    (line,) = lines
    assert line.startswith(
        "stability has an error that nobody foresaw: ZeroDivisionError: one; its traceback"
    )
    file = Path(next(word.strip(",;") for word in line.split() if ".traceback.txt" in word))
    assert "raise error" in file.read_text()
    file.unlink()


def test_an_error_cannot_give_a_command_to_the_runner(ended):
    assert ended(StabilityError("::error::injected")) == (3, [": :error::injected"])
    assert ended(UsageError("a\n##[error]injected")) == (2, ["a ## [error]injected"])
