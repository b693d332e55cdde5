"""lm-eval's tasks: found by name, built once, and scored at every checkpoint.

The modules import lm-eval, which takes seconds; this file does not.
"""
