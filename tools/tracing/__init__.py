"""Causal tracing: which layers' MLPs carry a fact from its subject; presets choose by it what to edit."""
