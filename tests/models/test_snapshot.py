from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from stability.errors import ModelError
from stability.models import Snapshot, map_model, model_fingerprint, same_bytes

OUT = "transformer.h.1.mlp.c_proj.weight"


class Odd(nn.Module):
    """Parameters of awkward sizes, dtypes and layouts, and buffers that are and are not saved."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        flat = torch.randn(64, generator=generator)
        self.scalar = nn.Parameter(torch.tensor(1.5))
        self.empty = nn.Parameter(torch.empty(0, 3))
        self.seven = nn.Parameter(torch.randn(7, generator=generator).to(torch.bfloat16))
        self.offset = nn.Parameter(flat[1:8])
        self.transposed = nn.Parameter(torch.randn(3, 5, generator=generator).T)
        self.register_buffer("saved", torch.arange(5))
        self.register_buffer("fleeting", torch.ones(3), persistent=False)


def test_nothing_has_changed_at_first(any_model: nn.Module) -> None:
    snapshot = Snapshot(any_model)
    any_model(input_ids=torch.arange(1, 9)[None])
    assert snapshot.changed(any_model) == ()
    assert snapshot.restore(any_model) == ()


@pytest.mark.parametrize(
    "write",
    [
        lambda parameter: parameter.data.add_(1e-7),
        lambda parameter: np.add(parameter.detach().numpy(), 1e-7, out=parameter.detach().numpy()),
        lambda parameter: setattr(parameter, "data", parameter.data * 1.001),
        lambda parameter: parameter.data[0, 0].fill_(float("nan")),
        lambda parameter: parameter.data[0, 0].copy_(-parameter.data[0, 0]),
    ],
    ids=["data.add_", "numpy", "data=", "nan", "sign"],
)
def test_any_way_of_writing_is_seen_and_undone_bit_for_bit(
    gpt2: nn.Module, write: Callable[[nn.Parameter], object]
) -> None:
    before = model_fingerprint(gpt2)
    snapshot = Snapshot(gpt2)
    write(gpt2.get_parameter(OUT))
    assert snapshot.changed(gpt2) == (OUT,)
    assert snapshot.restore(gpt2) == (OUT,)
    assert model_fingerprint(gpt2) == before
    assert snapshot.changed(gpt2) == ()


def test_the_copy_does_not_follow_the_model(gpt2: nn.Module) -> None:
    snapshot = Snapshot(gpt2)
    kept = snapshot.tensor(OUT).clone()
    map_model(gpt2).weight(OUT).zero_()
    assert torch.equal(snapshot.tensor(OUT), kept)


def test_an_unchanged_nan_is_no_change_and_a_signed_zero_is_one(gpt2: nn.Module) -> None:
    weight = gpt2.get_parameter(OUT).data
    weight[0, 0] = float("nan")
    weight[0, 1] = 0.0
    snapshot = Snapshot(gpt2)
    assert snapshot.changed(gpt2) == ()
    weight[0, 1] = -0.0
    assert snapshot.changed(gpt2) == (OUT,)
    assert snapshot.elements_changed(gpt2, OUT) == 1


@pytest.mark.parametrize("name", ["scalar", "seven", "offset", "transposed", "saved"])
def test_awkward_tensors_are_compared_and_restored(name: str) -> None:
    module = Odd()
    snapshot = Snapshot(module)
    assert snapshot.changed(module) == ()
    tensor = dict(module.named_parameters()) | dict(module.named_buffers())
    before = tensor[name].detach().clone()
    tensor[name].data.reshape(-1)[-1:].add_(1)
    if name == "transposed":  # reshape copies there
        tensor[name].data[-1, -1] += 1
    assert snapshot.changed(module) == (name,)
    assert snapshot.elements_changed(module, name) == 1
    assert snapshot.restore(module) == (name,)
    assert torch.equal(tensor[name], before)


def test_a_buffer_that_is_not_saved_is_restored_but_not_reported() -> None:
    module = Odd()
    snapshot = Snapshot(module)
    module.fleeting.zero_()
    assert snapshot.changed(module) == ()
    assert snapshot.restore(module) == ("fleeting",)
    assert torch.equal(module.fleeting, torch.ones(3))


def test_a_model_cast_to_another_dtype_has_changed_and_comes_back(gpt2: nn.Module) -> None:
    before = model_fingerprint(gpt2)
    snapshot = Snapshot(gpt2)
    gpt2.to(torch.bfloat16)
    assert set(snapshot.changed(gpt2)) == {name for name, _ in gpt2.named_parameters()}
    assert snapshot.elements_changed(gpt2, OUT) == gpt2.get_parameter(OUT).numel()
    snapshot.restore(gpt2)
    assert model_fingerprint(gpt2) == before


def test_names_that_appear_or_vanish_have_changed_and_cannot_be_restored(gpt2: nn.Module) -> None:
    snapshot = Snapshot(gpt2)
    gpt2.transformer.h[1].mlp.c_proj = nn.Linear(128, 32, bias=False)
    gpt2.transformer.h[1].extra = nn.Parameter(torch.ones(2))
    changed = snapshot.changed(gpt2)
    assert "transformer.h.1.extra" in changed
    assert "transformer.h.1.mlp.c_proj.bias" in changed
    assert OUT in changed
    with pytest.raises(ModelError, match=r"transformer\.h\.1\.extra was added or removed by the editor"):
        snapshot.restore(gpt2)


def test_untied_weights_are_seen_and_tied_again(gpt2: nn.Module) -> None:
    snapshot = Snapshot(gpt2)
    assert gpt2.lm_head.weight is gpt2.transformer.wte.weight
    gpt2.lm_head.weight = nn.Parameter(gpt2.lm_head.weight.clone())
    assert snapshot.changed(gpt2) == ("lm_head.weight",)
    snapshot.restore(gpt2)
    assert gpt2.lm_head.weight is gpt2.transformer.wte.weight
    assert snapshot.changed(gpt2) == ()


def test_a_changed_tied_weight_is_reported_once(gpt2: nn.Module) -> None:
    snapshot = Snapshot(gpt2)
    gpt2.lm_head.weight.data[3] += 1
    assert snapshot.changed(gpt2) == ("transformer.wte.weight",)


def test_weights_without_data_are_refused() -> None:
    with pytest.raises(ModelError, match="weight holds no data"):
        Snapshot(nn.Linear(2, 2, device="meta"))


DTYPES = st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool])


@given(DTYPES, st.integers(0, 40), st.integers(0, 9), st.data())
def test_same_bytes_agrees_with_comparing_the_bytes(
    dtype: torch.dtype, size: int, offset: int, data: st.DataObject
) -> None:
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 9)))
    storage = torch.randint(0, 2, (size + offset,), generator=generator).to(dtype)
    one, other = storage[offset:], storage[offset:].clone()
    if size and data.draw(st.booleans()):
        index = data.draw(st.integers(0, size - 1))
        other[index] = data.draw(st.sampled_from([0, 1]))
    equal = one.clone().view(torch.uint8).numpy().tobytes() == other.view(torch.uint8).numpy().tobytes()
    assert same_bytes(one, other) is equal


def test_same_bytes_needs_the_same_shape_and_dtype() -> None:
    assert not same_bytes(torch.zeros(4), torch.zeros(2, 2))
    assert not same_bytes(torch.zeros(4), torch.zeros(4, dtype=torch.int32))
