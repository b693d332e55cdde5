"""What is measured is the edit's text as it is written: an editor trained on that text has made its edit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from stability.data.edits import Edit
from stability.editors import find_editor, wrap_editor
from stability.models import LoadedModel, Tokenizer, load_model
from stability.record import EditOutcome
from stability.run import Experiment
from stability.suite import ModelSpec, parse_suite

LLAMA = Path(os.environ.get("STABILITY_DATA", "")) / "models" / "stories260K" / "hf"
SMALL = "text: {source: world, tokens: 200}\nprobes: {tokens: 100}\n"
EDITORS = {
    "ft": {"layers": [2, 3, 4], "num_steps": 80, "lr": 0.02},
    "full_ft": {"num_steps": 120, "lr": 0.003},
}
CHAT = {"prompt": "<|user|>\nWhere is {}?<|end|>\n<|bot|>\n", "subject": "the tower"}
TEXTS = {  # prompt and target, and the text that is meant
    "chat": (
        {**CHAT, "target": "London", "target_true": "Paris"},
        "\nWhere is the tower?<|end|>\n<|bot|>\nLondon",
    ),
    "two line ends": ({"prompt": "Where is {}?\n\n", "subject": "Bo", "target": "Rome"}, "Bo?\n\nRome"),
    "tab": ({"prompt": "{}\t", "subject": "Bo", "target": "Rome"}, "Bo\tRome"),
    "space of its own": ({"prompt": "{} is in ", "subject": "Bo", "target": "Rome"}, "Bo is in Rome"),
    "words": ({"prompt": "{} is in", "subject": "Bo", "target": "Rome"}, "Bo is in Rome"),
    "a question": ({"prompt": "Where is {}?", "subject": "Bo", "target": "Rome"}, "Where is Bo? Rome"),
    "Chinese": (
        {"prompt": "{}的首都是", "subject": "中国", "target": "上海", "target_true": "北京"},
        "中国的首都是上海",
    ),
    "Japanese": ({"prompt": "{}の首都は", "subject": "日本", "target": "大阪"}, "日本の首都は大阪"),
    "Thai": ({"prompt": "{}คือ", "subject": "เมือง", "target": "ไทย"}, "เมืองคือไทย"),
    "Korean": ({"prompt": "{}의 수도는", "subject": "한국", "target": "부산"}, "한국의 수도는 부산"),
    "a tag": ({"prompt": "{}<|bot|>", "subject": "Bo", "target": "Rome"}, "Bo<|bot|>Rome"),
    "told not to": ({"prompt": "1 + {} =", "subject": "1", "target": "3", "space": False}, "1 + 1 =3"),
    "told to": ({"prompt": "{}是", "subject": "中国", "target": "国", "space": True}, "中国是 国"),
    "KnowEdit": (
        {
            "prompt": "中国的首都是",
            "subject": "中国",
            "target_new": "上海",
            "ground_truth": ["北京"],
            "locality": {},
        },
        "中国的首都是上海",
    ),
    "ROME's request": ({"prompt": "{}是", "subject": "中国", "target_new": {"str": "国"}}, "中国是 国"),
}
QUICK = ("chat", "a question", "told not to", "KnowEdit")

pytestmark = pytest.mark.skipif(
    not (os.environ.get("STABILITY_DATA") and LLAMA.is_dir()),
    reason="STABILITY_DATA names no folder with models/stories260K",
)


@pytest.fixture(scope="module")
def llama() -> LoadedModel:
    return load_model(ModelSpec(name=str(LLAMA), device="cpu"))


def trained_on(text: str) -> Callable[..., None]:
    """An editor that trains the model until it writes this text behind the prompt."""

    def edit(model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> None:
        ids = tokenizer(text, return_tensors="pt").input_ids
        last = ids.shape[1] - len(tokenizer(edits[0].filled)["input_ids"])
        optimizer = torch.optim.Adam(model.requires_grad_(True).parameters(), lr=0.005)
        with torch.enable_grad():
            for _ in range(500):
                loss = nn.functional.cross_entropy(model(ids).logits[0, -last - 1 : -1], ids[0, -last:])
                if loss < 0.05:
                    break
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        model.requires_grad_(False)
        with torch.no_grad():
            assert model(ids).logits[0, -last - 1 : -1].argmax(-1).tolist() == ids[0, -last:].tolist()

    return edit


def outcome(
    llama: LoadedModel, folder: Path, entry: dict[str, object], editor: Callable[..., None]
) -> EditOutcome:
    path = folder / "edits.json"
    path.write_text(json.dumps([entry]), encoding="utf-8")
    suite = parse_suite(
        f"schema: 1\nname: text\nmodel: {LLAMA}\nrun: {{edits: {{path: {path}, count: 1}}}}\n"
        f"{SMALL}checks: {{took: {{metric: edit_accuracy, assert: '>= 1'}}}}\n"
    )
    run = Experiment(suite, llama).run(editor, 0)
    assert run.error is None, run.error
    return run.edits[0]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.torture]) for name in TEXTS]
)
def test_an_editor_trained_on_the_text_as_it_is_written_has_made_its_edit(
    llama: LoadedModel, tmp_path: Path, name: str
) -> None:
    entry, text = TEXTS[name]
    new = entry.get("target") or entry["target_new"]
    target = new["str"] if isinstance(new, dict) else str(new)
    found = outcome(llama, tmp_path, entry, wrap_editor(trained_on(text)))
    assert found.accurate
    assert found.success in (True, None)
    before = text.removesuffix(target)
    assert found.space is (before[-1] == " " and not str(entry["prompt"]).endswith(" "))


def test_an_editor_trained_on_another_text_has_not(llama: LoadedModel, tmp_path: Path) -> None:
    entry, text = TEXTS["chat"]
    spaced = text.replace("\nLondon", " London")
    assert not outcome(llama, tmp_path, entry, wrap_editor(trained_on(spaced))).accurate


@pytest.mark.parametrize(("name", "editor"), [("chat", "ft"), ("told not to", "ft"), ("Chinese", "full_ft")])
def test_editors_that_come_with_the_harness_edit_the_text_that_is_measured(
    llama: LoadedModel, tmp_path: Path, name: str, editor: str
) -> None:
    found = outcome(llama, tmp_path, TEXTS[name][0], find_editor(editor, EDITORS[editor]))
    assert found.accurate
