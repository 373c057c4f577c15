"""What holds of the code itself: its figures, its names, the events that it tells."""
