"""Programs that run in the cloud's own environment, not in the project's."""
