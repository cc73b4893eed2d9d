"""The process and its system: CPUs, limits, locks, files, environment of child processes."""
