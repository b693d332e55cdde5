"""The contents of a checkpoint's folder: tensors, configuration, tokenizer."""
