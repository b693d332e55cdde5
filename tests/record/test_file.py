import math
from pathlib import Path

import pytest

from stability.errors import RecordError
from stability.record import Checkpoint, ModelInfo, Reading, Record, TaskResult, read_record, write_record


def record(**values: float) -> Record:
    return Record(
        harness_version="0",
        suite_name="x",
        suite_text="schema: 1",
        measured_fingerprint="m",
        command="stability run x",
        model=ModelInfo(
            name="world",
            architecture="gpt2",
            fingerprint="f",
            tokenizer_fingerprint="t",
            dtype="float32",
            device="cpu",
            layers=1,
            parameters=1,
            matrices=(),
        ),
        edits_source="world",
        text_fingerprint="t",
        text_tokens=1,
        base=Checkpoint(edits=0, readings={"perplexity": Reading(over="scalar", values=values)}),
    )


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "new" / "run.json"
    write_record(record(a=0.1), path)
    assert read_record(path) == record(a=0.1)


def test_values_that_json_cannot_hold_survive(tmp_path):
    path = tmp_path / "run.json"
    write_record(record(a=math.nan, b=math.inf, c=-math.inf), path)
    values = read_record(path).base.readings["perplexity"].values
    assert math.isnan(values["a"])
    assert (values["b"], values["c"]) == (math.inf, -math.inf)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    write_record(record(a=1), path)

    def broken(self: Path, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(RecordError, match=r"run\.json: cannot be written: disk full"):
        write_record(record(a=2), path)
    monkeypatch.undo()
    assert read_record(path) == record(a=1)
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the record"),
        ("", "not JSON"),
        ('{"schema_version": 1, "har', "was the file cut short?"),
        ("[]", "record schema None, this version reads 1 to 2"),
        ('{"schema_version": true}', "record schema True, this version reads 1 to 2"),
        ('{"schema_version": 0}', "record schema 0, this version reads 1 to 2"),
        ('{"schema_version": 1}', "no record of schema 1: KeyError: 'command'"),
        ('{"schema_version": 1, "command": 3}', "no record of schema 1: AttributeError"),
        ('{"schema_version": 2}', "harness_version: Field required"),
    ],
)
def test_a_file_that_is_no_record_is_one_line(tmp_path, content, message):
    path = tmp_path / "run.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RecordError) as caught:
        read_record(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("run", ["never", ["never"], None, {"stop_on": []}])
def test_what_was_measured_may_be_anything_in_a_record_of_anybody(run):
    assert record(a=1).model_copy(update={"measured": {"run": run}}).is_unfinished is False


def test_a_choice_of_a_number_that_no_task_has_is_refused(tmp_path):
    """Whatever is counted over the choices of a task would go on for days."""
    task = TaskResult.model_construct(metric="acc", n=1, doc_ids=(0,), gold=(10**12,), predicted=(0,))
    scores = Reading.model_construct(over="task", values={"a": 1.0}, tasks={"a": task})
    kept = record().model_copy(update={"base": Checkpoint.model_construct(edits=0, readings={"a": scores})})
    path = tmp_path / "run.json"
    path.write_text(kept.model_dump_json())
    with pytest.raises(RecordError, match=r"gold.0: Input should be less than 10000"):
        read_record(path)
