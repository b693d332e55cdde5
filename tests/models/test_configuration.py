from __future__ import annotations

from stability.models.configuration import computing_keys


def test_what_says_how_a_model_was_saved_or_called_is_left_out_at_any_depth() -> None:
    config = {
        "n_layer": 2,
        "transformers_version": "5.0",
        "_attn_implementation_autoset": True,
        "text_config": {"hidden_size": 8, "torch_dtype": "float32", "rope": {"use_cache": True, "theta": 1}},
    }
    assert computing_keys(config) == {"n_layer": 2, "text_config": {"hidden_size": 8, "rope": {"theta": 1}}}
