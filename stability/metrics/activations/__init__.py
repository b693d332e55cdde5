"""Metrics of activations and logits on text."""
