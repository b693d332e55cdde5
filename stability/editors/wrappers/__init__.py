"""Wrappers: editors that modify the change made by another editor."""
