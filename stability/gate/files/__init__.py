"""What lies in a checkpoint's folder: tensors, configuration, tokenizer."""
