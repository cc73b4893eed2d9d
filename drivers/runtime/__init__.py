"""Process-wide settings: the environment of child processes."""
