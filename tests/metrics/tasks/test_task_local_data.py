from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import datasets
import pytest
from torch import nn

from stability.errors import DataError
from stability.metrics.tasks.steps.battery import Battery
from stability.metrics.tasks.steps.building import build_battery
from stability.metrics.tasks.steps.local_data import find_local
from stability.models import LoadedModel, map_model
from stability.suite import TasksSpec

DEV = "dev.tsv"
GLUE_FILES = {
    "CoLA/train.tsv": "gj04\t1\t\tA cat sleeps.\ngj04\t0\t*\tSleeps cat a.\n",
    "CoLA/dev.tsv": "gj04\t0\t*\tThe dog bark loud is.\ncj99\t1\t\tThe dog barks.\n",
    "SST-2/train.tsv": 'sentence\tlabel\na "fine film \t1\n',
    "SST-2/dev.tsv": "sentence\tlabel\nit 's \"charming \t1\nbleak \t0\n",
    "MRPC/train.tsv": (
        "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
        "1\t11\t12\tOne .\tUne .\r\n0\t21\t22\tIn dev .\tToo .\r\n0\t31\t32\tTwo .\tThree .\r\n"
    ),
    "MRPC/dev.tsv": "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t21\t22\tIn dev .\tToo .\n",
    "QQP/dev.tsv": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\tHow ?\tWhy ?\t0\n1\t3\t4\n",
    "MNLI/dev_matched.tsv": "sentence1\tsentence2\tgold_label\nIt rains.\tIt is wet.\tneutral\n",
    "MNLI/dev_mismatched.tsv": "sentence1\tsentence2\tgold_label\nIt snows.\tIt is dry.\tcontradiction\n",
    "QNLI/dev.tsv": "index\tquestion\tsentence\tlabel\n0\tWho ?\tAnna .\tentailment\n1\tWho ?\tIt .\tnot_entailment\n",
    "RTE/train.tsv": "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tentailment\n1\tA.\tX.\tentailment\n",
    "RTE/dev.tsv": "index\tsentence1\tsentence2\tlabel\n0\tC.\tD.\tnot_entailment\n",
    "WNLI/dev.tsv": "index\tsentence1\tsentence2\tlabel\n0\tE.\tF.\t1\n",
}
MMLU_ROWS = '"Two, or three?",0,"a, b",2,6,1\nWhat is it?,A,B,C,D,3\n'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """GLUE and two subjects of MMLU as they are published, a few documents of each."""
    for name, content in GLUE_FILES.items():
        write(tmp_path / "glue" / name, content)
    for subject in ("anatomy", "virology"):
        for split in ("dev", "test"):
            write(tmp_path / "mmlu" / split / f"{subject}_{split}.csv", MMLU_ROWS)
    return tmp_path


def write(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8", newline="")


def glue(data: Path, name: str, split: str = "validation") -> list[dict[str, Any]]:
    found = find_local(data, name, {"dataset_path": "nyu-mll/glue", "dataset_name": name})
    assert found is not None
    return [{**row} for row in found.load()[split]]


def mmlu(data: Path, subject: str, split: str = "test") -> list[dict[str, Any]]:
    found = find_local(data, f"mmlu_{subject}", {"dataset_path": "cais/mmlu", "dataset_name": subject})
    assert found is not None
    return [{**row} for row in found.load()[split]]


def battery(world: LoadedModel, data: Path, *names: str, **spec: Any) -> Battery:
    model: nn.Module = world.model
    wanted = TasksSpec(data=str(data), **spec)
    return build_battery(wanted, names, model, map_model(model).head, world.tokenizer)


def prompts(battery: Battery, name: str) -> list[str]:
    """Each document's prompt with its right choice."""
    return ["".join(one.instances[one.gold or 0].args) for one in battery.exams[name].questions]


def test_glue_has_the_fields_and_labels_of_the_hub(data: Path):
    assert glue(data, "cola") == [
        {"sentence": "The dog bark loud is.", "label": 0, "idx": 0},
        {"sentence": "The dog barks.", "label": 1, "idx": 1},
    ]
    assert [row["label"] for row in glue(data, "sst2")] == [1, 0]
    assert glue(data, "qnli") == [
        {"question": "Who ?", "sentence": "Anna .", "label": 0, "idx": 0},
        {"question": "Who ?", "sentence": "It .", "label": 1, "idx": 1},
    ]
    assert glue(data, "rte") == [{"sentence1": "C.", "sentence2": "D.", "label": 1, "idx": 0}]
    assert glue(data, "wnli") == [{"sentence1": "E.", "sentence2": "F.", "label": 1, "idx": 0}]
    matched, mismatched = (glue(data, "mnli", f"validation_{kind}") for kind in ("matched", "mismatched"))
    assert matched == [{"premise": "It rains.", "hypothesis": "It is wet.", "label": 1, "idx": 0}]
    assert mismatched == [{"premise": "It snows.", "hypothesis": "It is dry.", "label": 2, "idx": 0}]


def test_quotes_are_text_and_trailing_spaces_stay(data: Path):
    assert [row["sentence"] for row in glue(data, "sst2")] == ["it 's \"charming ", "bleak "]
    assert [row["sentence"] for row in glue(data, "sst2", "train")] == ['a "fine film ']


def test_training_documents_that_the_dev_split_holds_are_left_out(data: Path):
    assert glue(data, "mrpc") == [{"sentence1": "In dev .", "sentence2": "Too .", "label": 0, "idx": 0}]
    assert glue(data, "mrpc", "train") == [
        {"sentence1": "One .", "sentence2": "Une .", "label": 1, "idx": 0},
        {"sentence1": "Two .", "sentence2": "Three .", "label": 0, "idx": 1},
    ]


def test_rows_that_lack_a_column_are_left_out_as_on_the_hub(data: Path, caplog: pytest.LogCaptureFixture):
    assert glue(data, "qqp") == [{"question1": "How ?", "question2": "Why ?", "label": 0, "idx": 0}]
    assert "1 rows lack a column" in caplog.text


def test_cola_is_read_from_its_authors_files_too_in_domain_first(data: Path):
    (data / "glue/CoLA/dev.tsv").unlink()
    write(data / "glue/CoLA/in_domain_dev.tsv", "gj04\t1\t\tFirst.\n")
    write(data / "glue/CoLA/out_of_domain_dev.tsv", "clc95\t0\t*\tSecond.\n")
    assert [row["sentence"] for row in glue(data, "cola")] == ["First.", "Second."]


def test_mmlu_is_read_with_a_header_or_without_and_with_answers_as_numbers_or_letters(data: Path):
    expected = [
        {
            "question": "Two, or three?",
            "subject": "virology",
            "choices": ["0", "a, b", "2", "6"],
            "answer": 1,
        },
        {"question": "What is it?", "subject": "virology", "choices": ["A", "B", "C", "D"], "answer": 3},
    ]
    assert mmlu(data, "virology") == expected
    file = data / "mmlu/test/virology_test.csv"
    write(file, "question,choice0,choice1,choice2,choice3,answer\n" + MMLU_ROWS)
    assert mmlu(data, "virology") == expected
    write(file, MMLU_ROWS.replace(",1\n", ",B\n").replace(",3\n", ",D\n"))
    assert mmlu(data, "virology") == expected


def test_mmlu_is_found_as_it_lies_in_its_authors_archive(data: Path):
    (data / "mmlu").rename(data / "data")
    (data / "mmlu").mkdir()
    (data / "data").rename(data / "mmlu/data")
    assert len(mmlu(data, "anatomy", "dev")) == 2


def test_lm_evals_packaged_tasks_ask_the_local_documents(world: LoadedModel, data: Path):
    names = ("cola", "sst2", "mrpc", "qqp", "mnli", "mnli_mismatch", "qnli", "rte", "wnli", "mmlu_virology")
    ours = battery(world, data, *names)
    assert ours.left_out == {}
    assert prompts(ours, "mmlu_virology")[0] == (
        "The following are multiple choice questions (with answers) about virology.\n\n"
        "Two, or three?\nA. 0\nB. a, b\nC. 2\nD. 6\nAnswer: B"
    )
    assert prompts(ours, "mnli_mismatch") == [
        "It snows.\nQuestion: It is dry. True, False or Neither?\nAnswer: False"
    ]
    assert prompts(ours, "rte") == ["C.\nQuestion: D. True or False?\nAnswer: False"]
    assert prompts(ours, "cola")[1] == "The dog barks.\nQuestion: Does this sentence make sense?\nAnswer: yes"


def test_shots_come_from_the_splits_that_lm_eval_takes_them_from(world: LoadedModel, data: Path):
    ours = battery(world, data, "mmlu_virology", "rte", num_fewshot=1)
    assert (
        "Two, or three?\nA. 0\nB. a, b\nC. 2\nD. 6\nAnswer: B\n\nWhat is it?"
        in prompts(ours, "mmlu_virology")[1]
    )
    (prompt,) = prompts(ours, "rte")
    shot, asked = prompt.split("\n\n")
    assert shot in [f"A.\nQuestion: {one} True or False?\nAnswer: True" for one in ("B.", "X.")]
    assert asked == "C.\nQuestion: D. True or False?\nAnswer: False"


def test_glue_as_a_whole_is_the_plain_mean(world: LoadedModel, data: Path):
    ours = battery(world, data, "glue")
    outcomes = ours.score(world.model, map_model(world.model).head)
    members = ("cola", "mnli", "mnli_mismatch", "mrpc", "qnli", "qqp", "rte", "sst2", "wnli")
    assert outcomes["glue"].result.members == members
    assert {name: outcomes[name].result.metric for name in members} == {
        **dict.fromkeys(members, "acc"),
        "cola": "mcc",
        "mrpc": "f1",
        "qqp": "f1",
    }
    assert outcomes["glue"].value == pytest.approx(sum(outcomes[name].value for name in members) / 9)


def test_a_task_that_the_folder_lacks_takes_none_of_the_others_with_it(
    world: LoadedModel, data: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[str] = []

    def unreachable(path: str, *_: Any, **__: Any) -> None:
        asked.append(path)
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    for task in ("MNLI", "QQP"):
        shutil.rmtree(data / "glue" / task)
    ours = battery(world, data, "glue")
    assert set(ours.left_out) == {"glue", "mnli", "mnli_mismatch", "qqp"}
    assert f"{data} has none" in ours.left_out["qqp"].message
    assert ours.left_out["glue"].message.startswith(
        "not all of its tasks have documents (mnli, mnli_mismatch, qqp): "
    )
    outcomes = ours.score(world.model, map_model(world.model).head)
    assert set(outcomes) == {"cola", "mrpc", "qnli", "rte", "sst2", "wnli"}
    assert asked == ["nyu-mll/glue"]


def test_the_folder_may_be_named_by_the_environment(
    world: LoadedModel, data: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STABILITY_DATA", str(data))
    head = map_model(world.model).head
    ours = build_battery(TasksSpec(), ("wnli",), world.model, head, world.tokenizer)
    assert prompts(ours, "wnli") == ["E.\nQuestion: F. True or False?\nAnswer: True"]


@pytest.mark.parametrize("way", ["absolute", "relative"])
def test_any_task_of_lm_eval_takes_its_documents_from_a_folder_of_its_name(
    world: LoadedModel, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
):
    monkeypatch.chdir(tmp_path)
    own = Path("own").absolute() if way == "absolute" else Path("own")
    write(
        own / "capitals.yaml",
        "task: capitals\ndataset_path: nobody/capitals\ntest_split: test\noutput_type: multiple_choice\n"
        "doc_to_text: question\ndoc_to_choice: choices\ndoc_to_target: label\n",
    )
    document = {"question": "Capital of France?", "choices": ["Paris", "Rome"], "label": 0}
    write(data / "capitals" / "test.jsonl", json.dumps(document) + "\n")
    ours = battery(world, data, "capitals", include_path=str(own))
    assert prompts(ours, "capitals") == ["Capital of France? Paris"]


@pytest.mark.parametrize("character", ["\u2028", "\u0085"])
def test_a_line_separator_inside_a_value_and_a_bom_are_no_ends_of_lines(data: Path, character: str):
    documents = [{"question": f"One.{character}Two?"}, {"question": "Three?"}]
    lines = "\r\n".join(json.dumps(document, ensure_ascii=False) for document in documents)
    write(data / "capitals" / "test.jsonl", f"\ufeff{lines}\r\n")
    found = find_local(data, "capitals", {})
    assert found is not None
    assert [{**row} for row in found.load()["test"]] == documents


def test_a_missing_subject_is_an_error_that_names_the_file(world: LoadedModel, data: Path):
    with pytest.raises(DataError, match=r"MMLU's \w+: .*/mmlu/test/\w+_test.csv is missing"):
        battery(world, data, "mmlu")


@pytest.mark.parametrize(
    ("task", "file", "content", "message"),
    [
        (
            "rte",
            "glue/RTE/dev.tsv",
            "index\tsentence1\tsentence2\tlabel\n",
            r"RTE/dev.tsv: holds no documents",
        ),
        (
            "rte",
            "glue/RTE/dev.tsv",
            "index\tsentence1\tlabel\n0\tA.\tentailment\n",
            r"dev.tsv:2: no column sentence2",
        ),
        (
            "rte",
            "glue/RTE/dev.tsv",
            "sentence1\tsentence2\tlabel\nA.\tB.\tperhaps\n",
            r"dev.tsv:2: no label 'perhaps'",
        ),
        ("sst2", "glue/SST-2/dev.tsv", "\x00\n", r"SST-2/dev.tsv"),
        ("mmlu_anatomy", "mmlu/test/anatomy_test.csv", "", r"anatomy_test.csv: holds no documents"),
        ("mmlu_anatomy", "mmlu/test/anatomy_test.csv", "Why?,A,B,C,2\n", r"anatomy_test.csv:1: 5 fields"),
        ("mmlu_anatomy", "mmlu/dev/anatomy_dev.csv", "Why?,A,B,C,D,7\n", r"anatomy_dev.csv:1: no answer '7'"),
        ("own", "own/test.jsonl", "{}\n[]\n", r"test.jsonl:2: expected a JSON object, got list"),
        ("own", "own/test.jsonl", '{"a": }\n', r"test.jsonl:1: not JSON"),
        ("own", "own/test.jsonl", "\n", r"test.jsonl: holds no documents"),
        ("own", "own/test.jsonl", '{"a": 1}\n{"a": [1]}\n', r"test.jsonl: its documents do not fit together"),
        (
            "own",
            "own/test.jsonl",
            '{"a": {}}\n{"a": "b"}\n',
            r"test.jsonl: its documents do not fit together",
        ),
        ("own", "own/test.jsonl", f'{{"a": {2**70}}}\n', r"test.jsonl: its documents do not fit together"),
        ("own", "own/test.jsonl", '{"a": "\\ud800"}\n', r"test.jsonl: its documents do not fit together"),
        ("own", "own/test.jsonl", "[" * 10_000, r"test.jsonl:1: not JSON: nested too deep"),
    ],
)
def test_a_malformed_file_is_an_error_that_says_where(
    data: Path, task: str, file: str, content: str, message: str
):
    write(data / file, content)
    config = {"rte": "nyu-mll/glue", "sst2": "nyu-mll/glue", "mmlu_anatomy": "cais/mmlu"}.get(task)
    found = find_local(data, task, {"dataset_path": config, "dataset_name": task.removeprefix("mmlu_")})
    assert found is not None
    with pytest.raises(DataError, match=message):
        found.load()


def test_a_folder_of_glue_without_a_dev_split_is_an_error(data: Path):
    (data / "glue/RTE/dev.tsv").unlink()
    with pytest.raises(DataError, match=r"glue/RTE: no dev.tsv, GLUE's validation split of rte"):
        glue(data, "rte")


def test_what_the_folder_does_not_hold_is_looked_for_elsewhere(data: Path):
    assert find_local(data / "glue", "cola", {"dataset_path": "nyu-mll/glue", "dataset_name": "cola"}) is None
    assert find_local(data, "ax", {"dataset_path": "nyu-mll/glue", "dataset_name": "ax"}) is None
    assert (
        find_local(data, "arc_easy", {"dataset_path": "allenai/ai2_arc", "dataset_name": "ARC-Easy"}) is None
    )


def test_a_data_folder_that_is_not_there_is_an_error(world: LoadedModel, tmp_path: Path):
    with pytest.raises(DataError, match=r"tasks.data: there is no folder .*/nowhere"):
        battery(world, tmp_path / "nowhere", "cola")
