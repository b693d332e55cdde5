"""Metrics of the weights."""
