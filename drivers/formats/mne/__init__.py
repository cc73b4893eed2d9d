"""Formats that MNE-Python reads: FIF and BrainVision."""
