"""What trackers share: what each is told of a run, how its keys are spelled, how it is opened."""
