"""Benchmarks for developers: ``python -m tests.benchmarks``."""
