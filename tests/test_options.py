"""The command line and pytest take the same options by the same words."""

import pytest
import typer
from _pytest.config.argparsing import Parser

from stability import pytest_plugin
from stability.cli import app


def of_pytest():
    parser = Parser(_ispytest=True)
    pytest_plugin.pytest_addoption(parser)
    options = parser.getgroup("stability").options
    return {option.names()[0].removeprefix("--stability-"): option.attrs()["help"] for option in options}


def of_run():
    command = typer.main.get_command(app).commands["run"]
    return {option.opts[0].removeprefix("--"): option.help for option in command.params}


@pytest.mark.parametrize("name", ["model", "editor", "edits", "seed", "set", "strict"])
def test_what_replaces_something_in_a_suite_is_said_in_the_same_words(name):
    assert of_pytest()[name] == of_run()[name]
