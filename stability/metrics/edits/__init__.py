"""Metrics of how the edits turned out."""
