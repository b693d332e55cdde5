"""What metrics of activations share."""
