"""Which values the words of a suite select, in an eight-block GPT-2 that was edited in blocks 2 and 3."""

from __future__ import annotations

from types import ModuleType

import pytest

from stability.judge.inputs import EditedModel
from stability.judge.problems import CannotJudge, NothingSelected
from stability.judge.select import (
    check_fits,
    check_nonempty,
    edited_model,
    first_affected,
    frozen_parameters,
    layers_of,
    place,
    select_keys,
)
from stability.record import Reading
from stability.suite.schema import MayChange, Where


@pytest.fixture
def model(records: ModuleType) -> EditedModel:
    return edited_model(
        records.model(), frozenset({records.name(2), records.name(3), "transformer.h.5.ln_1.bias"})
    )


@pytest.mark.parametrize(
    ("words", "layers"),
    [
        ("edited", {2, 3}),
        ("unedited", {0, 1, 4, 5, 6, 7}),
        ("before_edited", {0, 1}),
        ("after_edited", {4, 5, 6, 7}),
        ("late", {6, 7}),
        ("all", set(range(8))),
        ("4-6", {4, 5, 6}),
        ([0, 7], {0, 7}),
    ],
)
def test_words_and_numbers_select_layers(
    model: EditedModel, records: ModuleType, words: object, layers: set[int]
) -> None:
    where = Where.model_validate({"layers": words})
    keys = select_keys(records.by_layer([1.0] * 8), where, model)
    assert keys == {str(layer) for layer in layers}


@pytest.mark.parametrize(
    ("blocks", "late"), [(1, {0}), (3, {2}), (4, {3}), (5, {3, 4}), (48, set(range(36, 48)))]
)
def test_late_is_the_last_quarter_rounded_up(records: ModuleType, blocks: int, late: set[int]) -> None:
    assert layers_of("late", edited_model(records.model(blocks), frozenset())) == late


def test_layers_and_matrices_combine(model: EditedModel, records: ModuleType) -> None:
    where = Where.model_validate({"layers": "late", "matrices": ["mlp_in", "attn_out"]})
    expected = {records.name(layer, part) for layer in (6, 7) for part in ("mlp.c_fc", "attn.c_proj")}
    assert select_keys(records.norms(), where, model) == expected


def test_edited_matrices_are_those_that_changed_not_all_of_an_edited_layer(
    model: EditedModel, records: ModuleType
) -> None:
    assert select_keys(records.norms(), Where(matrices=("edited",)), model) == {
        records.name(2),
        records.name(3),
    }
    assert len(select_keys(records.norms(), Where(layers="edited"), model)) == 8


@pytest.mark.parametrize("word", ["attn_q", "attn_k", "attn_v"])
def test_a_fused_attention_matrix_is_meant_by_each_of_its_parts(
    model: EditedModel, records: ModuleType, word: str
) -> None:
    where = Where.model_validate({"matrices": word, "layers": 1})
    assert select_keys(records.norms(), where, model) == {records.name(1, "attn.c_attn")}


def test_affected_pairs_have_a_layer_at_or_after_the_first_edited_one(
    model: EditedModel, records: ModuleType
) -> None:
    keys = select_keys(records.by_pair(), Where(pairs="affected"), model)
    assert keys == {f"{i}-{j}" for i in range(8) for j in range(i + 1, 8) if j >= 2}


def test_pairs_are_affected_by_any_changed_parameter_of_a_block_and_by_the_embedding(
    records: ModuleType,
) -> None:
    norm_only = edited_model(records.model(), frozenset({"transformer.h.5.ln_1.bias"}))
    assert first_affected(norm_only) == 5
    assert first_affected(edited_model(records.model(), frozenset({"transformer.wte.weight"}))) == 0


def test_what_was_left_out_is_selected_too(model: EditedModel, records: ModuleType) -> None:
    reading = records.by_pair(left_out={"6-7": "base 0.9"})
    assert "6-7" in select_keys(reading, Where(pairs="affected"), model)


def test_a_block_that_the_model_does_not_have_is_refused(model: EditedModel, records: ModuleType) -> None:
    with pytest.raises(CannotJudge, match="names block 8, but world has blocks 0-7"):
        select_keys(records.by_layer([1.0] * 8), Where.model_validate({"layers": [1, 8]}), model)


@pytest.mark.parametrize(
    ("where", "over", "says"),
    [
        ({"pairs": "all"}, "matrix", "'where.layers' and 'where.matrices'"),
        ({"matrices": "all"}, "layer", "it takes 'where.layers'"),
        ({"layers": "late"}, "pair", "it takes 'where.pairs'"),
        ({"layers": "late"}, "scalar", "single value; leave 'where' out"),
        ({"task": "choice"}, "layer", "it takes 'where.layers'"),
        ({"layers": "late"}, "parameter", "no 'where' at all"),
    ],
)
def test_a_where_that_does_not_fit_the_metric_is_refused_and_says_what_would(
    where: dict[str, str], over: str, says: str
) -> None:
    with pytest.raises(CannotJudge, match=says):
        check_fits("some_metric", over, Where.model_validate(where))


@pytest.mark.parametrize(
    "where",
    [{"matrices": "edited"}, {"layers": "edited"}, {"layers": "after_edited"}, {"pairs": "affected"}],
)
def test_where_nothing_was_edited_the_words_for_it_select_nothing(
    records: ModuleType, where: dict[str, str]
) -> None:
    with pytest.raises(NothingSelected, match="no matrix was edited"):
        check_nonempty(Where.model_validate(where), edited_model(records.model(), frozenset()))


def test_after_the_last_block_there_is_nothing(records: ModuleType) -> None:
    last = edited_model(records.model(), frozenset({records.name(7)}))
    with pytest.raises(NothingSelected, match="no block lies after"):
        check_nonempty(Where(layers="after_edited"), last)


class TestFrozenParameters:
    """`may_change` says what is allowed; the rest is frozen."""

    @pytest.fixture
    def reading(self, records: ModuleType) -> Reading:
        names = [
            *(records.name(layer, part) for layer in range(8) for part in ("mlp.c_fc", "mlp.c_proj")),
            "transformer.h.2.mlp.c_proj.bias",
            "transformer.h.2.ln_1.weight",
            "transformer.wte.weight",
            "transformer.ln_f.weight",
        ]
        return Reading(over="parameter", values=dict.fromkeys(names, 0))

    def allowed(self, reading: Reading, model: EditedModel, **may_change: object) -> set[str]:
        frozen = frozen_parameters(reading, MayChange.model_validate(may_change), model)
        return set(reading.values) - frozen

    def test_a_matrix_is_allowed_if_its_layer_and_kind_are(
        self, reading: Reading, model: EditedModel, records: ModuleType
    ) -> None:
        assert self.allowed(reading, model, layers=[2, 3], matrices="mlp_out") == {
            records.name(2),
            records.name(3),
        }

    def test_biases_and_norms_of_an_allowed_layer_only_if_all_matrices_are_allowed(
        self, reading: Reading, model: EditedModel
    ) -> None:
        assert self.allowed(reading, model, layers=2, matrices="all") == {
            "transformer.h.2.mlp.c_fc.weight",
            "transformer.h.2.mlp.c_proj.weight",
            "transformer.h.2.mlp.c_proj.bias",
            "transformer.h.2.ln_1.weight",
        }

    def test_embeddings_and_the_final_norm_are_frozen_whatever_is_allowed(
        self, reading: Reading, model: EditedModel
    ) -> None:
        allowed = self.allowed(reading, model, layers="all", matrices="all")
        assert set(reading.values) - allowed == {"transformer.wte.weight", "transformer.ln_f.weight"}

    def test_block_1_is_not_block_10(self, records: ModuleType) -> None:
        reading = Reading(over="parameter", values={records.name(1): 0, records.name(10): 0})
        model = edited_model(records.model(12), frozenset())
        assert self.allowed(reading, model, layers=1, matrices="mlp_out") == {records.name(1)}

    @pytest.mark.parametrize(
        "may_change", [{"layers": "edited"}, {"matrices": "edited"}, {"layers": "unedited"}]
    )
    def test_what_was_edited_cannot_be_what_may_be_edited(
        self, reading: Reading, model: EditedModel, may_change: dict[str, str]
    ) -> None:
        with pytest.raises(CannotJudge, match="allows whatever the editor did"):
            self.allowed(reading, model, **may_change)


@pytest.mark.parametrize(
    ("over", "key", "words"),
    [
        ("matrix", "transformer.h.1.mlp.c_proj.weight", "h.1.mlp.c_proj"),
        ("parameter", "transformer.h.1.mlp.c_proj.bias", "h.1.mlp.c_proj.bias"),
        ("parameter", "transformer.wte.weight", "transformer.wte"),
        ("layer", "7", "block 7"),
        ("pair", "3-7", "blocks 3-7"),
        ("task", "mmlu", "mmlu"),
    ],
)
def test_a_place_is_called_as_people_call_it(model: EditedModel, over: str, key: str, words: str) -> None:
    assert place(over, key, model) == words
