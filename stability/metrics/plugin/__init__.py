"""What makes anything a metric: its protocol, and finding it by name."""
