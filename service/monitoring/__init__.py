"""Operator logs and counters."""
