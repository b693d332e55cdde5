"""Two checkpoints' weights against each other, a window at a time."""
