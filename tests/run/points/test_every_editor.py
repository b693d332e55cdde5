"""A run that was cut off anywhere and gone on with is the run that was not: for every editor there is."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from stability.editors import LoadedEditor, find_editor
from stability.parts import EDITORS

PACKAGES = Path(__file__).parents[2] / "editors" / "adapters" / "packages"
HEADS = {name: part.head for name, part in EDITORS.built_in().items()}
FEW_STEPS = {"v_num_grad_steps": 4, "num_steps": 5, "anchor_samples": 5}
SETTINGS: dict[str, dict[str, Any]] = {
    "mend": {"num_steps": 20, "train_edits_count": 60, "locality_tokens": 4000},
    "cpt": {"num_steps": 1, "batch_size": 2, "n_tokens": 2000},
    "reset": {"editor": {"memit": {"v_num_grad_steps": 4}}, "every": 2},
    "kmeng": {
        "apply": "rank_one.apply_rank_one_to_model",
        "path": str(PACKAGES / "rank-one"),
        "hparams": str(PACKAGES / "rank-one" / "rank_one" / "world.json"),
    },
    "easyedit": {
        "table": "flatedit.util.alg_dict:ALG_DICT",
        "path": str(PACKAGES / "flat-edit"),
        "algorithm": "FT",
        "hparams": str(PACKAGES / "flat-edit" / "flatedit" / "ft.yaml"),
    },
}
QUEUED = {
    "apply": "queued.queued_main.apply_queued_to_model",
    "cwd": str(PACKAGES / "virtual-queue"),
    "hparams": "hparams/world.json",
    "hparams_class": "queued.queued_main.QueuedHyperParams",
    "carry": {
        "element": 2,
        "count": "cnt",
        "each_layer": {"Z": "1sqrtD", "alpha": 60, "zmax": 0, "D_base": None, "Pre_Cache": []},
    },
}
MORE = {
    "kmeng with what it returns": ("kmeng", QUEUED),
    "lora-unmerged": ("lora", {"merge": False, "num_steps": 5}),
    "frobenius(encore)": ("frobenius", {"editor": {"encore": {"v_num_grad_steps": 4}}, "max_ratio": 1.01}),
}
# Each shares its state with one that is always tried.
AKIN = ("emmet", "pmet", "nas", "encore", "ft_l", "lora", "frobenius", "rect", "revive", "sphere")
NAMES = [pytest.param(name, marks=pytest.mark.torture) if name in AKIN else name for name in (*HEADS, *MORE)]


def settings(name: str) -> dict[str, Any]:
    """Those with which an editor is quick; it need not be good."""
    if name in SETTINGS:
        return SETTINGS[name]
    if HEADS[name].family == "wrapper":
        return {"editor": {"rome": {"v_num_grad_steps": 4}}}
    known = find_editor(name, {}, "world").info.settings
    return {key: value for key, value in FEW_STEPS.items() if known.get(key)}


def built_in(name: str) -> LoadedEditor:
    named, given = MORE.get(name, (name, None))
    return find_editor(named, settings(name) if given is None else given, "world", called=name)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_cut_off_anywhere_and_gone_on_with_is_the_uninterrupted_one(
    name: str, make: Any, tmp_path: Path, said: Any
) -> None:
    editor = built_in(name)
    whole, steps = make(editor, "whole")
    assert whole.runs[0].status == "complete", whole.runs[0].error
    make(editor, cut=random.Random(name).randrange(4, steps + 1))
    resumed, _ = make(editor)
    assert resumed.without_times() == whole.without_times()
    assert resumed.runs[0].resumed_at[0] > 0
    assert said() == []
    assert not (tmp_path / "run" / "points").exists()


@pytest.mark.torture
@pytest.mark.parametrize("name", ["rome", "memit", "alphaedit", "lora-unmerged", "mend", "reset"])
def test_a_run_cut_off_ten_times_is_the_uninterrupted_one(name: str, make: Any) -> None:
    editor, rng = built_in(name), random.Random(name)
    whole, _ = make(editor, "whole", checkpoints=(1, 2, 3))
    lives = 0
    for _ in range(10):
        record, _ = make(editor, cut=rng.randrange(2, 6), checkpoints=(1, 2, 3))
        lives += record.under_way
    resumed, _ = make(editor, checkpoints=(1, 2, 3))
    assert resumed.without_times() == whole.without_times()
    assert len(resumed.runs[0].resumed_at) >= lives > 1
