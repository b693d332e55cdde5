"""What edit sources share."""
