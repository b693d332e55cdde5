import subprocess
import sys

import pytest

import stability


def test_the_public_names_are_sorted_and_all_there():
    assert stability.__all__ == sorted(stability.__all__)
    for name in stability.__all__:
        assert getattr(stability, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = stability.nothing


@pytest.mark.parametrize(
    "module",
    [
        "stability",
        "stability.api",
        "stability.cli",
        "stability.data.edits",
        "stability.judge",
        "stability.pytest_plugin",
        "stability.record",
        "stability.report",
        "stability.suite",
        "stability.world",
    ],
)
def test_what_needs_no_model_imports_no_torch(module):
    code = f"import sys, {module}; heavy = {{'torch', 'transformers', 'lm_eval'}} & sys.modules.keys(); assert not heavy, heavy"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_plugin_imports_nothing_heavy_before_a_suite_is_collected():
    code = (
        "import sys, stability.pytest_plugin as plugin\n"
        "assert not {'pydantic', 'yaml', 'numpy', 'torch'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("arguments", ["--help", "--version", "run --help", "export --help", "gate --help"])
def test_what_a_command_says_of_itself_imports_nothing_heavy(arguments):
    code = (
        f"import sys; sys.argv = ['stability', *{arguments.split()}]\n"
        "from stability.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert not {'stability.record.schema', 'yaml', 'numpy', 'torch'} & sys.modules.keys()"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said
