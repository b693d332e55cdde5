"""Every reader of a file that anybody may have written."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import chdir
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from stability.data.documents.file import file as read_documents
from stability.data.edits import Edit, read_edits
from stability.editors.adapters.steps.hyperparameters import read_values
from stability.errors import SettingsError
from stability.guard.journal import FILE, Journal, JournalEntry, JournalHeader
from stability.metrics.tasks.steps.catalogue import Catalogue
from stability.metrics.tasks.steps.local_data import find_local
from stability.run.saved import read_state, write_state, write_tensors
from stability.suite import SuiteFile, TasksSpec, load_suite
from stability.suite.overrides import Overrides, override
from tools.fuzz import checkpoints, inner, points, records
from tools.fuzz.reader import ROOT, Reader, files, texts

SUITES = ROOT / "suites"
SETTINGS = (
    *(
        "rome.layers=[3]",
        "run.edits.batch=5",
        "rome.v_lr=0.5",
        "may_change.layers=1-3",
        "rome.a.b={x: [1, 2]}",
    ),
    *("model.device_map={a: 1}", "run.edits={source: world, count: 3}", "text.tokens=100", "tasks.limit=5"),
)
OURS = {"id": "a", "prompt": "{} is a", "subject": "Ida", "target": "porter", "target_true": "nurse"}
REWRITE = {
    "prompt": "{} is in",
    "subject": "Rome",
    "target_new": {"str": "Asia"},
    "target_true": {"str": "Europe"},
}
FORMS: tuple[object, ...] = (
    [
        OURS,
        {**OURS, "id": 7, "paraphrase_prompts": ["Ida, a"], "neighborhood_prompts": ["Bo, a"], "space": True},
    ],
    [
        {
            "case_id": 1,
            "requested_rewrite": REWRITE,
            "paraphrase_prompts": ["a"],
            "neighborhood_prompts": ["b"],
        }
    ],
    [{**REWRITE, "case_id": 2}],
    [{"subject": "Ida", "src": "What is Ida?", "alt": "porter", "rephrase": "Ida is?", "answers": ["nurse"]}],
    [
        {
            "subject": "Ida",
            "prompt": "What is Ida?",
            "target_new": "porter",
            "ground_truth": ["nurse"],
            "rephrase_prompt": "Ida is?",
            "locality": {"near": [{"prompt": "Bo is", "ground_truth": ["nurse"]}]},
        }
    ],
    [
        {
            "prompt": "Ida is",
            "subject": "Ida",
            "target_new": "porter",
            "ground_truth": "nurse",
            "locality_prompt": "Bo",
        }
    ],
    {"data": [OURS]},
)
HEADER = JournalHeader(harness_version="1", model="m", model_fingerprint="f" * 64, seed=0)
MMLU = 'question,a,b,c,d,answer\n"What, then?",1,2,3,4,A\nWho?,"a ""b""",c,d,e,2\n'
COLA = "gj04\t1\t\tOur friends won't buy this.\ngj04\t0\t*\tThey drank the pub.\n"
RTE = "index\tsentence1\tsentence2\tlabel\n0\tA cat.\tAn animal.\tentailment\n1\tA.\tB.\tnot_entailment\n"
DOCUMENTS = '{"question": "a", "label": 0}\n{"question": "b", "label": 1}\n'
TASK = """\
task: inner
dataset_path: json
dataset_kwargs:
  data_files: {test: HERE/documents.jsonl}
  cache_dir: HERE/cache
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_target: label
doc_to_choice: ["no", "yes"]
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
num_fewshot: 0
metadata: {version: 1.0}
"""


def _setting(path: Path) -> None:
    override(_smoke(), Overrides(settings=(path.read_bytes().decode("utf-8", "surrogateescape"),)))


@cache
def _smoke() -> SuiteFile:
    return load_suite(SUITES / "smoke.stability.yaml")


def _hyperparameters(path: Path) -> None:
    try:
        read_values(path)
    except ValueError as error:  # the settings' own check makes one of ours of it
        raise SettingsError(str(error)) from error


def _journals() -> list[bytes]:
    edit = Edit(id="a", prompt="{} is", subject="b", target="c")
    entries = (
        JournalEntry(number=1, accepted=True, editor="e", edits=(edit,), changed=("w",), digest=_digest()),
        JournalEntry(number=2, accepted=False, editor="e", edits=(edit,), reasons=("bad",)),
        JournalEntry(number=3, accepted=True, editor="e", edits=(edit,), changed=("w",), digest=_digest()),
        JournalEntry(number=4, accepted=False, back_to=1),
    )
    return [("\n".join(one.model_dump_json() for one in (HEADER, *entries)) + "\n").encode()]


@cache
def _digest() -> str:
    with TemporaryDirectory() as folder:
        return write_tensors(Path(folder, "t.safetensors"), {"w": torch.ones(2)})


def _beside_journal(folder: Path) -> None:
    for number in (1, 3):
        write_tensors(folder / f"{number:06}.safetensors", {"w": torch.ones(2)})


def _journal(path: Path) -> None:
    journal = Journal(path.parent, HEADER)
    try:
        journal.tensors()
        journal.state("e", "")
        assert isinstance(journal.not_fully_checked, list)
    finally:
        journal.close()


def _states() -> list[bytes]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "s.safetensors")
        write_state(path, {"made": 2, "keys": [torch.eye(2)], "deep": {"a": [1, {"b": torch.ones(3)}]}})
        return [path.read_bytes()]


def _beside_task(folder: Path) -> None:
    (folder / "documents.jsonl").write_text(DOCUMENTS)
    (folder / "mine.yaml").write_text("include: inner\ntask: mine\n")


def _task(path: Path) -> None:
    """A task that includes the file, so that there is one of that name whatever is in it."""
    path.write_bytes(path.read_bytes().replace(b"HERE", str(path.parent).encode()))
    with chdir(path.parent), Catalogue(TasksSpec(include_path="."), ("mine",)) as catalogue:
        catalogue.find("mine")


def _local(task: str, above: int, path: str = "", name: str = "") -> Callable[[Path], object]:
    """Reads a data set's documents from the folder so many levels above the file."""

    def read(file: Path) -> object:
        found = find_local(file.parents[above], task, {"dataset_path": path, "dataset_name": name})
        return None if found is None else found.load()

    return read


def _beside_mmlu(folder: Path) -> None:
    place = folder / "mmlu" / "dev"
    place.mkdir(parents=True, exist_ok=True)
    (place / "law_dev.csv").write_text(MMLU)


EDITS = texts(*map(json.dumps, FORMS))
LINES = texts(*("".join(json.dumps(one) + "\n" for one in form) for form in FORMS if isinstance(form, list)))
HYPERPARAMETERS = "layers: [5]\nv_lr: 5e-1\nmodel: {a: [x, y]}\n"
READERS: tuple[Reader, ...] = (
    Reader("suite", "s.stability.yaml", "yaml", files(*sorted(SUITES.glob("*.yaml"))), load_suite, 40),
    Reader("--set", "setting", "text", texts(*SETTINGS), _setting, 20),
    *records.READERS,
    Reader("edits", "e.json", "json", EDITS, read_edits),
    Reader("edits, JSON Lines", "e.jsonl", "lines", LINES, read_edits),
    Reader(
        "text",
        "d.txt",
        "text",
        texts("A text.\n\nAnother,\nlonger.\n"),
        lambda path: read_documents(str(path)),
    ),
    Reader("journal", FILE, "lines", _journals, _journal, 5, _beside_journal, is_altered=True),
    Reader("editor's state", "s.safetensors", "safetensors", _states, read_state),
    Reader("hyperparameters", "h.yaml", "yaml", texts(HYPERPARAMETERS), _hyperparameters, 10),
    Reader("hyperparameters, JSON", "h.json", "json", texts('{"a": [5], "b": {"c": 1}}'), _hyperparameters),
    *checkpoints.READERS,
    *inner.READERS,
    *points.READERS,
    Reader("task of lm-eval", "inner", "yaml", texts(TASK), _task, 400, _beside_task),
    Reader("documents", "own/test.jsonl", "lines", texts(DOCUMENTS), _local("own", 1)),
    Reader(
        "documents, MMLU",
        "mmlu/test/law_test.csv",
        "text",
        texts(MMLU),
        _local("", 2, "cais/mmlu", "law"),
        8,
        _beside_mmlu,
    ),
    Reader("documents, RTE", "glue/RTE/dev.tsv", "text", texts(RTE), _local("", 2, "glue", "rte")),
    Reader("documents, CoLA", "glue/CoLA/dev.tsv", "text", texts(COLA), _local("", 2, "glue", "cola")),
)
