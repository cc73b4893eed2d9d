"""Process-wide settings: processors, child processes, the compute lock."""
