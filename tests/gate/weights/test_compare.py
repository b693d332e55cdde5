"""What differs between two checkpoints, against dense float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stability.errors import ModelError
from stability.gate.files.folder import open_folder
from stability.gate.files.layout import lay_out
from stability.gate.weights.change import LONGEST_ROW
from stability.gate.weights.compare import compare
from stability.gate.weights.windows import WINDOW, Pair, blocks, over, windows
from tests.examples import examples
from tests.gate.conftest import down, llama

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2]
UNKNOWN = {"model_type": "unheard_of"}  # of which nobody can say what it reads
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


class Like:
    """As much of a stored tensor as is needed to cut it."""

    name = "x"

    def __init__(self, dtype, elements):
        self.dtype = {torch.bfloat16: "BF16", torch.float32: "F32"}[dtype]
        self.elements = elements


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


def rank_of(delta):
    values = torch.linalg.svdvals(delta)
    return int((values > 1e-5 * values[0]).sum())


def of_size(scale, dtype):
    """A matrix of values near `scale`, and the same after an edit of rank 2 of some rows."""
    generator = torch.Generator().manual_seed(2)
    signs = torch.randint(0, 2, (12, 20), generator=generator) * 2.0 - 1
    left = torch.zeros(12, 2, dtype=torch.float64)
    left[0:8:2, 0] = left[1:8:2, 1] = 1
    right = torch.randint(1, 4, (2, 20), generator=generator).double()
    base = (signs.double() * scale).to(dtype)
    return base, (base.double() + left @ right * base.double().abs().max()).to(dtype)


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        (torch.float32, 1e-44), (torch.float32, 1e-39), (torch.float32, 1e-20), (torch.float32, 1e18),
        (torch.float32, 5e37), (torch.bfloat16, 1e-39), (torch.bfloat16, 1e-25), (torch.bfloat16, 5e37),
        (torch.float16, 6e-8), (torch.float16, 1e4), (torch.float64, 1e-300), (torch.float64, 1e-30),
        (torch.float64, 1e100), (torch.float64, 1e300),
    ],
    ids=str,
)  # fmt: skip
def test_figures_hold_for_the_smallest_and_the_largest_values(save, dtype, scale):
    base, edited = llama(dtype), llama(dtype)
    base[down(1)], edited[down(1)] = of_size(scale, dtype)
    before, now = (one[down(1)].double() / scale for one in (base, edited))
    change = compared(save("base", base), save("edited", edited)).changes[down(1)]
    assert change.base_norm / scale == pytest.approx(norm(before), rel=1e-6)
    assert change.norm / scale == pytest.approx(norm(now), rel=1e-6)
    assert change.delta_norm / scale == pytest.approx(norm(now - before), rel=1e-6)
    assert (change.nonfinite_base, change.nonfinite) == (0, 0)
    assert change.elements == int((before != now).sum())
    assert change.rank == rank_of(now - before) == 2


def test_a_difference_that_float32_has_no_room_for_is_right(save):
    base, edited = llama(torch.float32), llama(torch.float32)
    base[down(1)] = torch.full((12, 20), 3e38)
    edited[down(1)] = -base[down(1)]
    change = compared(save("base", base), save("edited", edited)).changes[down(1)]
    assert change.delta_norm == pytest.approx(6e38 * math.sqrt(240), rel=1e-6)
    assert (change.rank, change.nonfinite) == (1, 0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(1, 20), (20, 1), (1, 1), (0, 20), (20, 0), (240,), ()], ids=str)
def test_a_tensor_of_any_shape_has_figures(save, dtype, shape):
    base, edited = llama(dtype), llama(dtype)
    base["odd"] = torch.full(shape, 2.0).to(dtype)
    edited["odd"] = torch.full(shape, -3.0).to(dtype)  # far enough for the floor of float8
    comparison = compared(save("base", base), save("edited", edited))
    elements = math.prod(shape)
    assert comparison.changed == (("odd",) if elements else ())
    for change in comparison.changes.values():
        assert (change.elements, change.rank) == (elements, 1 if len(shape) == 2 else None)
        assert (change.base_norm, change.norm, change.delta_norm) == pytest.approx(
            tuple(size * math.sqrt(elements) for size in (2, 3, 5)), rel=1e-6
        )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_a_tensor_of_several_blocks_has_the_figures_of_all_of_them(save, dtype):
    generator = torch.Generator().manual_seed(0)
    base = {**llama(dtype), down(1): (0.02 * torch.randn(1500, 1300, generator=generator)).to(dtype)}
    assert len(list(blocks(Like(dtype, 1500 * 1300), 1300))) == 4
    edited = dict(base)
    left, right = (torch.randn(side, 3, generator=generator) for side in (1500, 1300))
    left[:400, 1:] = left[400:900] = left[900:1200, :2] = left[1200:, ::2] = 0  # a block is equal
    edited[down(1)] = (base[down(1)].float() + 0.01 * left @ right.T).to(dtype)
    change = compared(save("base", base), save("edited", edited)).changes[down(1)]
    before, now = base[down(1)].double(), edited[down(1)].double()
    assert change.base_norm == pytest.approx(norm(before), rel=1e-7)
    assert change.norm == pytest.approx(norm(now), rel=1e-7)
    assert change.delta_norm == pytest.approx(norm(now - before), rel=1e-7)
    assert change.elements == int((before != now).sum())
    assert change.rank == 3


@given(
    st.sets(st.sampled_from(sorted(llama())), max_size=4),
    st.sampled_from(DTYPES[:4]),
    st.integers(1, 4),
    st.integers(1, 4),
)
@settings(max_examples=examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    comparison = compared(
        *(save(name, one, config=UNKNOWN) for name, one in (("base", base), ("edited", edited)))
    )
    assert comparison.missing == (down(0),)
    assert comparison.extra == ("model.layers.0.adapter.weight",)
    assert comparison.reshaped == {down(2): ((12, 20), (20, 12))}
    assert comparison.retyped == {HEAD: ("F32", "F64"), EMBEDDING: ("F32", "BF16")}
    assert comparison.nonfinite == 2
    assert dict(comparison.changes) == {}


PAIRS = [(one, other) for one in DTYPES for other in DTYPES if one is not other]


@pytest.mark.parametrize(("dtype", "other"), PAIRS, ids=str)
def test_what_was_only_rounded_to_another_dtype_has_not_changed(save, dtype, other):
    base = llama(dtype)
    edited = {name: tensor.to(other) for name, tensor in base.items()}
    comparison = compared(save("base", base), save("edited", edited))
    assert comparison.changed == ()
    assert set(comparison.retyped) == set(base)


@pytest.mark.parametrize(("dtype", "other"), PAIRS, ids=str)
def test_what_was_edited_and_rounded_has_changed_by_the_edit_alone(save, dtype, other):
    base = llama(dtype)
    edited = {name: tensor.to(other) for name, tensor in base.items()}
    left, right = torch.zeros(12), torch.ones(20)
    left[3] = 8.0
    edited[down(1)] = (base[down(1)].double() + torch.outer(left, right)).to(other)
    comparison = compared(save("base", base), save("edited", edited))
    assert comparison.changed == (down(1),)
    change = comparison.changes[down(1)]
    assert change.elements == 20  # those that were edited, and none that was rounded
    assert change.delta_norm == pytest.approx(
        8 * math.sqrt(20), rel=0.02 if 1 not in (dtype.itemsize, other.itemsize) else 0.2
    )


def test_a_change_that_takes_away_most_of_a_rounded_base_has_the_rank_of_the_change(save):
    base, edited = llama(torch.float32), llama(torch.float32)
    large = torch.outer(torch.rand(12) + 0.5, torch.rand(20) + 0.5) * 1_000
    edited[down(1)] = torch.randn(12, 20, generator=torch.Generator().manual_seed(0)) * 1e-3
    base[down(1)] = (edited[down(1)] + large).bfloat16()  # rounded by more than what is left of it
    assert compared(save("base", base), save("edited", edited)).changes[down(1)].rank == 1


def test_rows_too_long_for_a_basis_of_256_have_no_rank_but_all_other_figures(save):
    base = {"x": torch.zeros(2, LONGEST_ROW + 1)}
    edited = {"x": torch.ones(2, LONGEST_ROW + 1)}
    change = compared(save("base", base, config=UNKNOWN), save("edited", edited, config=UNKNOWN)).changes["x"]
    assert change.rank is None
    assert change.elements == 2 * (LONGEST_ROW + 1)


def test_a_number_that_is_not_the_nearest_of_its_dtype_has_changed(save):
    base, edited = llama(torch.float32), llama(torch.float32)
    edited[down(1)] = base[down(1)].bfloat16()
    edited[down(1)].view(torch.int16)[0, 0] += 1  # the next bfloat16
    change = compared(save("base", base), save("edited", edited)).changes[down(1)]
    assert change.elements == 1


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


def test_a_head_that_was_edited_with_the_embedding_that_it_is_need_not_be_in_the_other_file(save):
    base, edited = llama(), llama()
    edited[EMBEDDING] = edited[EMBEDDING] * 1.5
    edited[HEAD] = edited[EMBEDDING].clone()
    base.pop(HEAD, None)
    tied = {"tie_word_embeddings": True}
    comparison = compared(save("base", base, config=tied), save("edited", edited, config=tied))
    assert (comparison.extra, comparison.changed) == ((), (EMBEDDING,))


@pytest.mark.parametrize("first", [True, False])
def test_a_head_that_only_one_of_two_models_ties_is_missed(save, first):
    base = {**llama(), HEAD: llama()[EMBEDDING].clone()}
    edited = {name: tensor for name, tensor in base.items() if name != HEAD}
    folders = (
        save("base", base, config={"tie_word_embeddings": first}),
        save("edited", edited, config={"tie_word_embeddings": not first}),
    )
    assert compared(*folders).missing == (HEAD,)
    assert compared(*reversed(folders)).extra == (HEAD,)


def test_what_has_changed_is_in_the_order_of_names(save):
    base = {f"x{number}": torch.zeros(3, 3) for number in range(9, -1, -1)}
    edited = {name: tensor + 1 for name, tensor in base.items()}
    comparison = compared(save("base", base, config=UNKNOWN), save("edited", edited, config=UNKNOWN))
    assert comparison.changed == tuple(sorted(base))


def test_the_same_bits_in_another_dtype_are_other_numbers(save):
    base = llama(torch.float16)
    edited = {name: tensor.view(torch.bfloat16) for name, tensor in base.items()}
    assert set(compared(save("base", base), save("edited", edited)).changed) == set(base)


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
    base = save("base", {**llama(), **mask, **bias}, config=UNKNOWN)
    comparison = compared(base, save("edited", llama(), config=UNKNOWN))
    assert comparison.missing == tuple(bias)


def test_a_tensor_that_no_model_of_the_configuration_reads_is_no_difference_but_is_named(save):
    edited = {**llama(), "value_head.weight": torch.full((1, 12), math.nan), down(7): llama()[down(1)]}
    comparison = compared(save("base", llama()), save("edited", edited))
    assert (comparison.changed, comparison.nonfinite) == ((), 0)
    assert comparison.unused == ("value_head.weight", down(7))
    unknown = compared(save("one", llama(), config=UNKNOWN), save("other", edited, config=UNKNOWN))
    assert unknown.extra == ("value_head.weight", down(7))


def test_a_file_that_shrinks_while_it_is_read_is_an_error(save):
    base = lay_out(open_folder(save("base", llama())))
    edited = lay_out(open_folder(save("edited", llama())))
    file = next(iter(edited.tensors.values())).file
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(ModelError, match="truncated"):
        compare(base, edited)


@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 300))
def test_windows_cover_a_tensor_once_in_whole_rows(elements, whole, size):
    parts = list(windows(Like(torch.bfloat16, elements), whole, size))
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
