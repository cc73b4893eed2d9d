"""Headsets that BrainFlow reaches."""
