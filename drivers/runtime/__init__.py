"""Process-wide settings: CPU affinity, environment of child processes, the compute lock."""
