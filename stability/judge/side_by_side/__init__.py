"""Editors compared with each other."""
