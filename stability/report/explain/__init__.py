"""Explanations of verdicts: a text for each metric, remedies, and what the record shows about them."""
