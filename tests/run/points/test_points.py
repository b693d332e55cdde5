"""What a run leaves to be gone on with: how much of it, what that is worth, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from stability.data.edits import Edit
from stability.editors import Store, wrap_editor
from stability.suite.schema import ResumeSpec


def grow(model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> None:
    weight = model.get_parameter("transformer.h.0.mlp.c_proj.weight")
    with torch.no_grad():
        weight.add_(torch.randn(weight.shape), alpha=0.01)


def test_an_editor_without_a_state_goes_on_from_the_model_and_says_what_that_means(
    make: Any, said: Any
) -> None:
    whole, _ = make(wrap_editor(grow), "whole")
    make(wrap_editor(grow), cut=5)
    resumed, _ = make(wrap_editor(grow))
    assert resumed.without_times() == whole.without_times()
    assert resumed.runs[0].resumed_at == (2,)
    (line,) = said()
    assert "grow has no state()" in line


class Codebook:
    """Lays a module into the model that remembers edits, as GRACE does, and again as it loads its state."""

    def __init__(self) -> None:
        self._model: Any = None
        self._shifts: list[torch.Tensor] = []

    def prepare(self, model: nn.Module, tokenizer: Any, store: Store) -> None:
        self._model = model

    def edit(self, model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> None:
        self._shifts.append(torch.randn(self._model.config.n_embd))
        self._lay()

    def _lay(self) -> None:
        block = self._model.transformer.h[2]
        if not isinstance(block.mlp, Shifted):
            block.mlp = Shifted(block.mlp, self._shifts)

    def state(self) -> dict[str, Any]:
        return {"shifts": list(self._shifts)}

    def load_state(self, state: dict[str, Any]) -> None:
        self._shifts.extend(state["shifts"])
        if self._shifts:
            self._lay()


class Shifted(nn.Module):
    """An MLP whose output is shifted by all edits."""

    def __init__(self, inner: nn.Module, shifts: list[torch.Tensor]) -> None:
        super().__init__()
        self.inner = inner
        self._shifts = (shifts,)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        shifted: torch.Tensor = self.inner(hidden) + 0.1 * torch.stack(self._shifts[0]).sum(dim=0)
        return shifted


def test_an_editor_that_lays_a_module_into_the_model_may_do_so_again_as_it_loads_its_state(
    make: Any, said: Any
) -> None:
    whole, _ = make(wrap_editor(Codebook), "whole")
    make(wrap_editor(Codebook), cut=6)
    resumed, _ = make(wrap_editor(Codebook))
    assert resumed.without_times() == whole.without_times()
    assert resumed.runs[0].resumed_at == (3,)
    assert said() == []


class Wrapped(nn.Module):
    """Calls the model that it holds."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, **more: Any) -> Any:
        return self.model(input_ids=input_ids, **more)


def wrap(model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> nn.Module:
    wrapped = model if isinstance(model, Wrapped) else Wrapped(model)
    grow(wrapped.model, tokenizer, edits)
    return wrapped


def test_a_model_that_cannot_be_put_together_again_is_said_and_edited_anew(make: Any, said: Any) -> None:
    whole, _ = make(wrap_editor(wrap), "whole")
    make(wrap_editor(wrap), cut=5)
    resumed, _ = make(wrap_editor(wrap))
    assert resumed.without_times() == whole.without_times()
    assert resumed.runs[0].resumed_at == (0,)
    first, last = said()
    assert "cannot be put together again: it lacks a difference (what is returned: was not there" in first
    assert "begins anew" in last


def test_a_damaged_point_is_named_and_the_run_begins_anew(make: Any, tmp_path: Path, said: Any) -> None:
    whole, _ = make(wrap_editor(grow), "whole")
    make(wrap_editor(grow), cut=5)
    (point,) = (tmp_path / "run" / "points").rglob("*.safetensors")
    content = bytearray(point.read_bytes())
    content[-9] ^= 1
    point.write_bytes(content)
    resumed, _ = make(wrap_editor(grow))
    assert resumed.without_times() == whole.without_times()
    assert resumed.runs[0].resumed_at == (0,)
    first, last = said()
    assert f"{point}: damaged" in first
    assert "begins anew" in last


def test_where_the_last_point_is_damaged_the_one_before_is_taken_if_it_was_kept(
    make: Any, tmp_path: Path, said: Any
) -> None:
    kept = {"keep": "all", "checkpoints": (1, 2, 3)}
    whole, _ = make(wrap_editor(grow), "whole", **kept)
    make(wrap_editor(grow), cut=7, **kept)
    *_, before, last = sorted((tmp_path / "run" / "points").rglob("*.safetensors"))
    last.write_bytes(last.read_bytes()[:-8])
    resumed, _ = make(wrap_editor(grow), **kept)
    assert resumed.without_times() == whole.without_times()
    assert resumed.runs[0].resumed_at == (int(before.stem),)
    assert str(last) in said()[0]


def test_a_point_of_another_run_in_the_folder_is_not_taken(make: Any, tmp_path: Path, said: Any) -> None:
    make(wrap_editor(grow), "other", keep="all")
    whole, _ = make(wrap_editor(grow), "whole")
    make(wrap_editor(grow), cut=5)
    (point,) = (tmp_path / "run" / "points").rglob("*.safetensors")
    (tmp_path / "other" / "points" / "grow-0" / point.name).replace(point)
    record = (tmp_path / "run" / "run.json").read_text(encoding="utf-8")
    started = "2001-01-01T00:00:00+00:00"
    (tmp_path / "run" / "run.json").write_text(
        record.replace(record.partition('"started": "')[2][:25], started), encoding="utf-8"
    )
    resumed, _ = make(wrap_editor(grow))
    assert resumed.without_times() == whole.without_times()
    assert "is a point of another run (its started is another)" in said()[0]


@pytest.mark.parametrize(("keep", "points"), [("none", []), ("final", [4]), ("all", [2, 4])])
def test_what_is_left_of_the_points_is_what_was_to_be_kept(
    keep: str, points: list[int], make: Any, tmp_path: Path
) -> None:
    make(wrap_editor(grow), keep=keep)
    assert [int(one.stem) for one in sorted((tmp_path / "run").rglob("*.safetensors"))] == points


def test_of_a_run_under_way_one_point_is_on_the_disk(make: Any, tmp_path: Path) -> None:
    seen = []

    def count(model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> None:
        seen.append(len(list((tmp_path / "run").rglob("*.safetensors"))))

    make(wrap_editor(count))
    assert seen == [0, 1, 1, 1]


def test_between_checkpoints_a_point_is_left_as_often_as_is_asked(make: Any) -> None:
    changes = {"resume": ResumeSpec(every="2 edits"), "checkpoints": ()}
    make(wrap_editor(grow), cut=4, **changes)
    resumed, _ = make(wrap_editor(grow), **changes)
    assert resumed.runs[0].resumed_at == (2,)


def test_where_nothing_is_to_be_left_nothing_is(make: Any, tmp_path: Path) -> None:
    never = ResumeSpec(every="never")
    make(wrap_editor(grow), cut=5, resume=never)
    assert not (tmp_path / "run" / "points").exists()
    resumed, _ = make(wrap_editor(grow), resume=never)
    assert resumed.runs[0].resumed_at == (0,)


def test_a_disk_without_room_for_a_point_costs_no_more_than_the_point(
    make: Any, said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    whole, _ = make(wrap_editor(grow), "whole")
    monkeypatch.setattr("stability.run.sequential.write_point", full)
    run, _ = make(wrap_editor(grow))
    assert run.without_times() == whole.without_times()
    (line,) = said()
    assert "No space left on device" in line


def test_a_run_that_was_made_to_its_end_is_not_made_again(make: Any) -> None:
    calls = []

    def count(model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> None:
        calls.append(edits)

    once, _ = make(wrap_editor(count))
    again, _ = make(wrap_editor(count))
    assert (again.runs, len(calls)) == (once.runs, 4)


UNREADABLE = {
    "holds no data (it is on the meta device)": lambda weight: nn.Parameter(weight.to("meta")),
    "is sparse (torch.sparse_coo)": lambda weight: nn.Parameter(weight.to_sparse()),
    "is quantized (torch.qint8)": lambda weight: nn.Parameter(
        torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8), requires_grad=False
    ),
    "is not initialised": lambda weight: nn.UninitializedParameter(),
}


@pytest.mark.filterwarnings("ignore:.*quantiz")  # PyTorch's own, of the making
@pytest.mark.parametrize("why", UNREADABLE)
def test_a_matrix_whose_values_cannot_be_read_is_named_and_ends_the_run(why: str, make: Any) -> None:
    made: list[Edit] = []

    def spoil(model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> None:
        made.extend(edits)
        layer = model.get_submodule("transformer.h.1.mlp.c_fc")
        if len(made) == 3:
            layer.weight = UNREADABLE[why](layer.weight.data)

    record, _ = make(wrap_editor(spoil))
    (run,) = record.runs
    assert run.error is not None
    assert run.error.kind == "model_unusable"
    assert run.error.message.startswith(f"spoil: edit 3: transformer.h.1.mlp.c_fc.weight {why}; ")
    assert [checkpoint.edits for checkpoint in run.checkpoints] == [2]
