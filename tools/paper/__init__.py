"""The paper's experiments: their suites on the paper's models, and running them one after another."""
