"""Editors against each other."""
