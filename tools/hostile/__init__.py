"""Hostile editors: each is run before one that is sound, whose run must be the one that it has alone."""
