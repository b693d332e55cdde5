"""What metrics of the weights share."""
