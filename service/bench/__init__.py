"""Measurements of what a machine can do: startup, latency, sessions, steps."""
