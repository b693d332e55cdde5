"""What differs between two checkpoints, against dense float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stability.errors import ModelError
from stability.gate.compare import compare
from stability.gate.folder import open_folder
from stability.gate.layout import lay_out
from stability.gate.windows import WINDOW, Pair, over, windows

from .conftest import down, llama

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2]
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def compared(base, edited):
    return compare(lay_out(open_folder(base)), lay_out(open_folder(edited)))


def norm(tensor):
    return math.sqrt(float((tensor.double() ** 2).sum()))


def test_equal_checkpoints_in_other_shards_do_not_differ(save):
    comparison = compared(save("base", llama()), save("edited", dict(reversed(llama().items())), shards=5))
    assert comparison.changed == ()
    assert (comparison.missing, comparison.extra, dict(comparison.reshaped), dict(comparison.retyped)) == (
        (), (), {}, {},
    )  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_figures_of_what_differs_are_those_of_float64(save, dtype):
    base, edited = llama(dtype), llama(dtype)
    edited[down(1)] = (base[down(1)].float() + torch.outer(torch.arange(12.0), torch.ones(20)) / 9).to(dtype)
    edited["model.norm.weight"] = (base["model.norm.weight"].float() * 1.5).to(dtype)
    comparison = compared(save("base", base), save("edited", edited, shards=3))
    assert set(comparison.changed) == {down(1), "model.norm.weight"}
    for name, change in comparison.changes.items():
        before, now = base[name].double(), edited[name].double()
        assert change.base_norm == pytest.approx(norm(before), rel=1e-6)
        assert change.norm == pytest.approx(norm(now), rel=1e-6)
        assert change.delta_norm == pytest.approx(norm(now - before), rel=1e-6)
        assert change.elements == int((before != now).sum())
        assert (change.nonfinite_base, change.nonfinite) == (0, 0)
    assert comparison.changes["model.norm.weight"].rank is None
    assert comparison.changes[down(1)].rank == 1 or dtype.itemsize == 1
    assert comparison.norms == pytest.approx({down(i): norm(base[down(i)]) for i in (0, 2)}, rel=1e-6)


@given(
    st.sets(st.sampled_from(sorted(llama())), max_size=4),
    st.sampled_from(DTYPES[:4]),
    st.integers(1, 4),
    st.integers(1, 4),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exactly_the_tensors_with_another_bit_differ(save, tmp_path_factory, changed, dtype, shards, others):
    place = tmp_path_factory.mktemp("pair").name
    base, edited = llama(dtype), llama(dtype)
    for name in changed:
        edited[name].view(torch.uint8).flatten()[-1] ^= 1
    before, now = save(f"{place}-base", base, shards=shards), save(f"{place}-edited", edited, shards=others)
    assert set(compared(before, now).changed) == changed


def test_the_last_byte_of_a_tensor_of_several_windows_is_seen(save):
    size = WINDOW + 3  # of float16: two windows and a bit
    base = {**llama(), "large": torch.zeros(size, dtype=torch.float16)}
    edited = {**base, "large": base["large"].clone()}
    edited["large"][-1] = 2.0
    edited["large"][0] = -0.0
    change = compared(save("base", base), save("edited", edited)).changes["large"]
    assert (change.delta_norm, change.elements) == (2.0, 2)


def test_what_is_missing_extra_reshaped_or_retyped_is_told_apart(save):
    base, edited = llama(torch.float32), llama(torch.float32)
    del edited[down(0)]
    edited["model.layers.0.adapter.weight"] = torch.tensor([1.0, math.nan, math.inf])
    edited[down(2)] = edited[down(2)].T.contiguous()
    edited[HEAD] = edited[HEAD].double()
    edited[EMBEDDING] = edited[EMBEDDING].bfloat16()
    comparison = compared(save("base", base), save("edited", edited))
    assert comparison.missing == (down(0),)
    assert comparison.extra == ("model.layers.0.adapter.weight",)
    assert comparison.reshaped == {down(2): ((12, 20), (20, 12))}
    assert comparison.retyped == {HEAD: ("F32", "F64"), EMBEDDING: ("F32", "BF16")}
    assert comparison.nonfinite == 2
    assert set(comparison.changes) == {EMBEDDING}  # float64 holds the same numbers, bfloat16 does not
    change = comparison.changes[EMBEDDING]
    assert change.delta_norm == pytest.approx(
        norm(edited[EMBEDDING].double() - base[EMBEDDING].double()), rel=1e-6
    )


def test_a_nan_is_counted_and_makes_the_norm_one(save):
    edited = llama()
    edited[down(1)][3, 5] = math.nan
    edited[down(1)][3, 6] = math.inf
    base = llama()
    base[down(1)][0, 0] = math.inf
    change = compared(save("base", base), save("edited", edited)).changes[down(1)]
    assert (change.nonfinite_base, change.nonfinite, change.rank) == (1, 2, None)
    assert math.isnan(change.norm)


@pytest.mark.parametrize("tied", [True, False])
def test_a_head_that_is_the_embedding_need_not_be_in_the_file(save, tied):
    base = {**llama(), HEAD: llama()[EMBEDDING].clone()}
    edited = {name: tensor for name, tensor in base.items() if name != HEAD}
    folders = [
        save(name, tensors, config={"tie_word_embeddings": tied})
        for name, tensors in (("base", base), ("edited", edited))
    ]
    assert compared(*folders).missing == (() if tied else (HEAD,))
    assert compared(*reversed(folders)).extra == (() if tied else (HEAD,))


def test_a_head_of_its_own_is_missed(save):
    edited = {name: tensor for name, tensor in llama().items() if name != HEAD}
    config = {"tie_word_embeddings": True}
    comparison = compared(save("base", llama(), config=config), save("edited", edited, config=config))
    assert comparison.missing == (HEAD,)


def test_a_mask_that_older_files_hold_is_no_difference_but_a_bias_is(save):
    mask = {
        "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(6),
        "model.layers.0.attn.bias": torch.ones(1, 1, 4, 4),
    }
    bias = {"model.layers.1.attn.bias": torch.ones(4)}
    comparison = compared(save("base", {**llama(), **mask, **bias}), save("edited", llama()))
    assert comparison.missing == tuple(bias)


def test_a_file_that_shrinks_while_it_is_read_is_an_error(save):
    base = lay_out(open_folder(save("base", llama())))
    edited = lay_out(open_folder(save("edited", llama())))
    file = next(iter(edited.tensors.values())).file
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(ModelError, match="truncated"):
        compare(base, edited)


@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 300))
def test_windows_cover_a_tensor_once_in_whole_rows(elements, whole, size):
    class Like:
        dtype, name = "BF16", "x"

    Like.elements = elements
    parts = list(windows(Like, whole, size))
    assert np.array_equal([i for part in parts for i in range(part.start, part.stop)], np.arange(elements))
    assert all((part.stop - part.start) % whole == 0 for part in parts[:-1])
    assert all((part.stop - part.start) * 2 <= max(size, 2 * whole) for part in parts)


def test_results_are_in_the_order_of_the_jobs_and_an_error_ends_it():
    assert over(range(100), lambda job, pair: job**2) == [job**2 for job in range(100)]

    def fails(job: int, pair: Pair) -> int:
        if job == 3:
            raise ModelError("the fourth")
        return job

    with pytest.raises(ModelError, match="the fourth"):
        over(range(10_000), fails)
