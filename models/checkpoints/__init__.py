"""Checkpoints: their file format, catalog and model card, and the weights that ship."""
