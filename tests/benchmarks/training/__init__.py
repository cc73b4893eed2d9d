"""Benchmarks of training: its speed, and how far its result hangs on the seed."""
