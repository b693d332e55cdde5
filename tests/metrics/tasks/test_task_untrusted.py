"""Tasks in other people's YAML run no code, unless the suite trusts them."""

from __future__ import annotations

from pathlib import Path

import lm_eval.utils
import pytest
from jinja2.exceptions import SecurityError

from stability.errors import DataError
from stability.metrics.tasks.steps.catalogue import Catalogue
from stability.metrics.tasks.steps.untrusted import refuse_code, sandbox_templates
from stability.suite import TasksSpec

TASK = """task: mine
dataset_path: json
dataset_kwargs: {data_files: {test: documents.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_target: label
doc_to_choice: ["no", "yes"]
metric_list: [{metric: acc, aggregation: mean}]
"""
WRITES = "from pathlib import Path\nPath('ran').touch()\ndef made(documents):\n    return documents\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a task, and code beside it that leaves a file where it runs."""
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "tasks"
    place.mkdir()
    (place / "code.py").write_text(WRITES)
    (place / "mine.yaml").write_text(TASK)
    (tmp_path / "documents.jsonl").write_text('{"question": "a", "label": 0}\n')
    return place


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("process_docs: !function code.made", "!function names a function"),
        ("process_docs: !<!function> code.made", "!function names a function"),
        ("filter_list: [{a: [!function code.made]}]", "!function names a function"),
        ("class: code.Task", "'class' asks for code of others"),
        ("unsafe_code: true", "'unsafe_code' asks for code of others"),
        ("dataset_path: pandas", "opens pickles"),
        ("a: {metric_list: [{metric: ./script, hf_evaluate: true}]}", "would fetch a script"),
    ],
)
def test_what_names_code_is_refused_with_its_line(folder: Path, line: str, said: str) -> None:
    text = TASK.replace("dataset_path: json\n", "") if line.startswith("dataset_path") else TASK
    (folder / "mine.yaml").write_text(f"{text}{line}\n")
    with pytest.raises(DataError, match=rf"mine\.yaml:\d+: .*{said}.*can run code; if you trust"):
        Catalogue(TasksSpec(include_path=str(folder)), ("mine",))
    assert not Path("ran").exists()


@pytest.mark.parametrize("where", ["shared", "../elsewhere", "deep/er.yaml"])
def test_code_in_a_file_that_is_included_is_found(folder: Path, where: str) -> None:
    (folder / where).parent.mkdir(exist_ok=True)
    (folder / where).write_text("process_docs: !function code.made\n")
    (folder / "mine.yaml").write_text(f"include: {where}\n{TASK}")
    with pytest.raises(DataError, match=r":1: !function names a function"):
        refuse_code(folder)


@pytest.mark.parametrize("text", ["a: [", "- a", "", "a: &b [*b]", "[" * 3_000])
def test_a_file_that_is_no_task_is_named(folder: Path, text: str) -> None:
    (folder / "other.yaml").write_text(text)
    with pytest.raises(DataError, match=r"other\.yaml.*: not a task's YAML"):
        refuse_code(folder)


def test_includes_that_go_round_end(folder: Path) -> None:
    (folder / "mine.yaml").write_text(f"include: [mine.yaml, other.yaml]\n{TASK}")
    (folder / "other.yaml").write_text("include: mine.yaml\n")
    refuse_code(folder)


def test_code_runs_where_the_suite_trusts_it(folder: Path) -> None:
    (folder / "mine.yaml").write_text(f"{TASK}process_docs: !function code.made\n")
    with Catalogue(TasksSpec(include_path=str(folder), trust_code=True), ("mine",)) as catalogue:
        assert set(catalogue.find("mine").tasks) == {"mine"}
    assert Path("ran").exists()


def test_a_template_cannot_leave_its_sandbox() -> None:
    sandbox_templates()
    assert lm_eval.utils.apply_template(
        "{{ a.upper() }} {{ b | regex_replace('x', 'y') }}", {"a": "a", "b": "x"}
    )
    with pytest.raises(SecurityError):
        lm_eval.utils.apply_template("{{ ''.__class__.__mro__[1].__subclasses__() }}", {})
