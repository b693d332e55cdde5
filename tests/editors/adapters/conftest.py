"""Two small editing packages in the forms of the public systems, and the built-in model to edit."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from stability.data.edits import Edit, load_edits
from stability.editors import LoadedEditor, find_editor
from stability.models import LoadedModel, Snapshot, load_model
from stability.suite import EditsSpec, ModelSpec

PACKAGES = Path(__file__).parent / "packages"
RANK_ONE = {
    "apply": "rank_one.apply_rank_one_to_model",
    "path": str(PACKAGES / "rank-one"),
    "hparams": str(PACKAGES / "rank-one" / "rank_one" / "world.json"),
}
QUEUED = {
    "apply": "queued.queued_main.apply_queued_to_model",
    "cwd": str(PACKAGES / "virtual-queue"),
    "hparams": "hparams/world.json",
    "hparams_class": "queued.queued_main.QueuedHyperParams",
}
CARRY = {
    "element": 2,
    "count": "cnt",
    "first": {"method_name": "queued"},
    "each_layer": {"Z": "1sqrtD", "alpha": 60, "zmax": 0, "D_base": None, "Pre_Cache": []},
}
FLAT_EDIT = {
    "table": "flatedit.util.alg_dict:ALG_DICT",
    "path": str(PACKAGES / "flat-edit"),
    "algorithm": "FT",
    "hparams": str(PACKAGES / "flat-edit" / "flatedit" / "ft.yaml"),
}


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load_model(ModelSpec(name="world"))


@pytest.fixture(scope="module")
def pristine(loaded: LoadedModel) -> Snapshot:
    return Snapshot(loaded.model)


@pytest.fixture
def world(loaded: LoadedModel, pristine: Snapshot) -> Iterator[LoadedModel]:
    """The built-in model, put back afterwards."""
    yield loaded
    pristine.restore(loaded.model)
    loaded.model.requires_grad_(False).eval()


@pytest.fixture(scope="session")
def world_edits() -> tuple[Edit, ...]:
    return load_edits(EditsSpec(source="world", count=4), 0)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The systems draw from the global generators, which the engine seeds."""
    random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def rank_one() -> Callable[..., LoadedEditor]:
    """The rank-one package through its adapter."""
    return lambda **settings: find_editor("kmeng", {**RANK_ONE, **settings})


@pytest.fixture
def queued() -> Callable[..., LoadedEditor]:
    """The package that returns its state, through its adapter."""
    return lambda **settings: find_editor("kmeng", {**QUEUED, "carry": CARRY, **settings})


@pytest.fixture
def flat_edit() -> Callable[..., LoadedEditor]:
    """The flat package through its adapter."""
    return lambda **settings: find_editor("easyedit", {**FLAT_EDIT, **settings})


@pytest.fixture
def system(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Writes a system of one module and gives the settings to run it with; `source` defines `apply`."""

    def write(source: str, name: str = "tiny_system") -> dict[str, Any]:
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}.py").write_text(
            "import torch\n"
            "class HyperParams:\n"
            "    def __init__(self, **values): self.__dict__.update(values)\n" + source
        )
        (folder / "hparams.json").write_text('{"layers": [0], "amount": 0.5}')
        return {
            "apply": f"{name}.apply",
            "cwd": str(folder),
            "hparams": "hparams.json",
            "hparams_class": f"{name}.HyperParams",
        }

    return write


@pytest.fixture
def success() -> Callable[[LoadedModel, Edit], float]:
    """log P(target) - log P(target_true) of the first token after the prompt; above zero the edit took."""

    def measure(loaded: LoadedModel, edit: Edit) -> float:
        ids = {
            text: loaded.tokenizer(f"{edit.filled} {text}", return_tensors="pt").input_ids
            for text in (edit.target, str(edit.target_true))
        }
        with torch.no_grad():
            new, true = (
                loaded.model(row[:, :-1]).logits[0, -1].log_softmax(-1)[row[0, -1]] for row in ids.values()
            )
        return float(new - true)

    return measure
