"""What a run takes of time and memory: no property of the edits, so that no two runs agree on it."""
