"""Models: loading, the map of their blocks and matrices, pristine copies, and text and prompts as tokens."""

from stability.models.continuation import Continuation, recording, suspend
from stability.models.describe import describe_model
from stability.models.fingerprint import model_fingerprint, tensors_fingerprint, tokenizer_fingerprint
from stability.models.load import LoadedModel, load_model, model_depth
from stability.models.map import ModelMap, map_model
from stability.models.snapshot import Snapshot, same_bytes
from stability.models.text import TokenizedText, context_length, tokenize_text
from stability.models.tokens import EncodedTarget, encode, pad_id, pad_right, subject_last_index

__all__ = [
    "Continuation",
    "EncodedTarget",
    "LoadedModel",
    "ModelMap",
    "Snapshot",
    "TokenizedText",
    "context_length",
    "describe_model",
    "encode",
    "load_model",
    "map_model",
    "model_depth",
    "model_fingerprint",
    "pad_id",
    "pad_right",
    "recording",
    "same_bytes",
    "subject_last_index",
    "suspend",
    "tensors_fingerprint",
    "tokenize_text",
    "tokenizer_fingerprint",
]
