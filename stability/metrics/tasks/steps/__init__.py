"""lm-eval's tasks: found by name, built once, and scored at every checkpoint."""
