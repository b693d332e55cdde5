"""Makes the built-in model anew: its tokenizer, its network, its training, and the bounds it must keep."""
