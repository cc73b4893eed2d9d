"""Benchmarks of files: reading them, and the report on one."""
