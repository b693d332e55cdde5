"""Where each supported architecture keeps its blocks and their weight matrices; a new one is one entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from stability.record.schema import MatrixKind


@dataclass(frozen=True)
class Architecture:
    """Paths of modules: `blocks` and `final_norm` from the model, `matrices` from a block.

    `transposed` says that the matrices are stored as [d_in, d_out], not [d_out, d_in]; `optional` names kinds
    that some blocks lack, as blocks of experts lack a dense MLP.

    What an entry promises: a block's output is the residual stream after it, the MLP's output is added to
    that stream unscaled (unless `normalised_output` says that it goes through a norm first), and the final
    norm reads the last block's output.

    Of files, `renamed` says by patterns which names are other spellings, and `experts` which tensors hold
    several matrices of every expert in one, as `.experts.gate_up_proj`.
    """

    blocks: str
    final_norm: str
    matrices: Mapping[MatrixKind, str]
    transposed: bool = False
    optional: frozenset[MatrixKind] = frozenset()
    normalised_output: bool = False
    renamed: Mapping[str, str] = field(default_factory=dict)
    experts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


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

_GEMMA = replace(_LLAMA, normalised_output=True)
_EXPERTS = {
    ".experts.gate_up_proj": ("gate_proj", "up_proj"),
    ".experts.down_proj": ("down_proj",),
}
_QWEN_MOE = replace(
    _LLAMA, optional=frozenset({"mlp_gate", "mlp_in", "mlp_out"}), experts=_EXPERTS
)  # some blocks may be dense
_FALCON = Architecture(
    blocks="transformer.h",
    final_norm="transformer.ln_f",
    matrices={
        "mlp_in": "mlp.dense_h_to_4h",
        "mlp_out": "mlp.dense_4h_to_h",
        "attn_qkv": "self_attention.query_key_value",
        "attn_out": "self_attention.dense",
    },
)

ARCHITECTURES: Mapping[str, Architecture] = {
    "bloom": _FALCON,
    "falcon": _FALCON,
    "gemma": _LLAMA,
    "gemma2": _GEMMA,
    "gemma3_text": _GEMMA,
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
        renamed={r"^embed_out\.": "lm_head."},
    ),
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "mixtral": Architecture(
        blocks="model.layers",
        final_norm="model.norm",
        matrices={kind: path for kind, path in _LLAMA.matrices.items() if kind.startswith("attn")},
        renamed={r"\.mlp\.(gate|experts)\.": r".block_sparse_moe.\1."},
        experts={".experts.gate_up_proj": ("w1", "w3"), ".experts.down_proj": ("w2",)},
    ),
    "opt": Architecture(
        blocks="model.decoder.layers",
        final_norm="model.decoder.final_layer_norm",
        matrices={
            "mlp_in": "fc1",
            "mlp_out": "fc2",
            "attn_q": "self_attn.q_proj",
            "attn_k": "self_attn.k_proj",
            "attn_v": "self_attn.v_proj",
            "attn_out": "self_attn.out_proj",
        },
    ),
    "phi3": Architecture(
        blocks="model.layers",
        final_norm="model.norm",
        matrices={
            "mlp_in": "mlp.gate_up_proj",  # gate and input in one
            "mlp_out": "mlp.down_proj",
            "attn_qkv": "self_attn.qkv_proj",
            "attn_out": "self_attn.o_proj",
        },
    ),
    "qwen2": _LLAMA,
    "qwen2_moe": _QWEN_MOE,
    "qwen3": _LLAMA,
    "qwen3_moe": _QWEN_MOE,
}
"""By `config.model_type`, as transformers names it."""
