"""service/engine/step_times.py."""

from __future__ import annotations

from prometheus_client import Histogram

STEPS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Bounds of a step's time, s: the shipped model's takes some milliseconds."""


def step_times() -> Histogram:
    """An empty histogram of an engine's steps; it is registered nowhere."""
    return Histogram("step_seconds", "Steps.", registry=None, buckets=STEPS)
