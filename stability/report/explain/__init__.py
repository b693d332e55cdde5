"""What explanations are made of: a text for each metric, what can be tried, and what a record shows of it."""
