"""Which drops are real, and which chance explains."""
