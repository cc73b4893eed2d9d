"""Formats that MNE-Python reads: FIF, BrainVision and EEGLAB."""
