"""What ``deploy/`` holds is valid, consistent, and names only settings that exist."""
