"""In what two checkpoints on disk differ: only `stability gate` measures it, without loading a model."""
