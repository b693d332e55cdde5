"""Editors that locate a fact in an MLP and solve for the change: ROME, MEMIT and their successors."""
