"""Where each supported architecture keeps its blocks and their weight matrices; a new one is one entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stability.record.schema import MatrixKind


@dataclass(frozen=True)
class Architecture:
    """Paths of modules: `blocks` and `final_norm` from the model, `matrices` from a block.

    `transposed` says that the matrices are stored as [d_in, d_out], not [d_out, d_in].

    What an entry promises: a block's output is the residual stream after it, the MLP's output is added to
    that stream unscaled, and the final norm reads the last block's output.
    """

    blocks: str
    final_norm: str
    matrices: Mapping[MatrixKind, str]
    transposed: bool = False


_LLAMA = Architecture(
    blocks="model.layers",
    final_norm="model.norm",
    matrices={
        "mlp_gate": "mlp.gate_proj",
        "mlp_in": "mlp.up_proj",
        "mlp_out": "mlp.down_proj",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_out": "self_attn.o_proj",
    },
)

ARCHITECTURES: Mapping[str, Architecture] = {
    "gpt2": Architecture(
        blocks="transformer.h",
        final_norm="transformer.ln_f",
        matrices={
            "mlp_in": "mlp.c_fc",
            "mlp_out": "mlp.c_proj",
            "attn_qkv": "attn.c_attn",
            "attn_out": "attn.c_proj",
        },
        transposed=True,
    ),
    "gptj": Architecture(
        blocks="transformer.h",
        final_norm="transformer.ln_f",
        matrices={
            "mlp_in": "mlp.fc_in",
            "mlp_out": "mlp.fc_out",
            "attn_q": "attn.q_proj",
            "attn_k": "attn.k_proj",
            "attn_v": "attn.v_proj",
            "attn_out": "attn.out_proj",
        },
    ),
    "gpt_neox": Architecture(
        blocks="gpt_neox.layers",
        final_norm="gpt_neox.final_layer_norm",
        matrices={
            "mlp_in": "mlp.dense_h_to_4h",
            "mlp_out": "mlp.dense_4h_to_h",
            "attn_qkv": "attention.query_key_value",
            "attn_out": "attention.dense",
        },
    ),
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
}
"""By `config.model_type`, as transformers names it."""
