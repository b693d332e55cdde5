"""Points: what an unfinished run leaves on the disk to go on from, and what of it is kept."""
